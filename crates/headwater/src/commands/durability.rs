//! `headwater doctor`: whether a topic keeps what brokers have acknowledged, by the conditions of the guarantee: three
//! replicas, two of them in sync, and no leader that lacks records.

use std::collections::BTreeMap;

use change::{Finding, Severity};
use sink_kafka::TopicState;

/// With three replicas one broker may fail and another one be restarted without a loss.
const REPLICAS: i32 = 3;

/// What the commands need to know of the cluster.
pub struct Cluster<'a> {
    /// As in `kafka.brokers`.
    pub addresses: &'a str,
    pub ids: &'a [i32],
}

/// What is wrong with the topic's replication, the worst first; `None`: nothing.
pub fn judge(state: &TopicState, settings: &BTreeMap<String, String>, cluster: &Cluster<'_>) -> Option<Finding> {
    let topic = &state.name;
    let replicas = state.replication_factor;
    let in_sync: i32 = settings.get("min.insync.replicas").and_then(|value| value.parse().ok()).unwrap_or(1);
    let unclean = settings.get("unclean.leader.election.enable").is_some_and(|value| value == "true");
    let alter = |setting: &str| {
        let brokers = cluster.addresses;
        format!("kafka-configs --bootstrap-server {brokers} --alter --topic {topic} --add-config {setting}")
    };
    let (severity, what, help) = if in_sync > replicas {
        (
            Severity::Problem,
            format!("min.insync.replicas={in_sync}, but it has {replicas}: brokers refuse every record"),
            more_replicas(state, cluster, in_sync.max(REPLICAS)),
        )
    } else if replicas == 1 {
        (
            Severity::Warning,
            "it has one replica: what is acknowledged is lost with its broker's disk".to_owned(),
            more_replicas(state, cluster, REPLICAS),
        )
    } else if in_sync == 1 {
        (
            Severity::Warning,
            format!("min.insync.replicas=1: with {replicas} replicas, the last one in sync may still lose records"),
            alter("min.insync.replicas=2"),
        )
    } else if unclean {
        (
            Severity::Warning,
            "unclean.leader.election.enable=true: a replica that lacks acknowledged records may become leader"
                .to_owned(),
            alter("unclean.leader.election.enable=false"),
        )
    } else if in_sync == replicas {
        (
            Severity::Good,
            format!(
                "nothing is lost, but with all {replicas} replicas asked for, writing waits while a broker restarts"
            ),
            more_replicas(state, cluster, in_sync + 1),
        )
    } else {
        return None;
    };
    Some(Finding { severity, subject: format!("topic {topic}"), what, help: Some(help) })
}

/// The command that gives every partition so many replicas, spread over the brokers.
fn more_replicas(state: &TopicState, cluster: &Cluster<'_>, wanted: i32) -> String {
    let count = usize::try_from(wanted).unwrap_or(1);
    if cluster.ids.len() < count {
        return format!(
            "run {count} brokers or more (there are {}); `headwater doctor` then prints the command for this topic",
            cluster.ids.len()
        );
    }
    let partitions: Vec<serde_json::Value> = (0..state.partitions)
        .map(|partition| {
            let first = usize::try_from(partition).unwrap_or(0);
            let replicas: Vec<i32> = cluster.ids.iter().copied().cycle().skip(first).take(count).collect();
            serde_json::json!({ "topic": state.name, "partition": partition, "replicas": replicas })
        })
        .collect();
    let plan = serde_json::json!({ "version": 1, "partitions": partitions });
    format!(
        "kafka-reassign-partitions --bootstrap-server {} --execute --reassignment-json-file <(echo '{plan}')",
        cluster.addresses
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(replicas: i32, settings: &[(&str, &str)], ids: &[i32]) -> Option<(Severity, String, String)> {
        let state = TopicState { name: "t".to_owned(), partitions: 2, replication_factor: replicas, created: false };
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let found = judge(&state, &settings, &Cluster { addresses: "k:9092", ids })?;
        assert_eq!(found.subject, "topic t");
        Some((found.severity, found.what, found.help.unwrap_or_default()))
    }

    #[test]
    fn the_guarantees_conditions_are_met() {
        assert_eq!(
            of(3, &[("min.insync.replicas", "2"), ("unclean.leader.election.enable", "false")], &[1, 2, 3]),
            None
        );
    }

    #[test]
    fn each_condition_has_its_finding_and_command() {
        let (severity, what, help) = of(1, &[], &[4, 5, 6]).unwrap();
        assert!(severity == Severity::Warning && what.contains("one replica"), "{what}");
        assert!(help.starts_with("kafka-reassign-partitions --bootstrap-server k:9092 --execute "), "{help}");
        for part in ["\"replicas\":[4,5,6]", "\"replicas\":[5,6,4]", "\"partition\":1", "\"topic\":\"t\""] {
            assert!(help.contains(part), "{part} is missing in {help}");
        }
        assert!(of(1, &[], &[1]).unwrap().2.starts_with("run 3 brokers or more (there are 1)"));
        let (severity, what, help) = of(3, &[("min.insync.replicas", "1")], &[1, 2, 3]).unwrap();
        assert!(severity == Severity::Warning && what.contains("min.insync.replicas=1"), "{what}");
        assert_eq!(
            help,
            "kafka-configs --bootstrap-server k:9092 --alter --topic t --add-config min.insync.replicas=2"
        );
        let unclean = [("min.insync.replicas", "2"), ("unclean.leader.election.enable", "true")];
        let (severity, _, help) = of(3, &unclean, &[1, 2, 3]).unwrap();
        assert!(severity == Severity::Warning && help.ends_with("unclean.leader.election.enable=false"), "{help}");
        let (severity, what, _) = of(2, &[("min.insync.replicas", "2")], &[1, 2, 3]).unwrap();
        assert!(severity == Severity::Good && what.contains("while a broker restarts"), "{what}");
        let (severity, what, _) = of(1, &[("min.insync.replicas", "2")], &[1]).unwrap();
        assert!(severity == Severity::Problem && what.contains("refuse every record"), "{what}");
    }
}
