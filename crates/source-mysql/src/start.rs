//! Everything that is checked before the first byte of the log is read, and the command that begins it.

use std::time::Duration;

use change::{Position, Resume};
use copying::Snapshot;
use transport::Transport;

use crate::catalog::{self, Member, Server};
use crate::config::{Config, Patterns};
use crate::connection::{Connection, Purpose};
use crate::error::Error;
use crate::flavour::Flavour;
use crate::gtid::mysql::GtidSet;
use crate::position::{FilePlace, Passed, Place};

/// A stream that has begun.
pub(crate) struct Begun {
    pub(crate) control: Connection,
    pub(crate) transport: Transport,
    pub(crate) early: Vec<u8>,
    pub(crate) server: Server,
    pub(crate) place: Place,
    /// The tables to capture that are there now.
    pub(crate) captured: Vec<Member>,
    /// Where the log ended before the first byte of it was read. `None`: nobody has to know, or may.
    pub(crate) floor: Option<FilePlace>,
    /// Files behind this one hold transactions with numbers only; for a position that is not made of them yet.
    pub(crate) numbered_behind: Option<FilePlace>,
}

/// Connects, checks that the log goes on without a gap where the checkpoint ends, and asks for it from there.
pub(crate) fn begin(config: &Config, patterns: &Patterns, resume: Option<&Resume>) -> Result<Begun, Error> {
    let place = resume.map(|resume| parse(&resume.position)).transpose()?;
    let mut control = Connection::open(config, Purpose::Control)?;
    let server = catalog::server(&mut control)?;
    check_server(&server)?;
    let place = match place {
        Some(place) => {
            let before = resume.map(|resume| resume.server_identity.as_str()).unwrap_or_default();
            check_continuity(&mut control, &server, before, &place)?;
            place
        }
        None => Place { passed: catalog::passed(&mut control, &server)?, cut: None, anew: false },
    };
    let numbered_behind = match &place.passed {
        Passed::File(_) if server.gtids => Some(catalog::end_of_files(&mut control)?),
        _ => None,
    };
    let captured = captured(&mut control, patterns)?;
    let floor = floor(&mut control, config, &server)?;
    let number = config.own_server_id();
    check_rivals(&mut control, config)?;
    let mut replication = Connection::open(config, Purpose::Replication)?;
    prepare(&mut replication, config, &server, &place)?;
    register(&mut replication, number, &config.replica_host())?;
    let (transport, early) = replication.start_dump(&dump(number, &place.passed))?;
    Ok(Begun { control, transport, early, server, place, captured, floor, numbered_behind })
}

pub(crate) fn parse(position: &Position) -> Result<Place, Error> {
    let help = "this checkpoint was written by another kind of source";
    position.as_str().parse::<Place>().map_err(|error| Error::stop(error.to_string(), help))
}

fn check_server(server: &Server) -> Result<(), Error> {
    if let Some(what) = server.too_old() {
        // Gateways have names of their own for a version, so this is no reason to stop.
        tracing::warn!("{what}, which is the oldest one that headwater is made for: upgrade the server");
    }
    if !server.log_bin {
        return Err(Error::stop(
            "log_bin is OFF: the server writes no log that changes could be read from",
            "start the server with log_bin, and for MySQL with gtid_mode=ON and enforce_gtid_consistency=ON",
        ));
    }
    if !server.format.eq_ignore_ascii_case("ROW") {
        return Err(Error::stop(
            format!("binlog_format is {}: statements are logged, not the rows that they change", server.format),
            "SET GLOBAL binlog_format = 'ROW'; sessions that are open keep what they have, so reconnect them",
        ));
    }
    Ok(())
}

/// What a predecessor has passed lies before the end of the log; MariaDB's copies have to show all of it.
fn floor(control: &mut Connection, config: &Config, server: &Server) -> Result<Option<FilePlace>, Error> {
    if server.flavour == Flavour::MySql {
        return Ok(None);
    }
    match catalog::end_of_files(control) {
        // Without the right to see it: nothing is copied then.
        Err(error @ Error::Server { .. }) if config.snapshot == Snapshot::Never => {
            tracing::debug!(%error, "tables cannot be copied");
            Ok(None)
        }
        found => found.map(Some),
    }
}

/// How long transactions may take to count as executed that the server has sent already: less than the shortest
/// `read_timeout`, behind which a connection counts as dead.
const SEMI_SYNC: Duration = Duration::from_secs(2);

