//! Tables that are created while the stream runs: a thread asks the catalogue, and lets those that match join.
//!
//! It never stops the stream: whatever it cannot do is a warning with the statement that would, said once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crate::config::{Config, Patterns};
use crate::connection::Connection;
use crate::error::Error;
use crate::snapshot::Joined;
use crate::{catalog, publication, start};

/// The thread; stopped when dropped.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Tables that are in the stream after a look are put into `joined`.
    pub(crate) fn begin(config: Config, patterns: Patterns, version: u32, joined: Joined) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("postgres-tables".to_owned())
            .spawn(move || {
                let mut watcher = Watcher { config, patterns, version, joined, control: None, said: BTreeSet::new() };
                loop {
                    thread::park_timeout(watcher.config.table_interval);
                    if seen.load(Ordering::Acquire) {
                        return;
                    }
                    watcher.look();
                }
            })
            .map_err(Error::network("starting a thread"))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Not joined: a query that hangs in the network must not hold up the end of the stream.
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
        }
    }
}

struct Watcher {
    config: Config,
    patterns: Patterns,
    version: u32,
    joined: Joined,
    control: Option<Connection>,
    said: BTreeSet<String>,
}

impl Watcher {
    fn look(&mut self) {
        if let Err(error) = self.try_look() {
            self.control = None;
            let (what, help) = match error {
                Error::Stop { what, help } => (what, help),
                error => (error.to_string(), String::new()),
            };
            if self.said.insert(what.clone()) {
                tracing::warn!(%what, %help, "tables that were created since the start may not have joined");
            }
        }
    }

    fn try_look(&mut self) -> Result<(), Error> {
        let control = match &mut self.control {
            Some(control) => control,
            None => self.control.insert(start::open_control(&self.config)?),
        };
        let all = catalog::relations(control)?;
        let (good, refused) = publication::judge(&all, &self.patterns);
        for table in refused {
            if self.said.insert(table.name.to_string()) {
                tracing::warn!(table = %table.name, why = %table.why, help = %table.help, "a new table is not captured");
            }
        }
        publication::ensure(control, &self.config, self.version, &good)?;
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner) = good;
        Ok(())
    }
}
