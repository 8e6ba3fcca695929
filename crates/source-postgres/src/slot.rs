//! The replication slot: what it remembers, whether it still can, and who holds it.

use std::time::{Duration, Instant};

use crate::catalog::{self, field, flag};
use crate::config::Config;
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::lsn::Lsn;
use crate::position::Place;
use crate::sql;

/// A slot as `pg_replication_slots` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) plugin: String,
    pub(crate) database: String,
    pub(crate) active_pid: Option<i32>,
    pub(crate) confirmed_flush: Option<Lsn>,
    pub(crate) restart: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub(crate) wal_status: String,
    /// Since PostgreSQL 17, why it is invalid.
    pub(crate) invalid: Option<String>,
    /// The holder's role is our own.
    pub(crate) holder_is_us: bool,
    /// Bytes between `restart` and the end of the log.
    pub(crate) retained: Option<u64>,
}

pub(crate) fn read(connection: &mut Connection, name: &str) -> Result<Option<Slot>, Error> {
    let doing = format!("reading slot {name}");
    let rows = connection.query(
        &doing,
        &format!(
            "SELECT coalesce(s.plugin, ''), coalesce(s.database, ''), s.active_pid, s.confirmed_flush_lsn, \
             s.restart_lsn, coalesce(s.wal_status, ''), to_jsonb(s)->>'invalidation_reason', \
             coalesce(a.usename = current_user, false), \
             CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn) END \
             FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid \
             WHERE s.slot_name = {}",
            sql::literal(name)
        ),
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let lsn = |index: usize| match row.get(index) {
        Some(Some(text)) => text.parse().map(Some).map_err(|_| catalog::strange(&doing)),
        _ => Ok(None),
    };
    Ok(Some(Slot {
        plugin: field(row, 0, &doing)?.to_owned(),
        database: field(row, 1, &doing)?.to_owned(),
        active_pid: row.get(2).and_then(Option::as_ref).and_then(|pid| pid.parse().ok()),
        confirmed_flush: lsn(3)?,
        restart: lsn(4)?,
        wal_status: field(row, 5, &doing)?.to_owned(),
        invalid: row.get(6).cloned().flatten(),
        holder_is_us: flag(row, 7),
        retained: row.get(8).and_then(Option::as_ref).and_then(|bytes| bytes.parse().ok()),
    }))
}

impl Slot {
    /// Why nothing can be read from it any more.
    pub(crate) fn broken(&self, name: &str, database: &str) -> Option<Error> {
        if self.plugin != "pgoutput" {
            let plugin = if self.plugin.is_empty() { "none: it is physical" } else { &self.plugin };
            return Some(Error::stop(
                format!("slot {name} belongs to another plugin ({plugin})"),
                "choose another `slot`; headwater makes it",
            ));
        }
        if self.database != database {
            return Some(Error::stop(
                format!("slot {name} belongs to database {}, not to {database}", self.database),
                "choose another `slot`; headwater makes it",
            ));
        }
        let lost = self.wal_status == "lost" || self.restart.is_none() || self.invalid.is_some();
        lost.then(|| {
            let why = self
                .invalid
                .clone()
                .unwrap_or_else(|| "the server removed log that it needed (max_slot_wal_keep_size)".to_owned());
            Error::stop(
                format!(
                    "slot {name} is lost (wal_status = {}): {why}; changes after {} cannot be read any more",
                    self.wal_status,
                    self.confirmed_flush.unwrap_or_default()
                ),
                format!(
                    "{} {} then `headwater accept gap` says what is lost and goes on",
                    sql::drop_slot(name),
                    sql::create_slot(name)
                ),
            )
        })
    }
}

/// The slot is there, belongs here, and covers everything after `resume`. `None`: it has to be made.
pub(crate) fn examine(
    slot: Option<Slot>,
    name: &str,
    database: &str,
    resume: Option<&Place>,
) -> Result<Option<Slot>, Error> {
    let Some(slot) = slot else {
        return match resume {
            None => Ok(None),
            Some(place) => Err(Error::stop(
                format!("slot {name} is gone, and with it all changes after {place}"),
                format!(
                    "if it was dropped: {} then `headwater accept gap` says what is lost and goes on",
                    sql::create_slot(name)
                ),
            )),
        };
    };
    if let Some(error) = slot.broken(name, database) {
        return Err(error);
    }
    let confirmed = slot.confirmed_flush.unwrap_or_default();
    match resume {
        Some(place) if confirmed > place.restart() => Err(Error::stop(
            format!(
                "slot {name} is ahead of the checkpoint: changes from {} to {confirmed} cannot be read",
                place.restart()
            ),
            "somebody else read from it, or it was made anew; `headwater accept gap` says what is lost and goes on",
        )),
        _ => Ok(Some(slot)),
    }
}

/// How long a predecessor may take to go by itself.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// Waits until nobody holds the slot; after a while ends the holder, if it is our own role.
pub(crate) fn take_over(control: &mut Connection, name: &str) -> Result<(), Error> {
    let begin = Instant::now();
    let mut ended = false;
    loop {
        let Some(slot) = read(control, name)? else { return Ok(()) };
        let Some(pid) = slot.active_pid else { return Ok(()) };
        if begin.elapsed() >= PATIENCE && !ended {
            if !slot.holder_is_us {
                return Err(Error::Retry(format!(
                    "slot {name} is in use by process {pid} of another role; end it there, or: SELECT pg_terminate_backend({pid});"
                )));
            }
            tracing::warn!(slot = name, pid, "the slot is still held by our own role: ending that process");
            control.query("ending the slot's holder", &format!("SELECT pg_terminate_backend({pid})"))?;
            ended = true;
        }
        if begin.elapsed() >= 3 * PATIENCE {
            return Err(Error::Retry(format!("slot {name} is still in use by process {pid}")));
        }
        std::thread::sleep(POLL);
    }
}

/// Makes the slot; answers where it begins. Waits for transactions that are running now, as the server does.
pub(crate) fn create(replication: &mut Connection, name: &str, temporary: bool) -> Result<Lsn, Error> {
    let doing = format!("making slot {name}");
    let kind = if temporary { "TEMPORARY LOGICAL" } else { "LOGICAL" };
    let command = format!("CREATE_REPLICATION_SLOT {} {kind} pgoutput NOEXPORT_SNAPSHOT", sql::identifier(name));
    let rows = replication.query(&doing, &command).map_err(|error| match error {
        Error::Retry(_) => Error::Retry(format!(
            "{doing}: the server waits for transactions that are running now; see pg_stat_activity.backend_xid"
        )),
        error if error.code() == Some("42501") => {
            Error::stop(error.to_string(), format!("let a role with REPLICATION run: {}", sql::create_slot(name)))
        }
        error if error.code() == Some("53400") => Error::stop(
            error.to_string(),
            "raise max_replication_slots (needs a restart), or drop a slot that nobody uses",
        ),
        error => error,
    })?;
    rows.first().map(|row| catalog::number(row, 1, &doing)).ok_or_else(|| catalog::strange(&doing))?
}

/// What `headwater checkpoint show` and `headwater accept` need to know of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotStatus {
    /// As in a checkpoint: `system identifier/timeline`.
    pub server_identity: String,
    /// `None`: there is no such slot.
    pub confirmed_flush_lsn: Option<Lsn>,
    pub restart_lsn: Option<Lsn>,
    /// The end of the server's log.
    pub wal_end: Lsn,
}