/// The server has all that the checkpoint has, and still has what comes behind it.
fn check_continuity(control: &mut Connection, server: &Server, before: &str, place: &Place) -> Result<(), Error> {
    if let Some(cut) = &place.cut
        && cut.server != server.identity
    {
        return Err(Error::stop(
            format!(
                "the checkpoint lies inside a transaction of server {}, and this is server {}: where it was cut means \
                 nothing here",
                cut.server, server.identity
            ),
            "let the pipeline finish that transaction on the server that it began on, or `headwater accept gap`",
        ));
    }
    match (&place.passed, server.flavour, server.gtids) {
        (Passed::MySql(passed), Flavour::MySql, true) => check_gtids(control, passed),
        // What the log lacks the server says itself, when it is asked for it.
        (Passed::MariaDb(passed), Flavour::MariaDb, _) => {
            let Passed::MariaDb(there) = catalog::passed(control, server)? else { return Ok(()) };
            if there.contains_all(passed) { Ok(()) } else { Err(behind(&format!("{there}"), &format!("{passed}"))) }
        }
        (Passed::File(_), _, _) if before != server.identity => Err(Error::stop(
            format!(
                "this is another server: {}, the checkpoint is of {before}, and files are one server's own",
                server.identity
            ),
            "connect to the right server; if the change is meant, `headwater accept identity` says what is lost and goes on",
        )),
        // Numbers may have been turned on since; the stream then changes over.
        (Passed::File(place), Flavour::MySql, _) => check_file(control, place),
        (passed, _, _) => Err(Error::stop(
            format!("the checkpoint is {passed}, which means nothing to {} {}", server.flavour, server.version),
            "was the server replaced, or were its GTIDs turned off? `headwater accept identity` goes on from the log's end",
        )),
    }
}

fn behind(there: &str, passed: &str) -> Error {
    Error::stop(
        format!("the server is behind the checkpoint: it has {there}, the checkpoint has {passed}"),
        "was it restored from a backup, or is it a replica that lags? changes published since then are not in it",
    )
}

fn check_gtids(control: &mut Connection, passed: &GtidSet) -> Result<(), Error> {
    let mut missing = catalog::not_executed(control, passed)?;
    if !missing.is_empty() {
        // With a semi-synchronous replica that lags, a transaction is sent before it is counted as executed.
        let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{missing}', {})", SEMI_SYNC.as_secs());
        control.query("waiting for transactions that were published", &wait)?;
        missing = catalog::not_executed(control, passed)?;
    }
    if !missing.is_empty() {
        return Err(Error::stop(
            format!("the server lacks transactions that were published: {missing}"),
            "was it restored from a backup, or promoted without them? connect to a server that has them, or reconcile the \
             topics, and then `headwater accept identity` goes on",
        ));
    }
    let mut purged = catalog::gtid_variable(control, "gtid_purged")?;
    purged.subtract(passed);
    if !purged.is_empty() {
        return Err(Error::stop(
            format!("transactions behind the checkpoint are purged from the server's log: {purged}"),
            "connect to a replica whose gtid_purged lacks them, or `headwater accept gap` goes on without them; \
             binlog_expire_logs_seconds says how long the log is kept",
        ));
    }
    Ok(())
}

fn check_file(control: &mut Connection, place: &FilePlace) -> Result<(), Error> {
    let end = catalog::end_of_files(control)?;
    if *place > end {
        return Err(behind(&end.to_string(), &place.to_string()));
    }
    Ok(())
}

/// The tables to capture. What was asked for and is no table is refused.
fn captured(control: &mut Connection, patterns: &Patterns) -> Result<Vec<Member>, Error> {
    let others: Vec<_> = catalog::relations(control)?.into_iter().filter(|candidate| !candidate.is_table()).collect();
    if let Some(other) = others.iter().find(|other| patterns.names(&other.name)) {
        return Err(Error::stop(
            format!("{} is a {}: its rows are not in the log", other.name, other.kind.to_ascii_lowercase()),
            "capture the tables that it is made of",
        ));
    }
    catalog::members(control, patterns)
}

