//! Everything that is checked and prepared before the first byte of the log is read.

use std::sync::Arc;

use change::{Resume, Table};
use transport::Transport;

use crate::catalog::{self, Candidate, Server, System};
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::lsn::Lsn;
use crate::position::Place;
use crate::{ddl_trigger, publication, relation, resolve, slot, sql};

/// PostgreSQL 14 is the oldest that its makers still mend.
pub(crate) const OLDEST: u32 = 140_000;

/// A stream that has begun.
pub(crate) struct Begun {
    pub(crate) control: Connection,
    pub(crate) transport: Transport,
    pub(crate) early: Vec<u8>,
    pub(crate) server: Server,
    pub(crate) system: System,
    pub(crate) place: Place,
    pub(crate) captured: Vec<Candidate>,
    /// The same as tables.
    pub(crate) tables: Vec<Arc<Table>>,
    /// The publication leaves out changes, and is to be mended.
    pub(crate) narrow: bool,
}

/// Connects, checks, prepares publication and slot, and begins to stream.
///
/// The order matters: the publication is made before the slot, because the server looks it up as of each change; a slot
/// that is older than its publication cannot be read.
pub(crate) fn begin(config: &Config, patterns: &Patterns, resume: Option<&Resume>) -> Result<Begun, Error> {
    let place = resume
        .map(|resume| resume.position.as_str().parse::<Place>())
        .transpose()
        .map_err(|error| Error::stop(error.to_string(), "this checkpoint was written by another kind of source"))?;
    let mut control = open_control(config)?;
    let server = catalog::server(&mut control)?;
    check_server(&server)?;
    let mut replication = Connection::open(config, Purpose::Replication)?;
    let system = catalog::identify(&mut replication)?;
    if let (Some(resume), Some(place)) = (resume, &place) {
        check_continuity(&mut replication, &system, &resume.server_identity, place)?;
    }
    let found = slot::read(&mut control, &config.slot)?;
    let found = slot::examine(found, &config.slot, &server.database, place.as_ref())?;
    let mut captured = captured(&mut control, patterns)?;
    // What a publication left out while we were away has to be noted before it is mended; a first start has missed nothing.
    let before = publication::ensure(&mut control, config, server.version, &mut captured, resume.is_none())?;
    let narrow = resume.is_some() && before.is_some_and(|publication| publication.is_narrow(&captured));
    let mut tables = Vec::with_capacity(captured.len());
    for table in &captured {
        tables.extend(describe(&mut control, &config.publication, table)?.map(Arc::new));
    }
    let remembered = match found {
        Some(slot) => {
            slot::take_over(&mut control, &config.slot)?;
            // A holder that is gone now may have confirmed more meanwhile.
            let again = slot::read(&mut control, &config.slot)?;
            let slot = slot::examine(again, &config.slot, &server.database, place.as_ref())?.unwrap_or(slot);
            slot.confirmed_flush.unwrap_or_default()
        }
        None => slot::create(&mut replication, &config.slot, config.temporary)?,
    };
    let place = place.unwrap_or(Place::At(remembered));
    // Where nobody wants messages any more, one may still be the change behind which to go on.
    let with_messages = !config.messages.is_empty()
        || matches!(&place, Place::Inside(cut) if cut.mark.message)
        || ddl_trigger::reports(&mut control)?;
    let command = format!(
        "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}{})",
        sql::identifier(&config.slot),
        place.restart(),
        sql::literal(&sql::identifier(&config.publication)).trim_start(),
        if with_messages { ", messages 'true'" } else { "" }
    );
    let (transport, early) = replication.start_stream(&command)?;
    Ok(Begun { control, transport, early, server, system, place, captured, tables, narrow })
}

/// A control connection that waits for no lock for long: a migration that holds one must not stall the stream.
pub(crate) fn open_control(config: &Config) -> Result<Connection, Error> {
    let mut control = Connection::open(config, Purpose::Control)?;
    control.query("setting lock_timeout", "SET lock_timeout = '5s'")?;
    Ok(control)
}

fn check_server(server: &Server) -> Result<(), Error> {
    if server.version < OLDEST {
        return Err(Error::stop(
            format!("the server is PostgreSQL {}, which is older than 14", server.version_text),
            "upgrade the server",
        ));
    }
    if server.wal_level != "logical" {
        return Err(Error::stop(
            format!("wal_level is {}: the log lacks what changes are read from", server.wal_level),
            "ALTER SYSTEM SET wal_level = 'logical'; then restart the server",
        ));
    }
    if !server.may_replicate {
        return Err(Error::stop(
            format!("role {} may not read the log", server.user),
            format!("ALTER ROLE {} REPLICATION;", sql::plain(&server.user)),
        ));
    }
    Ok(())
}