/// Asks the server for the slot and for the end of its log.
pub fn slot_status(config: &Config) -> Result<SlotStatus, change::SourceError> {
    config.validate()?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let slot = read(&mut control, &config.slot)?;
    let database = catalog::server(&mut control)?.database;
    control.close();
    // Its position is still shown, but nobody can go on from there.
    if let Some(error) = slot.as_ref().and_then(|slot| slot.broken(&config.slot, &database)) {
        return Err(error.into());
    }
    let mut replication = Connection::open(config, Purpose::Replication)?;
    let system = catalog::identify(&mut replication)?;
    replication.close();
    Ok(SlotStatus {
        server_identity: system.identity(),
        confirmed_flush_lsn: slot.as_ref().and_then(|slot| slot.confirmed_flush),
        restart_lsn: slot.as_ref().and_then(|slot| slot.restart),
        wal_end: system.wal_end,
    })
}

/// Drops the slot, if it is there and nobody uses it. `true`: it was there.
pub fn drop_slot(config: &Config) -> Result<bool, change::SourceError> {
    config.validate()?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let found = read(&mut control, &config.slot)?.is_some();
    if found {
        control.query(&format!("dropping slot {}", config.slot), &sql::drop_slot(&config.slot))?;
    }
    control.close();
    Ok(found)
}
