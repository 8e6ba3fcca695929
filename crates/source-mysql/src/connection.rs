//! One connection to the server, blocking: log-in, queries in text form, and the begin of a binlog stream.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use mysql_common::constants::CapabilityFlags;
use transport::{Socket, Transport, closed, is_timeout};

use crate::auth;
use crate::config::{Config, SslMode};
use crate::error::{CERTIFICATE, Error, ServerError};
use crate::flavour::Flavour;
use crate::greeting::Greeting;
use crate::packet::{self, Split};
use crate::tls;
use crate::url::Endpoint;
use crate::wire::WireError;
use crate::wire::reader::Reader;

/// What is asked of the socket at a time: for answers of a few rows, and for those of many.
const LITTLE: usize = 16 << 10;
const MUCH: usize = 256 << 10;

/// An answer of so many bytes has many rows. The server sends them 16 KiB at a time, and being woken for each piece costs
/// both sides more than the bytes do: so they gather for a moment in the socket's buffer.
const PLENTY: usize = 64 << 10;
const GATHER: Duration = Duration::from_micros(300);

const COM_QUIT: u8 = 1;
const COM_QUERY: u8 = 3;

/// Status: another answer follows.
const MORE_RESULTS: u16 = 8;

/// The server does not know a variable that others have.
const UNKNOWN_VARIABLE: u16 = 1193;

/// A row of a query's answer. All text of the server's is UTF-8; `rows` is for columns that are no text.
pub type Row = Vec<Option<String>>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Catalogue queries and copies.
    Control,
    /// The log.
    Replication,
}

/// An open connection, logged in.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    received: Vec<u8>,
    /// How many bytes of `received` were used.
    used: usize,
    /// The number of the next packet, whoever sends it.
    sequence: u8,
    /// How many bytes the present answer had so far.
    answered: usize,
    /// Result sets end with an OK packet instead of the old end-of-file packet.
    ok_at_end: bool,
    deadline: Duration,
    name: String,
    version: String,
    flavour: Flavour,
    id: u32,
}

/// Every text that the server writes has one form, whatever its configuration or the account's; nothing that is read is
/// altered, cut short, or ended by a limit that was set for people.
const PINNED: [&str; 14] = [
    "NAMES utf8mb4",
    "time_zone = '+00:00'",
    // Without PAD_CHAR_TO_FULL_LENGTH (blanks behind CHAR), ANSI_QUOTES, NO_BACKSLASH_ESCAPES and MariaDB's ORACLE.
    "sql_mode = 'STRICT_ALL_TABLES'",
    "lc_messages = 'en_US'",
    "sql_quote_show_create = 1",
    // It cuts without an error; a list of all columns of a wide table is longer than its default of 1024.
    "group_concat_max_len = 16777216",
    // A global sql_select_limit cuts copies of tables without an error.
    "sql_select_limit = 18446744073709551615",
    "sql_big_selects = 1",
    // Without it the first query begins a transaction that shows the catalogue as it was then, for ever.
    "autocommit = 1",
    "sql_auto_is_null = 0",
    "completion_type = 0",
    // While the topic cannot take more, nothing is read: for an hour the server may wait for us.
    "net_write_timeout = 3600",
    "net_read_timeout = 60",
    // A connection may rest between two looks at the catalogue; the server's own default.
    "wait_timeout = 28800",
];

/// Not in every version. Limits of time that an administrator sets for people; hidden columns that the log has; tables as of
/// some moment in the past.
const PINNED_MYSQL: [&str; 2] = ["max_execution_time = 0", "show_gipk_in_create_table_and_information_schema = 1"];
const PINNED_MARIADB: [&str; 3] = [
    "max_statement_time = 0",
    "idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0",
    "system_versioning_asof = DEFAULT",
];

