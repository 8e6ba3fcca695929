//! Where the log can be gone on with when it cannot from a checkpoint, for a person who accepts what that costs.

use std::time::{Duration, Instant};

use change::{Position, Resume, Source, SourceError};
use copying::Snapshot;

use crate::catalog;
use crate::config::Config;
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::position::{Passed, Place};
use crate::start;
use crate::stream::MySqlSource;

/// A place in the log, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The server's, as a checkpoint remembers it.
    pub server_identity: String,
    pub position: Position,
    /// In words: `the end of the log`.
    pub what: String,
}

/// The end of the log, now.
///
/// # Errors
///
/// The server cannot be asked, or has no log to read.
pub fn end(config: &Config) -> Result<Elsewhere, SourceError> {
    config.validate()?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let passed = catalog::passed(&mut control, &server)?;
    let position = Position::new(Place { passed, cut: None, anew: true }.to_string());
    Ok(Elsewhere { server_identity: server.identity, position, what: "the end of the log".to_owned() })
}

/// The nearest place behind `checkpoint` from which the log can be read: behind what was purged, or behind the transaction
/// that stops the stream. Reads the log up to there.
///
/// # Errors
///
/// [`SourceError::Stop`]: nothing stands in the way, or what does has no end that could be named.
pub fn behind_gap(config: &Config, checkpoint: &Resume) -> Result<Elsewhere, SourceError> {
    config.validate()?;
    let place = start::parse(&checkpoint.position)?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    let elsewhere = |passed: Passed, what: String| Elsewhere {
        server_identity: server.identity.clone(),
        position: Position::new(Place { passed, cut: None, anew: true }.to_string()),
        what,
    };
    if let Some(cut) = place.cut.as_ref().filter(|cut| cut.server != server.identity) {
        let what = format!(
            "before a transaction that was published in part from server {}: its first {} rows will be there twice",
            cut.server, cut.rows
        );
        return Ok(elsewhere(place.passed, what));
    }
    if let Some((passed, purged)) = behind_purged(&mut control, &place.passed)? {
        return Ok(elsewhere(passed, format!("behind {purged}, which is purged")));
    }
    drop(control);
    let (passed, stumbled) = behind_stumbling(config, checkpoint)?;
    Ok(elsewhere(passed, format!("behind the transaction that cannot be read: {stumbled}")))
}

/// What is in `passed` and what the server has purged, if that is more; and in words what is lost.
fn behind_purged(control: &mut Connection, passed: &Passed) -> Result<Option<(Passed, String)>, Error> {
    match passed {
        Passed::MySql(passed) => {
            let mut lost = catalog::gtid_variable(control, "gtid_purged")?;
            lost.subtract(passed);
            let mut all = passed.clone();
            all.add_all(&lost);
            Ok((!lost.is_empty()).then(|| (Passed::MySql(all), lost.to_string())))
        }
        Passed::MariaDb(passed) => {
            let oldest = catalog::oldest(control)?;
            let ahead = |id: &crate::gtid::mariadb::Gtid| !passed.contains(*id);
            let lost: Vec<_> = oldest.iter().filter(ahead).collect();
            let mut all = passed.clone();
            lost.iter().for_each(|id| all.advance(*id));
            let words: Vec<String> = lost.iter().map(|id| format!("everything up to {id}")).collect();
            Ok((!lost.is_empty()).then(|| (Passed::MariaDb(all), words.join(", "))))
        }
        Passed::File(_) => Ok(None),
    }
}

/// For as long as nothing comes, the end of the log is reached.
const SILENCE: Duration = Duration::from_secs(5);

/// Reads until the stream stops: what was passed then, with the transaction that stopped it, and why it did.
fn behind_stumbling(config: &Config, checkpoint: &Resume) -> Result<(Passed, String), SourceError> {
    // A reader of its own: the pipeline may run, and the server would end its stream for one with the same number.
    let own = crc32fast::hash(format!("{} {}", config.name, std::process::id()).as_bytes());
    let config = Config { server_id: Some(0x8000_0000 | own), snapshot: Snapshot::Never, ..config.clone() };
    let mut source = MySqlSource::new(config)?;
    source.start(Some(checkpoint))?;
    let mut last = Instant::now();
    while last.elapsed() < SILENCE {
        let before = source.position();
        match source.next(Duration::from_millis(100)) {
            Ok(change::Step::Idle) => {}
            Ok(_) => last = Instant::now(),
            Err(SourceError::Stop { what, help }) => {
                let Some(passed) = source.behind_current() else { return Err(SourceError::Stop { what, help }) };
                return Ok((passed, what));
            }
            Err(retry @ SourceError::Retry { .. }) => return Err(retry),
        }
        if source.position() != before {
            last = Instant::now();
        }
    }
    let what = "the log can be read from the checkpoint to its end: there is no gap to accept";
    Err(SourceError::Stop { what: what.to_owned(), help: "`headwater run` goes on".to_owned() })
}
