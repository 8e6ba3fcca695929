//! `headwater checkpoint show`: what the checkpoint topic says about this pipeline. Reads only.

use pipeline::checkpoint::{self, Checkpoint};

use crate::assemble;
use crate::cli::Output;
use crate::config::Config;
use crate::failure::Failure;
use crate::output;

/// Prints the newest checkpoint.
pub fn show(config: &Config, format: Output) -> Result<(), Failure> {
    let record = read(config)?;
    match format {
        Output::Json => {
            let text = serde_json::to_string_pretty(&record).map_err(|error| Failure::unexpected(error.to_string()))?;
            output::print(&text);
        }
        Output::Human => output::print(&describe(config, record.as_ref())),
    }
    Ok(())
}

/// The newest checkpoint of the configured pipeline.
pub fn read(config: &Config) -> Result<Option<Checkpoint>, Failure> {
    let kafka = assemble::kafka(config);
    let topic = &config.kafka.checkpoint_topic;
    Ok(checkpoint::read_if_any(&kafka, topic, &config.name, &mut |wait| {
        output::print_error(&format!("waiting for an open transaction on {topic} ({} s)", wait.waited.as_secs()));
        true
    })?)
}

fn describe(config: &Config, found: Option<&Checkpoint>) -> String {
    let (name, topic) = (&config.name, &config.kafka.checkpoint_topic);
    let Some(checkpoint) = found else {
        return format!("pipeline {name} has no checkpoint in {topic}: it has never run");
    };
    let (record, (tables, progress)) = (&checkpoint.record, checkpoint.tables());
    let none = || "none yet".to_owned();
    let rows = [
        ("pipeline", name.clone()),
        ("topic", topic.clone()),
        ("position", record.position.clone().unwrap_or_else(none)),
        ("server", record.server.clone().unwrap_or_else(none)),
        ("instance", record.instance.clone()),
        ("written by", format!("headwater {}", record.version)),
        ("written at", when(record.written_at)),
    ];
    // Names of tables have a dot; what has none is what the source notes for itself.
    let kept = progress.iter().map(|(name, text)| {
        vec![if name.contains('.') { format!("snapshot of {name}") } else { name.clone() }, text.clone()]
    });
    let tables = tables.into_iter().map(|(table, words)| vec![format!("table {table}"), words]);
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]).into_iter();
    output::columns(&rows.chain(tables).chain(kept).collect::<Vec<_>>())
}

fn when(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |moment| moment.to_string())
}