impl Connection {
    /// Connects, logs in and pins the session.
    pub fn open(config: &Config, purpose: Purpose) -> Result<Self, Error> {
        let endpoint = config.endpoint()?;
        let name = endpoint.name();
        let doing = format!("connecting to {name}");
        let timeout = endpoint.connect_timeout.unwrap_or(config.connect_timeout);
        let socket = match &endpoint.socket {
            Some(path) => Socket::unix(path),
            None => Socket::tcp(&endpoint.host, endpoint.port, timeout, config.deadline),
        };
        let transport = Transport::Plain(socket.map_err(Error::network(&doing))?);
        transport.set_timeouts(timeout, timeout).map_err(Error::network(&doing))?;
        let mut connection = Self {
            transport,
            received: Vec::new(),
            used: 0,
            sequence: 0,
            answered: 0,
            ok_at_end: false,
            deadline: timeout,
            name,
            version: String::new(),
            flavour: Flavour::MySql,
            id: 0,
        };
        connection = connection.start(config, &endpoint, purpose, &doing)?;
        connection.deadline = config.deadline;
        connection
            .transport
            .set_timeouts(Duration::from_millis(500).min(config.deadline), config.deadline)
            .map_err(Error::network("setting timeouts"))?;
        connection.pin()?;
        Ok(connection)
    }

    fn start(mut self, config: &Config, endpoint: &Endpoint, purpose: Purpose, doing: &str) -> Result<Self, Error> {
        let greeting = Greeting::read(self.answer(doing)?).map_err(Error::wire(doing))?;
        let mut capabilities = greeting.common().ok_or_else(|| {
            Error::stop(
                format!("{doing}: the server ({}) is too old", greeting.version),
                "use MySQL 8.0 or newer, or MariaDB 10.6 or newer",
            )
        })?;
        if endpoint.database.is_some() {
            // Said here, because what asks for TLS and what follows it have to say the same.
            capabilities |= CapabilityFlags::CLIENT_CONNECT_WITH_DB;
        }
        let tls = match endpoint.tls.mode {
            SslMode::Disabled => false,
            // On a Unix socket TLS is spoken only if somebody insists, as in the mysql client.
            SslMode::Preferred => greeting.offers_tls() && !endpoint.is_unix(),
            SslMode::Required | SslMode::VerifyCa | SslMode::VerifyIdentity => true,
        };
        if tls && !greeting.offers_tls() {
            return Err(Error::stop(
                format!("{doing}: the server does not speak TLS"),
                "give the server ssl_cert and ssl_key, or use ssl-mode=DISABLED where the network is trusted",
            ));
        }
        if tls {
            self.say(doing, &auth::tls_request(capabilities))?;
            self = self.begin_tls(endpoint)?;
        }
        self.ok_at_end = capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
        self.flavour = Flavour::of_version(&greeting.version);
        self.version.clone_from(&greeting.version);
        self.id = greeting.id;
        let attributes = auth::attributes(&config.name, purpose);
        auth::log_in(&mut self, endpoint, &greeting, capabilities, attributes).map_err(certificate_refused)?;
        Ok(self)
    }

    fn begin_tls(self, endpoint: &Endpoint) -> Result<Self, Error> {
        let doing = format!("beginning TLS with {}", self.name);
        let Transport::Plain(socket) = self.transport else { return Ok(self) };
        if self.received.len() > self.used {
            // Anything sent behind the greeting in clear text must not be taken for part of the session.
            return Err(Error::Retry(format!("{doing}: the server spoke out of turn")));
        }
        let session = transport::session(&tls::terms(&endpoint.tls, &endpoint.host))?;
        let transport = Transport::tls(session, socket).map_err(|error| {
            if error.kind() == std::io::ErrorKind::InvalidData {
                Error::stop(format!("{doing}: {error}"), "check ssl-mode, ssl-ca and the server's certificate")
            } else {
                Error::network(doing)(error)
            }
        })?;
        Ok(Self { transport, ..self })
    }

