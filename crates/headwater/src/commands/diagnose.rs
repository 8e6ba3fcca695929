//! `headwater doctor`: asks database, Kafka and registry whether they are fit. Changes nothing.

use std::time::{Duration, Instant};

use change::{Described, Finding, Severity};
use event_avro::Naming;
use pipeline::HeldTable;
use pipeline::checkpoint::{self, Checkpoint};
use schema_registry::{Part, RegisterError};

use crate::assemble;
use crate::cli::Output;
use crate::commands::doctor::{self, Group};
use crate::commands::durability::{self, Cluster};
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;

/// How long an open transaction of somebody else may hide the end of the checkpoint topic.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// How long the registry may take to answer at all.
const REGISTRY: Duration = Duration::from_secs(5);

/// Looks at everything, whatever the first findings are.
pub fn run(config: &Config, format: Output) -> Result<Exit, Failure> {
    let (source, tables) = look_at_source(config);
    let (kafka, checkpoint) = look_at_kafka(config, &tables);
    let groups = [
        Group { title: "source".to_owned(), findings: source },
        Group { title: "kafka".to_owned(), findings: kafka },
        Group { title: "registry".to_owned(), findings: look_at_registry(config, checkpoint.as_ref())? },
    ];
    Ok(doctor::present(&groups, format))
}

/// The findings, and the topics' names as far as the findings name tables.
fn look_at_source(config: &Config) -> (Vec<Finding>, Vec<String>) {
    let findings = match assemble::database(config).check() {
        Ok(findings) => findings,
        Err(error) => {
            let help = match &error {
                change::SourceError::Stop { help, .. } => Some(help.clone()),
                change::SourceError::Retry { .. } => {
                    Some("check host and port in source.url, and whether the server runs".to_owned())
                }
            };
            vec![finding(Severity::Problem, "server", error.to_string(), help)]
        }
    };
    let topics = findings
        .iter()
        .filter_map(|finding| finding.subject.strip_prefix("table ")?.split_once('.'))
        .filter_map(|(schema, table)| event_avro::topic(&config.kafka.topic_prefix, schema, table).ok())
        .collect();
    (findings, topics)
}

/// The findings, and the checkpoint if there is one.
fn look_at_kafka(config: &Config, topics: &[String]) -> (Vec<Finding>, Option<Checkpoint>) {
    let kafka = assemble::kafka(config);
    let brokers = &config.kafka.brokers;
    let admin = match sink_kafka::Admin::connect(&kafka) {
        Ok(admin) => admin,
        Err(error) => return (vec![finding(Severity::Problem, "client", error.to_string(), None)], None),
    };
    let ids = match admin.brokers() {
        Ok(ids) => ids,
        Err(error) => {
            let help = Some("check kafka.brokers, and the security settings under [kafka.properties]".to_owned());
            return (vec![finding(Severity::Problem, "brokers", error.to_string(), help)], None);
        }
    };
    let cluster = Cluster { addresses: brokers, ids: &ids };
    let mut findings = vec![finding(Severity::Good, "brokers", format!("{} answer at {brokers}", ids.len()), None)];
    findings.push(look_at_checkpoint_topic(config, &kafka, &admin));
    findings.extend(look_at_durability(&admin, &config.kafka.checkpoint_topic, &cluster));
    let mut wait = |wait: sink_kafka::Wait| wait.waited < CHECKPOINT;
    // One that cannot be read is a matter of the topic's, which has been looked at.
    let checkpoint = checkpoint::read_if_any(&kafka, &config.kafka.checkpoint_topic, &config.name, &mut wait);
    let checkpoint = checkpoint.ok().flatten();
    findings.extend(checkpoint.iter().flat_map(look_at_held));
    for topic in topics {
        findings.push(look_at_topic(&kafka, &admin, topic));
        findings.extend(look_at_durability(&admin, topic, &cluster));
    }
    (findings, checkpoint)
}

/// What a topic that exists keeps when brokers fail. That it cannot be asked has been said before.
fn look_at_durability(admin: &sink_kafka::Admin, topic: &str, cluster: &Cluster<'_>) -> Option<Finding> {
    let state = admin.state(topic).ok()??;
    durability::judge(&state, &admin.describe_config(topic).ok()?, cluster)
}

fn look_at_checkpoint_topic(config: &Config, kafka: &sink_kafka::Config, admin: &sink_kafka::Admin) -> Finding {
    let topic = &config.kafka.checkpoint_topic;
    let subject = format!("topic {topic}");
    let spec = sink_kafka::TopicSpec::checkpoint(topic.as_str(), kafka.topics.replication_factor);
    match admin.partitions(topic) {
        Err(error) => finding(Severity::Problem, &subject, error.to_string(), None),
        Ok(None) => {
            let help = Some(spec.command(&config.kafka.brokers));
            finding(Severity::Good, &subject, "does not exist yet; headwater makes it if it may".to_owned(), help)
        }
        Ok(Some(_)) => match admin.ensure_checkpoint(&spec) {
            Ok(_) => finding(Severity::Good, &subject, "one partition, compacted".to_owned(), None),
            Err(error) => finding(Severity::Problem, &subject, error.to_string(), None),
        },
    }
}

