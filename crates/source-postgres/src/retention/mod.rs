//! The slot's guard: a thread that looks at what the slot keeps, forecasts its loss, and names who holds it.
//!
//! It has a connection of its own and lives as long as the process, not as long as a stream: the log grows just when there is
//! none, because Kafka or the registry is away. It never stops anything, whatever it meets: a server that cannot be asked is
//! the stream's business, and what the role may not see is said once.

mod asking;
pub(crate) mod doctor;
mod forecast;
mod masking;
mod verdict;
#[cfg(test)]
mod verdict_tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use change::{Holder, Retention, Severity, SourceError, Watched};

use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::start;
use asking::TRANSACTION;
use forecast::{History, Reading};
use verdict::{Say, Settings, Teller};

/// Between two looks at most. Two small queries of system views; a forecast is two minutes old at most.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the slot until it is dropped.
#[derive(Debug)]
pub struct SlotGuard {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlotGuard {
    /// What a look finds is put into `shown`; nothing (`None`) while the slot was not found.
    pub fn begin(config: Config, shown: Watched<Option<Retention>>) -> Result<Self, SourceError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let interval = config.table_interval.min(INTERVAL);
        let mut guard = Guard {
            config,
            shown,
            began: Instant::now(),
            control: None,
            history: History::default(),
            teller: Teller::default(),
            said: BTreeSet::new(),
        };
        let thread = thread::Builder::new()
            .name("postgres-slot".to_owned())
            .spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    guard.look();
                    thread::park_timeout(interval);
                }
            })
            .map_err(Error::network("starting a thread"))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Not joined: a query that hangs in the network must not hold up the end of the process.
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
        }
    }
}

struct Guard {
    config: Config,
    shown: Watched<Option<Retention>>,
    began: Instant,
    control: Option<Connection>,
    history: History,
    teller: Teller,
    /// What was said of things that do not change by themselves.
    said: BTreeSet<String>,
}

impl Guard {
    fn look(&mut self) {
        if let Err(error) = self.try_look() {
            // What was seen last stays, with its time: it is more than nothing while the server is away.
            self.control = None;
            match SourceError::from(error) {
                SourceError::Retry { what } => tracing::debug!(%what, "the slot cannot be looked at now"),
                SourceError::Stop { what, help } => {
                    if self.said.insert(what.clone()) {
                        tracing::warn!(%what, %help, "what the slot keeps is not watched");
                    }
                }
            }
        }
    }

    fn try_look(&mut self) -> Result<(), Error> {
        let slot = self.config.slot.as_str();
        let control = match &mut self.control {
            Some(control) => control,
            None => self.control.insert(start::open_control(&self.config)?),
        };
        let Some(seen) = asking::slot(control, slot, self.began.elapsed())? else {
            self.shown.set(None);
            return Ok(());
        };
        let mut reading = seen.reading;
        if self.config.wal_disk.is_some() {
            if seen.may_list {
                reading.log_files = Some(asking::log_files(control)?);
            } else if self.said.insert("pg_ls_waldir".to_owned()) {
                tracing::warn!(
                    help = "GRANT pg_monitor TO the role, or take source.wal_disk out",
                    "source.wal_disk is set, but the role may not count the log's files: the disk is not watched"
                );
            }
        }
        let holders = asking::holders(control, slot)?;
        self.history.push(reading);
        let mut retention = describe(&self.config, &self.history, reading, holders);
        let settings = Settings { slot, limit: reading.limit };
        retention.concern = verdict::concern(&retention, &settings);
        self.tell(&retention);
        self.shown.set(Some(retention));
        Ok(())
    }

    fn tell(&mut self, retention: &Retention) {
        let (status, retained) = (retention.status.name(), retention.retained_bytes);
        match (self.teller.hear(verdict::level(retention)), &retention.concern) {
            (Say::Worse, Some(concern)) if concern.severity == Severity::Problem => {
                tracing::error!(status, retained, help = %concern.help, "{}", concern.what);
            }
            (Say::Worse, Some(concern)) => tracing::warn!(status, retained, help = %concern.help, "{}", concern.what),
            (Say::Over, _) => {
                let kept = change::bytes_in_words(retained);
                tracing::info!(status, retained, "slot {} is out of danger: it keeps {kept} of log", self.config.slot);
            }
            _ => {}
        }
    }
}

fn describe(config: &Config, history: &History, reading: Reading, holders: Vec<Holder>) -> Retention {
    let transactions = holders.iter().filter(|holder| matches!(holder.kind, TRANSACTION | "prepared transaction"));
    let oldest_transaction = transactions.filter(|holder| holder.holds_log).filter_map(|holder| holder.age).max();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Retention {
        measured_at: i64::try_from(now.as_micros()).unwrap_or(i64::MAX),
        keeper: format!("slot {}", config.slot),
        status: reading.status,
        retained_bytes: reading.retained(),
        unconfirmed_bytes: reading.unconfirmed(),
        safe_bytes: reading.safe,
        written_per_second: history.written(),
        lost_in: history.lost_in(),
        outage_in_hand: history.outage_in_hand(),
        disk: history.disk(config.wal_disk),
        oldest_transaction,
        holders,
        concern: None,
    }
}
