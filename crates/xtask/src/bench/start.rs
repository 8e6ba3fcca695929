//! From the start of the process to the first event that a read-committed reader sees, with one row waiting in the log.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::Headwater;

use super::latency::receipts_of_new_topic;
use super::report::{Report, milliseconds, quantile};
use super::stand::{Stand, TABLE};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: super::Common,
    /// Starts for each delivery
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    runs: u64,
}

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = options.common.binary(root)?;
    let stand = Stand::start()?;
    let mut report = Report::new("start");
    for delivery in ["exactly-once", "at-least-once"] {
        stand.database.execute("truncate orders")?;
        let pipeline = stand.pipeline(if delivery == "exactly-once" { "start_once" } else { "start_least" }, delivery);
        // The first start makes slot, topic and schemas, and does not count.
        let first = Headwater::start(&binary, &pipeline.toml())?;
        first.wait_ready(LIMIT)?;
        stand.insert(1)?;
        let receipts = receipts_of_new_topic(&stand, &pipeline.topic(TABLE))?;
        receipts.wait_for(LIMIT, |receipt| receipt.id == 1)?;
        ensure!(first.terminate(LIMIT)? == 0, "headwater did not end well:\n{}", first.output());
        let mut times = Vec::new();
        for id in 2..options.runs + 2 {
            stand.insert(id)?;
            let begin = Instant::now();
            let headwater = Headwater::start(&binary, &pipeline.toml())?;
            let seen = receipts.wait_for(LIMIT, |receipt| receipt.id == id)?;
            times.push(seen.at - begin);
            ensure!(headwater.terminate(LIMIT)? == 0, "headwater did not end well:\n{}", headwater.output());
        }
        receipts.stop()?;
        stand.drop_slot(&pipeline.name)?;
        report.add(
            &format!("headwater {delivery}"),
            &json!({
                "starts": times.len(),
                "median_ms": milliseconds(quantile(&times, 0.5)),
                "max_ms": milliseconds(quantile(&times, 1.0)),
            }),
        );
    }
    report.table();
    Ok(())
}
