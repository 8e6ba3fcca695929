//! Which crate may depend on which: the table that keeps pure code pure and the sources ignorant of Kafka.

use anyhow::{Context, Result};

const REASON: &str = "crates are pure or talk to exactly one outside system; the table is in docs/architecture.md";

/// What a crate's manifest may name.
struct Allowed {
    krate: &'static str,
    /// Our own crates.
    ours: &'static [&'static str],
    /// Crates of others that would break the crate's promise.
    never: &'static [&'static str],
}

const KAFKA: &str = "rdkafka";
const SOURCE_NEVER: &[&str] = &["apache-avro", KAFKA, "rdkafka-sys", "reqwest", "schema_registry_converter", "axum"];

const TABLE: &[Allowed] = &[
    Allowed {
        krate: "change",
        ours: &[],
        never: &[
            "tokio",
            KAFKA,
            "reqwest",
            "apache-avro",
            "tokio-postgres",
            "postgres-protocol",
            "mysql_async",
            "mysql_common",
        ],
    },
    Allowed { krate: "copying", ours: &["change"], never: SOURCE_NEVER },
    Allowed { krate: "transport", ours: &[], never: SOURCE_NEVER },
    Allowed { krate: "source-postgres", ours: &["change", "copying", "transport"], never: SOURCE_NEVER },
    Allowed { krate: "source-mysql", ours: &["change", "copying", "transport"], never: SOURCE_NEVER },
    Allowed {
        krate: "event-avro",
        ours: &["change"],
        never: &["tokio", "reqwest", KAFKA, "schema_registry_converter", "axum"],
    },
    Allowed { krate: "schema-registry", ours: &[], never: &[KAFKA, "tokio-postgres", "axum"] },
    Allowed { krate: "sink-kafka", ours: &[], never: &["apache-avro", "reqwest", "tokio-postgres", "axum"] },
    Allowed {
        krate: "pipeline",
        ours: &["change", "event-avro", "schema-registry", "sink-kafka"],
        never: &["tokio-postgres", "postgres-protocol", "mysql_async", KAFKA, "reqwest", "axum"],
    },
    Allowed {
        krate: "headwater",
        ours: &["change", "event-avro", "pipeline", "schema-registry", "sink-kafka", "source-postgres", "source-mysql"],
        never: &[],
    },
    Allowed { krate: "testkit", ours: &["change"], never: &[] },
    Allowed { krate: "xtask", ours: &["testkit"], never: &[] },
];

const OURS: &[&str] = &[
    "change",
    "copying",
    "transport",
    "source-postgres",
    "source-mysql",
    "event-avro",
    "schema-registry",
    "sink-kafka",
    "pipeline",
    "headwater",
    "testkit",
    "xtask",
];

/// The violations of one manifest: line, what, why.
pub(crate) fn check(text: &str) -> Result<Vec<(usize, String, &'static str)>> {
    let manifest: toml::Table = toml::from_str(text).context("not TOML")?;
    let Some(krate) = manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str())
    else {
        return Ok(Vec::new());
    };
    let Some(allowed) = TABLE.iter().find(|allowed| allowed.krate == krate) else {
        let what = format!("crate `{krate}` is not in the dependency table of xtask's tidy");
        return Ok(vec![(1, what, "a crate is added only when two others need what it holds")]);
    };
    let mut found = Vec::new();
    let mut report = |section: &str, dependency: &str| {
        let line =
            text.lines().position(|line| line.split(['=', '.']).next().is_some_and(|key| key.trim() == dependency));
        found.push((line.map_or(1, |line| line + 1), format!("`{krate}` has `{dependency}` in [{section}]"), REASON));
    };
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let Some(table) = manifest.get(section).and_then(|section| section.as_table()) else { continue };
        for dependency in table.keys() {
            let name = dependency.as_str();
            let shipped = section != "dev-dependencies";
            let wrong = if OURS.contains(&name) {
                !allowed.ours.contains(&name) && (shipped || name != "testkit")
            } else {
                shipped && allowed.never.contains(&name)
            };
            if wrong {
                report(section, name);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(manifest: &str) -> Vec<usize> {
        check(manifest).unwrap().into_iter().map(|(line, ..)| line).collect()
    }

    #[test]
    fn a_source_does_not_know_kafka_avro_or_the_pipeline() {
        let manifest = "[package]\nname = \"source-postgres\"\n[dependencies]\nchange = { workspace = true }\n\
                        pipeline = { workspace = true }\nrdkafka = \"1\"\napache-avro = \"1\"\n";
        assert_eq!(lines(manifest), [7, 5, 6]);
    }

    #[test]
    fn tests_may_use_the_test_kit_and_nothing_shipped_may() {
        assert_eq!(
            lines("[package]\nname = \"pipeline\"\n[dev-dependencies]\ntestkit.workspace = true\n"),
            [0usize; 0]
        );
        assert_eq!(lines("[package]\nname = \"pipeline\"\n[dependencies]\ntestkit.workspace = true\n"), [4]);
    }

    #[test]
    fn a_new_crate_is_entered_in_the_table_first() {
        assert_eq!(lines("[package]\nname = \"common\"\n"), [1]);
    }

    #[test]
    fn the_workspace_manifest_is_no_crate() {
        assert_eq!(lines("[workspace]\nmembers = []\n"), [0usize; 0]);
    }
}
