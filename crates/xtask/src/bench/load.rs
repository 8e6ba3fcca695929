//! A steady load: single-row transactions at a fixed rate, whatever headwater does.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use testkit::{Database, wait};

use super::stand::ROW;

/// The statement that inserts the row with this number.
pub(super) fn insert(id: u64) -> String {
    format!("insert into orders select {ROW} from (select {id}::bigint as i) numbers")
}

/// What was sent.
pub(super) struct Sent {
    /// When the statement of each row was sent; its commit follows within a fraction of a millisecond.
    pub(super) at: HashMap<u64, Instant>,
    /// The longest time by which a statement left later than its schedule said.
    pub(super) worst_lateness: Duration,
}

/// A running load.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    work: JoinHandle<Result<Sent>>,
}

impl Load {
    /// Begins with the row `first`, `rate` rows a second.
    pub(super) fn start(database: &Database, first: u64, rate: u32) -> Result<Self> {
        let client = Arc::new(database.connect_sync()?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = std::thread::spawn(move || {
            let (begin, interval) = (Instant::now(), Duration::from_secs(1) / rate);
            let mut sent = Sent { at: HashMap::new(), worst_lateness: Duration::ZERO };
            let mut due = begin;
            let mut id = first;
            while !stopped.load(Ordering::Relaxed) {
                let now = Instant::now();
                match due.checked_duration_since(now) {
                    Some(early) => std::thread::sleep(early),
                    None => sent.worst_lateness = sent.worst_lateness.max(now - due),
                }
                let (client, statement) = (Arc::clone(&client), insert(id));
                sent.at.insert(id, Instant::now());
                wait(async move { client.batch_execute(&statement).await })?;
                id += 1;
                due += interval;
            }
            Ok(sent)
        });
        Ok(Self { stop, work })
    }

    /// Ends the load after the statement under way.
    pub(super) fn stop(self) -> Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().map_err(|_| anyhow!("the load's thread panicked; its message is above"))?
    }
}