/// Tables whose events are parked.
fn look_at_held(checkpoint: &Checkpoint) -> Vec<Finding> {
    let look = |held: HeldTable| {
        let (state, help) = match held.returning {
            true => ("released; its events are on their way back from", None),
            false => ("held; its events are parked in", Some(held.help)),
        };
        let what = format!("{state} {}: {}", held.topic, held.reason);
        finding(Severity::Warning, &format!("table {}", held.table), what, help)
    };
    checkpoint.held().into_iter().map(look).collect()
}

fn look_at_topic(kafka: &sink_kafka::Config, admin: &sink_kafka::Admin, topic: &str) -> Finding {
    let subject = format!("topic {topic}");
    let state = match admin.state(topic) {
        Err(error) => return finding(Severity::Problem, &subject, error.to_string(), None),
        Ok(None) => {
            let spec = sink_kafka::TopicSpec::events(topic, &kafka.topics);
            let what = "does not exist yet; headwater makes it if it may".to_owned();
            return finding(Severity::Good, &subject, what, Some(spec.command(&kafka.brokers)));
        }
        Ok(Some(state)) => state,
    };
    let settings = match admin.describe_config(topic) {
        Err(error) => return finding(Severity::Problem, &subject, error.to_string(), None),
        Ok(settings) => settings,
    };
    let limit = settings.get("max.message.bytes").and_then(|value| value.parse::<usize>().ok());
    if limit.is_some_and(|limit| limit < kafka.message_max_bytes()) {
        let what = format!("takes records of up to {} bytes, the client sends more", limit.unwrap_or(0));
        let help = format!(
            "kafka-configs --bootstrap-server {} --alter --topic {topic} --add-config max.message.bytes={}",
            kafka.brokers,
            kafka.message_max_bytes()
        );
        return finding(Severity::Warning, &subject, what, Some(help));
    }
    let what = format!("{} partitions, {} replicas", state.partitions, state.replication_factor);
    finding(Severity::Good, &subject, what, None)
}

fn look_at_registry(config: &Config, checkpoint: Option<&Checkpoint>) -> Result<Vec<Finding>, Failure> {
    let registry = schema_registry::Registry::new(assemble::registry(config)?)
        .map_err(|error| Failure::configuration(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start the runtime: {error}")))?;
    let until = Instant::now().checked_add(REGISTRY);
    let level = match runtime.block_on(registry.global_level(until)) {
        Ok(level) => level,
        Err(error) => {
            let help = Some("check registry.url, its path and the login".to_owned());
            return Ok(vec![finding(Severity::Problem, "registry", error.to_string(), help)]);
        }
    };
    let what = format!("{} answers; its level is {level}", registry.url());
    let mut findings = vec![finding(Severity::Good, "registry", what, None)];
    if !config.registry.register {
        findings.extend(look_at_schemas(config, checkpoint, &registry, &runtime));
    }
    Ok(findings)
}

/// Where schemas may only be looked up: which ones somebody else has still to register, and how.
fn look_at_schemas(
    config: &Config,
    checkpoint: Option<&Checkpoint>,
    registry: &schema_registry::Registry,
    runtime: &tokio::runtime::Runtime,
) -> Vec<Finding> {
    // That the database cannot be asked is said with the source's findings.
    let Ok(Described { info, tables }) = assemble::database(config).describe() else { return Vec::new() };
    let prefix = &config.kafka.topic_prefix;
    let naming = Naming { prefix: prefix.clone() };
    let versions = checkpoint.map(Checkpoint::topic_versions).unwrap_or_default();
    let mut missing = Vec::new();
    let mut found = 0;
    for table in &tables {
        let Ok(topic) = event_avro::topic(prefix, &table.name.schema, &table.name.table) else { continue };
        let topic = event_avro::topic_version(&topic, versions.get(&table.name).copied().unwrap_or(1));
        let key = event_avro::key_schema(table, &naming);
        let key = key.map(|schema| (Part::Key, event_avro::key_record(&table.name, &naming), schema));
        let value = event_avro::value_schema(table, &info, &naming);
        let value = (Part::Value, event_avro::value_record(&table.name, &naming), value);
        for (part, record, schema) in key.into_iter().chain([value]) {
            let subject = registry.subject(&topic, part, &record);
            let until = Instant::now().checked_add(REGISTRY);
            let what = format!("subject {subject}");
            match runtime.block_on(registry.register(&subject, &schema, until)) {
                Ok(_) => found += 1,
                Err(error @ RegisterError::NotRegistered { .. }) => {
                    let help = registry.registration(&subject, &schema);
                    missing.push(finding(Severity::Problem, &what, error.to_string(), Some(help)));
                }
                // Whoever does not answer this question does not answer the others.
                Err(error) => return vec![finding(Severity::Problem, &what, error.to_string(), None)],
            }
        }
    }
    if missing.is_empty() {
        let what = format!("all {found} are registered; headwater registers none (registry.register = false)");
        return vec![finding(Severity::Good, "schemas", what, None)];
    }
    missing
}

fn finding(severity: Severity, subject: &str, what: String, help: Option<String>) -> Finding {
    Finding { severity, subject: subject.to_owned(), what, help }
}