    fn pin(&mut self) -> Result<(), Error> {
        let doing = "setting up the session";
        self.execute(doing, &format!("SET {}", PINNED.join(", ")))?;
        // Copies read one state; an account's or a server's default may be another.
        self.execute(doing, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        // A query that waits for a table's lock longer than we wait for it would stay on the server.
        self.execute(doing, &format!("SET lock_wait_timeout = {}", (self.deadline.as_secs() / 2).max(1)))?;
        let more: &[&str] = match self.flavour {
            Flavour::MySql => &PINNED_MYSQL,
            Flavour::MariaDb => &PINNED_MARIADB,
        };
        for setting in more {
            match self.execute(doing, &format!("SET {setting}")) {
                Err(error) if error.code() == Some(UNKNOWN_VARIABLE) => {
                    tracing::debug!(setting, version = self.version, "the server does not know a setting");
                }
                other => other?,
            }
        }
        Ok(())
    }

    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What the server says of itself: `9.7.4-2`, `10.11.19-MariaDB-log`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number by which `KILL` knows this connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    pub fn is_encrypted(&self) -> bool {
        self.transport.is_encrypted()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends a packet that goes on with what is being said.
    pub(crate) fn say(&mut self, doing: &str, body: &[u8]) -> Result<(), Error> {
        let mut buffer = Vec::with_capacity(body.len() + packet::HEADER);
        self.sequence = packet::frame(body, self.sequence, &mut buffer);
        self.transport.write_all(&buffer).and_then(|()| self.transport.flush()).map_err(Error::network(doing))
    }

    /// Sends a packet that begins something new.
    fn ask(&mut self, doing: &str, body: &[u8]) -> Result<(), Error> {
        self.sequence = 0;
        self.answered = 0;
        // a row of a gigabyte has not to be remembered by its size
        self.received.drain(..self.used);
        self.used = 0;
        self.received.shrink_to(MUCH);
        self.say(doing, body)
    }

    /// The body of the next packet.
    pub(crate) fn packet(&mut self, doing: &str) -> Result<&[u8], Error> {
        let mut begin = Instant::now();
        loop {
            let waiting = self.received.get_mut(self.used..).unwrap_or_default();
            let wanted = match packet::split(waiting, self.sequence).map_err(Error::wire(doing))? {
                Split::Packet(packet) => {
                    let body = packet.body(waiting);
                    let body = self.used + body.start..self.used + body.end;
                    self.used += packet.total;
                    self.answered += packet.total;
                    self.sequence = packet.next;
                    return Ok(self.received.get(body).unwrap_or_default());
                }
                Split::Incomplete { wanted } => wanted,
            };
            let before = waiting.len();
            let most = if self.answered > PLENTY {
                thread::sleep(GATHER);
                MUCH
            } else {
                wanted.saturating_sub(before).clamp(LITTLE, MUCH)
            };
            self.fill(doing, begin, most)?;
            if self.received.len() > before {
                begin = Instant::now();
            }
        }
    }

    fn fill(&mut self, doing: &str, begin: Instant, most: usize) -> Result<(), Error> {
        self.received.drain(..self.used);
        self.used = 0;
        let old = self.received.len();
        self.received.resize(old + most, 0);
        let read = self.transport.read(&mut self.received[old..]);
        self.received.truncate(old + read.as_ref().map_or(0, |count| *count));
        match read {
            Ok(0) => Err(Error::Network { doing: doing.to_owned(), error: closed() }),
            Ok(_) => Ok(()),
            Err(error) if is_timeout(&error) && begin.elapsed() < self.deadline => Ok(()),
            Err(error) if is_timeout(&error) => {
                Err(Error::Retry(format!("{doing}: no answer from {} for {:?}", self.name, self.deadline)))
            }
            Err(error) => Err(Error::network(doing)(error)),
        }
    }

    /// The next packet; the server's errors are errors.
    fn answer(&mut self, doing: &str) -> Result<&[u8], Error> {
        let body = self.packet(doing)?;
        match ServerError::of_packet(body) {
            Some(error) => Err(Error::Server { doing: doing.to_owned(), error }),
            None => Ok(body),
        }
    }

    /// Runs SQL and returns its rows.
    pub fn query(&mut self, doing: &str, sql: &str) -> Result<Vec<Row>, Error> {
        let (mut rows, mut failed) = (Vec::new(), None);
        self.rows(doing, sql, &mut |body| match text_row(body) {
            Ok(row) => rows.push(row),
            Err(error) => failed = Some(error),
        })?;
        match failed {
            Some(error) => Err(Error::wire(doing)(error)),
            None => Ok(rows),
        }
    }

    /// Runs SQL and gives each row to `each`, without a copy, as it came: [`packet::cells`] takes it apart.
    pub fn rows(&mut self, doing: &str, sql: &str, each: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let mut body = Vec::with_capacity(sql.len() + 1);
        body.push(COM_QUERY);
        body.extend_from_slice(sql.as_bytes());
        self.ask(doing, &body)?;
        while self.result(doing, each)? {}
        Ok(())
    }

    /// Runs SQL that has no rows, or whose rows do not matter.
    pub fn execute(&mut self, doing: &str, sql: &str) -> Result<(), Error> {
        self.rows(doing, sql, &mut |_| {})
    }

    /// Sends a command that is no SQL and is answered with OK.
    pub fn command(&mut self, doing: &str, body: &[u8]) -> Result<(), Error> {
        self.ask(doing, body)?;
        match self.answer(doing)?.first() {
            Some(0) => Ok(()),
            other => Err(unexpected(doing, other)),
        }
    }

    /// One answer. `true`: another one follows.
    fn result(&mut self, doing: &str, each: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        let ok_at_end = self.ok_at_end;
        let first = self.answer(doing)?;
        let columns = match first.first() {
            Some(0x00) => {
                let status = packet::ok_status(first).map_err(Error::wire(doing))?;
                return Ok(status & MORE_RESULTS != 0);
            }
            Some(0xfb) => {
                let file = String::from_utf8_lossy(first.get(1..).unwrap_or_default()).into_owned();
                return Err(Error::stop(
                    format!("{doing}: the server asks for the file {file:?} of this machine, and does not get it"),
                    "find out who answers in the server's place: this version never offers files",
                ));
            }
            _ => Reader::new("column count", first).lenenc().map_err(Error::wire(doing))?,
        };
        for _ in 0..columns {
            self.answer(doing)?;
        }
        if !ok_at_end {
            match self.answer(doing)?.first() {
                Some(0xfe) => {}
                other => return Err(unexpected(doing, other)),
            }
        }
        loop {
            let body = self.answer(doing)?;
            if packet::ends_rows(body, ok_at_end) {
                let status = packet::status(body, ok_at_end).map_err(Error::wire(doing))?;
                return Ok(status & MORE_RESULTS != 0);
            }
            each(body);
        }
    }

    /// Sends the command that begins a binlog stream; from now on the bytes belong to the reader, with those that were
    /// received already. The stream's first packet has the number 1. If the server refuses, it does so in the stream: see
    /// [`ServerError::of_packet`].
    pub fn start_dump(mut self, command: &[u8]) -> Result<(Transport, Vec<u8>), Error> {
        self.ask("starting replication", command)?;
        Ok((self.transport, self.received))
    }

    /// Says goodbye; a failure to do so changes nothing.
    pub fn close(mut self) {
        if let Err(error) = self.ask("closing", &[COM_QUIT]) {
            tracing::debug!(%error, "a control connection was gone before it was closed");
        }
    }
}

/// A refusal of the client's certificate ends what was going on: trying again would not help.
fn certificate_refused(error: Error) -> Error {
    match error {
        Error::Network { doing, error } if transport::refuses_certificate(&error) => {
            Error::stop(format!("{doing}: the server refuses the client certificate: {error}"), CERTIFICATE)
        }
        error => error,
    }
}

fn unexpected(doing: &str, first: Option<&u8>) -> Error {
    let number = first.copied().unwrap_or_default().into();
    Error::wire(doing)(WireError::Unknown { what: "an unexpected answer", number })
}

fn text_row(body: &[u8]) -> Result<Row, WireError> {
    packet::cells(body)
        .map(|cell| match cell? {
            None => Ok(None),
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { what: "row" })?;
                Ok(Some(text.to_owned()))
            }
        })
        .collect()
}