/// Two readers with one number: the server ends the older one's stream, over and over.
fn check_rivals(control: &mut Connection, config: &Config) -> Result<(), Error> {
    // Where they are not shown, two of one number are noticed when the server ends the stream of the older one.
    let readers = catalog::readers(control)?.unwrap_or_default();
    match rival(&readers, config) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A reader that has our number and is none of ours.
pub(crate) fn rival(readers: &[(String, String)], config: &Config) -> Option<Error> {
    let (number, ours) = (config.own_server_id().to_string(), config.replica_host());
    let (_, host) = readers.iter().find(|(reader, host)| *reader == number && *host != ours)?;
    Some(Error::stop(
        format!("another reader of this server's log has the server_id {number} (on host {host:?})"),
        "give one of the two another number: source.server_id",
    ))
}

/// How long the stream may be silent.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Settings of the connection that the stream obeys (`sql/rpl_binlog_sender.cc`; MariaDB `sql/sql_repl.cc`).
fn prepare(replication: &mut Connection, config: &Config, server: &Server, place: &Place) -> Result<(), Error> {
    let doing = "preparing the stream";
    // Heartbeats come often enough that three may be lost, and that a copy does not wait long for the place that they name.
    let heartbeat = (config.deadline / 4).min(HEARTBEAT).as_nanos();
    let mut settings = vec![
        "@master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum"
            .to_owned(),
        format!("@master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}"),
    ];
    if let Passed::MariaDb(passed) = &place.passed {
        // 4: the reader knows GTIDs. Less, and they come as something else.
        settings.push(format!("@mariadb_slave_capability = 4, @slave_connect_state = '{passed}'"));
        settings.push("@slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0".to_owned());
    }
    if server.flavour == Flavour::MySql {
        // A stream of ours that the server still thinks alive ends when this one begins.
        let uuid = config.replica_uuid();
        settings.push(format!("@slave_uuid = '{uuid}', @replica_uuid = '{uuid}'"));
    }
    for setting in settings {
        replication.query(doing, &format!("SET {setting}"))?;
    }
    Ok(())
}

const COM_REGISTER_SLAVE: u8 = 0x15;

/// Shows us to `SHOW REPLICAS`.
fn register(replication: &mut Connection, number: u32, host: &str) -> Result<(), Error> {
    let mut command = vec![COM_REGISTER_SLAVE];
    command.extend(number.to_le_bytes());
    command.push(u8::try_from(host.len()).unwrap_or(0));
    command.extend(host.as_bytes());
    // No user, no password, no port, no rank, and whoever the source is.
    command.extend([0; 2 + 2 + 4 + 4]);
    let registered = replication.command("registering as a reader of the log", &command);
    match registered {
        // The server's words are those for a wrong password.
        Err(error) if catalog::is_denied(&error) => {
            let account = catalog::account(replication)?;
            let help = format!("run: GRANT REPLICATION SLAVE ON *.* TO {account}");
            Err(Error::stop(format!("{account} may not read the log"), help))
        }
        other => other,
    }
}

/// Whether the account may read the log. The server looks at the right before it looks at the rest of the command, which is
/// missing here: so it registers nobody.
pub(crate) fn may_read(control: &mut Connection) -> Result<bool, Error> {
    match control.command("asking for the right to read the log", &[COM_REGISTER_SLAVE]) {
        Err(error @ Error::Server { .. }) => Ok(!catalog::is_denied(&error)),
        other => other.map(|()| true),
    }
}

/// COM_BINLOG_DUMP_GTID with what we have, or COM_BINLOG_DUMP from a place; to MariaDB the set was told before.
fn dump(number: u32, passed: &Passed) -> Vec<u8> {
    const FIRST: u64 = 4;
    match passed {
        Passed::MySql(set) => {
            let set = set.encode();
            let mut command = vec![0x1e, 0, 0];
            command.extend(number.to_le_bytes());
            command.extend(0u32.to_le_bytes());
            command.extend(FIRST.to_le_bytes());
            command.extend(u32::try_from(set.len()).unwrap_or(u32::MAX).to_le_bytes());
            command.extend(set);
            command
        }
        Passed::MariaDb(_) => dump_file(number, "", 4),
        Passed::File(place) => dump_file(number, &place.file, u32::try_from(place.offset).unwrap_or(u32::MAX)),
    }
}

fn dump_file(number: u32, file: &str, offset: u32) -> Vec<u8> {
    let mut command = vec![0x12];
    command.extend(offset.to_le_bytes());
    command.extend([0, 0]);
    command.extend(number.to_le_bytes());
    command.extend(file.as_bytes());
    command
}
