//! Tables while the stream runs: a thread asks the catalogue, and lets tables be copied that match and were created since.
//!
//! It never stops the stream: whatever it cannot do is a warning, said once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};

use crate::catalog;
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::snapshot::Joined;

/// The thread; stopped when dropped.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// What a look finds is put into `joined`. The start was the first one.
    pub(crate) fn begin(config: Config, patterns: Patterns, joined: Joined) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("mysql-tables".to_owned())
            .spawn(move || {
                let mut watcher = Watcher { config, patterns, joined, control: None, warned: false };
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
    joined: Joined,
    control: Option<Connection>,
    warned: bool,
}

impl Watcher {
    fn look(&mut self) {
        match self.try_look() {
            Ok(()) => self.warned = false,
            Err(error) => {
                self.control = None;
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(%error, "tables that were created since the start may not have joined");
                }
            }
        }
    }

    fn try_look(&mut self) -> Result<(), Error> {
        let control = match &mut self.control {
            Some(control) => control,
            None => self.control.insert(Connection::open(&self.config, Purpose::Control)?),
        };
        let found = catalog::members(control, &self.patterns)?;
        *self.joined.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(())
    }
}
