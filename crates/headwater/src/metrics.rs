//! What the process itself costs, and the text form of all metrics. The pipeline's own metrics are defined beside the
//! pipeline and registered in the same registry.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use change::{Copies, CopyState, TableCopy};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The content type of [`encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const BUILD: &str = "headwater_build";
const BUILD_HELP: &str = "The version that runs";
const UPTIME: &str = "headwater_uptime";
const UPTIME_HELP: &str = "Time since the process began";
const START_TIME: &str = "process_start_time";
const START_TIME_HELP: &str = "When the process began, since the epoch";
const CPU: &str = "process_cpu";
const CPU_HELP: &str = "Processor time of all threads, in user and in kernel mode";
const RESIDENT_MEMORY: &str = "process_resident_memory";
const RESIDENT_MEMORY_HELP: &str = "Memory that is really held";
const OPEN_FILES: &str = "process_open_fds";
const OPEN_FILES_HELP: &str = "Open files and sockets";

/// Linux reports processor time to user space in hundredths of a second on every architecture we build for.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// Registers the metrics of the process.
pub fn register_process(registry: &mut Registry, version: &'static str) {
    registry.register(BUILD, BUILD_HELP, Info::new(BuildLabels { version }));
    registry.register_collector(Box::new(Process::begin()));
}

/// Registers the metrics of copies.
pub fn register_copies(registry: &mut Registry, copies: &Copies) {
    registry.register_collector(Box::new(Snapshots(copies.clone())));
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    table: String,
}

/// Asks the source at every scrape.
#[derive(Debug)]
struct Snapshots(Copies);

impl Collector for Snapshots {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        type Sample = fn(&TableCopy) -> Option<f64>;
        let gauges: [(&str, &str, Sample); 4] = [
            ("headwater_snapshot_rows", "Rows that the copy of a table has read", |copy| Some(copy.rows as f64)),
            ("headwater_snapshot_estimated_rows", "Rows that the table has, as the database estimates it", |copy| {
                copy.estimate.map(|rows| rows as f64)
            }),
            ("headwater_snapshot_complete", "1 when the copy of a table is complete", |copy| {
                Some(f64::from(u8::from(copy.state == CopyState::Complete)))
            }),
            ("headwater_snapshot_paused", "1 while the copy of a table is paused", |copy| {
                Some(f64::from(u8::from(copy.state == CopyState::Paused)))
            }),
        ];
        let copies = self.0.all();
        for (name, help, sample) in gauges {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (table, copy) in &copies {
                let Some(value) = sample(copy) else { continue };
                let labels = TableLabels { table: table.to_string() };
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

/// The text of all metrics, as Prometheus reads it.
pub fn encode(registry: &Registry) -> String {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, registry) {
        Ok(()) => text,
        Err(error) => {
            tracing::warn!(%error, "metrics cannot be written as text");
            "# EOF\n".into()
        }
    }
}

/// The table of all metrics for the documentation, read from the text that Prometheus gets: it cannot say anything else.
pub fn reference_markdown(registry: &Registry) -> String {
    let text = encode(registry);
    let mut table = String::from("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for line in text.lines() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let kind = text.lines().find_map(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name)?.strip_prefix(' '));
        let labels = labels(&text, name);
        let help = help.trim_end_matches('.');
        table.push_str(&format!("| `{name}` | {} | {labels} | {help} |\n", kind.unwrap_or("unknown")));
    }
    table
}

/// The names of a metric's labels, as its first sample has them; a histogram's own `le` is none.
fn labels(text: &str, name: &str) -> String {
    let sample = text.lines().find(|line| !line.starts_with('#') && line.starts_with(name) && line.contains('{'));
    let inside = sample.and_then(|line| Some(line.split_once('{')?.1.rsplit_once('}')?.0)).unwrap_or("");
    let names = inside.split(',').filter_map(|label| label.split_once('=')).map(|(name, _)| name);
    names.filter(|name| *name != "le").map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Asks the kernel at every scrape.
#[derive(Debug)]
struct Process {
    began: Instant,
    began_at: Duration,
}

impl Process {
    fn begin() -> Self {
        let began_at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_at }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: f64| {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?)
        };
        gauge(UPTIME, UPTIME_HELP, Some(Unit::Seconds), self.began.elapsed().as_secs_f64())?;
        gauge(START_TIME, START_TIME_HELP, Some(Unit::Seconds), self.began_at.as_secs_f64())?;
        if let Some(bytes) = resident_bytes() {
            gauge(RESIDENT_MEMORY, RESIDENT_MEMORY_HELP, Some(Unit::Bytes), bytes)?;
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // Reading the directory holds one itself.
            gauge(OPEN_FILES, OPEN_FILES_HELP, None, files.count().saturating_sub(1) as f64)?;
        }
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            let unit = Unit::Seconds;
            metric.encode(encoder.encode_descriptor(CPU, CPU_HELP, Some(&unit), metric.metric_type())?)?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program is in brackets, and may hold anything; times are the 14th and 15th field of all.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let user: f64 = fields.get(11)?.parse().ok()?;
    let kernel: f64 = fields.get(12)?.parse().ok()?;
    Some((user + kernel) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_metric() {
        let mut registry = Registry::default();
        register_process(&mut registry, "1.2.3");
        let text = encode(&registry);
        for name in [
            "headwater_build_info{version=\"1.2.3\"} 1",
            "headwater_uptime_seconds ",
            "process_start_time_seconds ",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
        ] {
            assert!(text.contains(name), "{name} is missing in {text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
