//! Tables and publication while the stream runs: a thread asks the catalogue, lets tables join that match and were created
//! since, and puts back what somebody has taken out of our publication. What was missed meanwhile is for the copies to say.
//!
//! It never stops the stream: whatever it cannot do is a warning with the statement that would, said once.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::catalog::Server;
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
    /// What a look finds is put into `joined`. The start was the first one, unless what it found is not noted yet (`narrow`):
    /// then the next comes at once.
    pub(crate) fn begin(
        config: Config,
        patterns: Patterns,
        server: &Server,
        joined: Joined,
        narrow: bool,
    ) -> Result<Self, Error> {
        if narrow {
            joined.lock().unwrap_or_else(PoisonError::into_inner).narrow = true;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let (version, last) = (server.version, (!narrow).then(|| server.time.clone()));
        let thread = thread::Builder::new()
            .name("postgres-tables".to_owned())
            .spawn(move || {
                let (said, options) = (BTreeSet::new(), None);
                let mut watcher =
                    Watcher { config, patterns, version, joined, control: None, said, options, last, soon: narrow };
                loop {
                    let pause = watcher.config.table_interval;
                    thread::park_timeout(if watcher.soon { pause.min(SOON) } else { pause });
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

/// Until the next look, when something waits for it.
const SOON: Duration = Duration::from_millis(100);

struct Watcher {
    config: Config,
    patterns: Patterns,
    version: u32,
    joined: Joined,
    control: Option<Connection>,
    said: BTreeSet<String>,
    /// [`Publication::version`] as it was at the last look.
    options: Option<String>,
    /// When that was.
    last: Option<String>,
    soon: bool,
}

impl Watcher {
    fn look(&mut self) {
        self.soon = false;
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
        let doing = "asking for the server's time";
        let time = control.query(doing, "SELECT now()::timestamptz(0)")?;
        let time = catalog::field(time.first().ok_or_else(|| catalog::strange(doing))?, 0, doing)?.to_owned();
        let all = catalog::relations(control)?;
        let (mut good, refused) = publication::judge(&all, &self.patterns);
        let name = &self.config.publication;
        let found = publication::read(control, name, self.version)?;
        for table in refused {
            // It is published: then it had an identity before.
            let lost = found.as_ref().is_some_and(|publication| publication.has(&all, &table.name));
            let what = if lost {
                "a captured table has lost its replica identity: its UPDATE and DELETE fail until it has one"
            } else {
                "a new table is not captured"
            };
            if self.said.insert(table.name.to_string()) {
                tracing::warn!(table = %table.name, why = %table.why, help = %table.help, "{what}");
            }
        }
        for table in &good {
            self.said.remove(&table.name.to_string());
        }
        let narrow = found.as_ref().is_some_and(|publication| publication.is_narrow(&good));
        let mut door = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        if narrow && !door.narrow {
            tracing::error!(
                publication = %name, since = self.last,
                "the publication was altered, and leaves out changes: it has to publish insert, update, delete and truncate, \
                 and partitions under their root's name"
            );
            (door.narrow, door.noted) = (true, false);
        }
        // That something is missing comes into the checkpoint first.
        let may_mend = narrow && door.noted;
        drop(door);
        self.soon = narrow && !may_mend;
        let options = found.map(|publication| publication.version);
        if !narrow && self.options.is_some() && self.options != options {
            tracing::warn!(
                publication = %name,
                "somebody altered the publication's options or its owner: if it left out kinds of changes for a while, those are \
                 not in the topics. `headwater snapshot SCHEMA.TABLE` copies a table anew"
            );
        }
        publication::ensure(control, &self.config, self.version, &mut good, may_mend)?;
        self.options = if may_mend { None } else { options };
        let mut door = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        door.narrow = narrow && !may_mend;
        door.joined = good;
        // Nobody may have come to the door since an earlier look: then the window begins there.
        if door.since.is_none() {
            door.since = self.last.take();
        }
        self.last = Some(time);
        Ok(())
    }
}