/// The server is the checkpoint's, has all that the checkpoint has, and never went another way.
fn check_continuity(replication: &mut Connection, system: &System, identity: &str, place: &Place) -> Result<(), Error> {
    let (identifier, timeline) = identity.split_once('/').unwrap_or((identity, ""));
    if identifier != system.identifier {
        return Err(Error::stop(
            format!(
                "this is another server: its system identifier is {}, the checkpoint's is {identifier}",
                system.identifier
            ),
            "connect to the right server; if the change is meant, `headwater accept identity` says what is lost and goes on",
        ));
    }
    // First: on another way the end of the log says nothing about what the checkpoint has.
    if let Ok(timeline) = timeline.parse::<u32>()
        && timeline != system.timeline
    {
        let after = system.timeline > timeline;
        let history = if after { catalog::timeline_history(replication, system.timeline)? } else { Vec::new() };
        let fork = check_fork(&history, timeline, system.timeline, place)?;
        tracing::warn!(
            from = timeline, to = system.timeline, %fork, position = %place,
            "the server was promoted to a new timeline; the checkpoint lies before the fork, so nothing is missing"
        );
    }
    if place.reach() > system.wal_end {
        return Err(Error::stop(
            format!(
                "the server is behind the checkpoint: its log ends at {}, the checkpoint is {place}",
                system.wal_end
            ),
            "was it restored from a backup, or is it a standby that lags? changes published since then are not in it",
        ));
    }
    Ok(())
}

/// Where the checkpoint's timeline was left, if the checkpoint lies on the server's own way.
fn check_fork(history: &[(u32, Lsn)], timeline: u32, now: u32, place: &Place) -> Result<Lsn, Error> {
    let help = "the server went another way after a failover, and events were published that it never had: connect to the \
                server that has them, or reconcile the topics, and then `headwater accept identity` goes on from the slot";
    match history.iter().find(|(number, _)| *number == timeline) {
        Some((_, fork)) if place.reach() <= *fork => Ok(*fork),
        Some((_, fork)) => Err(Error::stop(
            format!(
                "timeline {timeline} was left at {fork} by the server's timeline {now}, but the checkpoint is {place}: the \
                 server lacks {} bytes of log, whose changes were published",
                place.reach().0 - fork.0
            ),
            help,
        )),
        None => Err(Error::stop(
            format!(
                "the checkpoint is of timeline {timeline}, which is not in the history of the server's timeline {now}"
            ),
            help,
        )),
    }
}

/// The tables to capture. Anything that was asked for and cannot be is refused here, before anything is changed.
fn captured(control: &mut Connection, patterns: &Patterns) -> Result<Vec<Candidate>, Error> {
    let all = catalog::relations(control)?;
    if let Some(missing) = publication::missing(&all, patterns) {
        return Err(Error::stop(missing.why, missing.help));
    }
    let (good, refused) = publication::judge(&all, patterns);
    let Some(first) = refused.first() else { return Ok(good) };
    let more = match refused.len() {
        1 => String::new(),
        count => format!(" (and {} more: see `headwater doctor`)", count - 1),
    };
    Err(Error::stop(format!("{}{more}", first.why), first.help.clone()))
}

/// The table as the catalogue shows it now, and as far as it is published. `None`: it is gone.
pub(crate) fn describe(control: &mut Connection, publication: &str, table: &Candidate) -> Result<Option<Table>, Error> {
    let published = catalog::published(control, publication, table)?;
    let Some(relation) = catalog::as_relation(control, table, &published)? else { return Ok(None) };
    let types = resolve::types(control, &relation.columns)?;
    let facts = catalog::table_facts(control, table.oid)?;
    Ok(Some(relation::table(&relation, &types, &facts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_past_the_fork_is_refused() {
        let history = [(1, Lsn(100)), (2, Lsn(200))];
        assert_eq!(check_fork(&history, 1, 3, &Place::At(Lsn(100))).unwrap(), Lsn(100));
        let error = check_fork(&history, 1, 3, &Place::At(Lsn(103))).unwrap_err().to_string();
        assert!(error.contains("left at 0/64") && error.contains("lacks 3 bytes"), "{error}");
        assert!(check_fork(&history, 2, 3, &Place::At(Lsn(150))).is_ok());
        assert!(check_fork(&[], 4, 3, &Place::At(Lsn(1))).is_err());
    }
}
