//! SIGKILL under load, an immediate new start, and how long it takes until the next event; then what was lost or repeated.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use serde_json::json;
use testkit::Headwater;

use super::latency::receipts_of_new_topic;
use super::load::Load;
use super::report::{Report, milliseconds, quantile};
use super::stand::{Stand, TABLE};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: super::Common,
    /// Rows a second, each a transaction
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5000))]
    rate: u32,
    /// How often headwater is killed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    kills: u32,
    /// Seconds between a recovery and the next kill
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    pause: u64,
    /// exactly-once or at-least-once
    #[arg(long, default_value = "exactly-once", value_parser = ["exactly-once", "at-least-once"])]
    delivery: String,
}

const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = options.common.binary(root)?;
    let stand = Stand::start()?;
    let delivery = if options.delivery == "exactly-once" { "exactly-once" } else { "at-least-once" };
    let pipeline = stand.pipeline("bench_kill", delivery);
    let mut headwater = Headwater::start(&binary, &pipeline.toml())?;
    headwater.wait_ready(LIMIT)?;
    stand.insert(1)?;
    let receipts = receipts_of_new_topic(&stand, &pipeline.topic(TABLE))?;
    receipts.wait_for(LIMIT, |receipt| receipt.id == 1)?;
    let load = Load::start(&stand.database, 2, options.rate)?;
    let mut times = Vec::new();
    for _ in 0..options.kills {
        std::thread::sleep(Duration::from_secs(options.pause));
        let (begin, killed_ms) = (Instant::now(), now_ms()?);
        headwater.kill9()?;
        headwater = Headwater::start(&binary, &pipeline.toml())?;
        // A record that the new process made, and not one that the old one had already sent.
        let next = receipts.wait_for(LIMIT, |receipt| receipt.made_ms > killed_ms && receipt.at > begin)?;
        times.push(next.at - begin);
    }
    let sent = load.stop()?;
    let last = sent.at.keys().max().copied().unwrap_or(1);
    receipts.wait_for(LIMIT, |receipt| receipt.id == last)?;
    let code = headwater.terminate(Duration::from_secs(30))?;
    ensure!(code == 0, "headwater ended with {code}; its log:\n{}", headwater.output());
    let mut seen: HashMap<u64, u64> = HashMap::new();
    for receipt in receipts.stop()? {
        *seen.entry(receipt.id).or_default() += 1;
    }
    let lost = sent.at.keys().filter(|id| !seen.contains_key(*id)).count();
    let repeated: u64 = seen.values().map(|times| times - 1).sum();
    let mut report = Report::new("kill");
    report.add(
        &format!("headwater {delivery}"),
        &json!({
            "kills": times.len(),
            "median_ms": milliseconds(quantile(&times, 0.5)),
            "max_ms": milliseconds(quantile(&times, 1.0)),
            "rows": sent.at.len() + 1,
            "lost": lost,
            "repeated": repeated,
        }),
    );
    report.table();
    ensure!(lost == 0, "{lost} rows were lost");
    ensure!(delivery == "at-least-once" || repeated == 0, "{repeated} rows were repeated");
    Ok(())
}

fn now_ms() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?)
}
