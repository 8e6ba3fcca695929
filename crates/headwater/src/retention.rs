//! The metrics of what the database keeps for the pipeline. A value that is not known has no sample, so that an alert on a
//! small number is silent while there is nothing to forecast.

use std::time::Duration;

use change::{LogDisk, LogStatus, Retention, Watched};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// What the source's guard writes, and everybody else reads.
pub type Shown = Watched<Option<Retention>>;

/// Registers the metrics.
pub fn register(registry: &mut Registry, shown: &Shown) {
    registry.register_collector(Box::new(Kept(shown.clone())));
}

/// With every value known: for the reference page.
pub fn sample() -> Shown {
    let shown = Shown::default();
    shown.set(Some(Retention {
        measured_at: 0,
        keeper: String::new(),
        status: LogStatus::Reserved,
        retained_bytes: 0,
        unconfirmed_bytes: 0,
        safe_bytes: Some(0),
        written_per_second: Some(0.0),
        lost_in: Some(Duration::ZERO),
        outage_in_hand: Some(Duration::ZERO),
        disk: Some(LogDisk { granted_bytes: 0, used_bytes: 0, full_in: Some(Duration::ZERO) }),
        oldest_transaction: Some(Duration::ZERO),
        holders: Vec::new(),
        concern: None,
    }));
    shown
}

/// Read at every scrape.
#[derive(Debug)]
struct Kept(Shown);

/// Name, meaning, unit, value.
type Sample = (&'static str, &'static str, Option<Unit>, Option<f64>);

fn samples(retention: &Retention) -> [Sample; 10] {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let disk = retention.disk.as_ref();
    let (bytes, time) = (|| Some(Unit::Bytes), || Some(Unit::Seconds));
    [
        (
            "headwater_source_retained",
            "Log that the database keeps for this pipeline's slot",
            bytes(),
            Some(retention.retained_bytes as f64),
        ),
        (
            "headwater_source_unconfirmed",
            "The part of the kept log that headwater has not confirmed; the rest is kept for an open transaction",
            bytes(),
            Some(retention.unconfirmed_bytes as f64),
        ),
        (
            "headwater_source_safe",
            "Log that may still be written before the slot may be lost; none without max_slot_wal_keep_size",
            bytes(),
            retention.safe_bytes.map(|bytes| bytes as f64),
        ),
        (
            "headwater_source_log_bytes_per_second",
            "How fast the database writes its log, whoever writes",
            None,
            retention.written_per_second,
        ),
        (
            "headwater_source_lost_in",
            "Forecast: until the slot is lost, if what it keeps goes on growing as lately; none if it does not grow",
            time(),
            seconds(retention.lost_in),
        ),
        (
            "headwater_source_outage_in_hand",
            "Until the slot is lost if nothing were confirmed from now on: how long an outage may last",
            time(),
            seconds(retention.outage_in_hand),
        ),
        (
            "headwater_source_disk_left",
            "What the log may still take of source.wal_disk; none if it is not set",
            bytes(),
            disk.map(|disk| disk.left_bytes() as f64),
        ),
        (
            "headwater_source_disk_full_in",
            "Forecast: until source.wal_disk is used up; none if the log does not grow",
            time(),
            disk.and_then(|disk| seconds(disk.full_in)),
        ),
        (
            "headwater_source_oldest_transaction",
            "Age of the oldest open or prepared transaction that the log is kept for; none if there is none",
            time(),
            seconds(retention.oldest_transaction),
        ),
        (
            "headwater_source_looked_at_timestamp",
            "When the database was last asked for these values, since 1970",
            time(),
            Some(retention.measured_at as f64 / 1e6),
        ),
    ]
}

const STATUS: &str = "headwater_source_log_status";
const STATUS_HELP: &str = "1 for the status of the kept log (reserved, extended, unreserved, lost), 0 for the others";

impl Collector for Kept {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let Some(retention) = self.0.look() else { return Ok(()) };
        for (name, help, unit, value) in samples(&retention) {
            if let Some(value) = value {
                let gauge = ConstGauge::new(value);
                gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), gauge.metric_type())?)?;
            }
        }
        let gauge = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(STATUS, STATUS_HELP, None, gauge.metric_type())?;
        for status in LogStatus::ALL {
            let gauge = ConstGauge::new(i64::from(retention.status == status));
            gauge.encode(family.encode_family(&[("status", status.name())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(shown: &Shown) -> String {
        let mut registry = Registry::default();
        register(&mut registry, shown);
        crate::metrics::encode(&registry)
    }

    #[test]
    fn what_is_not_known_has_no_sample() {
        assert_eq!(text(&Shown::default()), "# EOF\n");
        let shown = sample();
        let Some(mut retention) = shown.look() else { panic!("the sample holds something") };
        let all = text(&shown);
        for line in [
            "headwater_source_safe_bytes 0.0",
            "headwater_source_lost_in_seconds 0.0",
            "headwater_source_disk_full_in_seconds 0.0",
            "headwater_source_log_status{status=\"reserved\"} 1",
            "headwater_source_log_status{status=\"lost\"} 0",
        ] {
            assert!(all.lines().any(|found| found == line), "{line} is missing in {all}");
        }
        (retention.safe_bytes, retention.lost_in, retention.disk) = (None, None, None);
        (retention.retained_bytes, retention.status) = (5, LogStatus::Unreserved);
        shown.set(Some(retention));
        let some = text(&shown);
        for name in ["_safe_", "_lost_in_", "_disk_"] {
            assert!(!some.contains(name), "{name} is in {some}");
        }
        assert!(some.contains("headwater_source_retained_bytes 5.0"), "{some}");
        assert!(some.contains("headwater_source_log_status{status=\"unreserved\"} 1"), "{some}");
    }
}
