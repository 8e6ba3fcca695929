//! One connection to the server, blocking: start-up, simple queries, and the begin of a replication stream.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend::{self, BindError};
use transport::{Socket, Transport, closed, is_timeout};

use crate::auth;
use crate::config::{Config, SslMode};
use crate::error::{CERTIFICATE, Error, ServerError};
use crate::script;
use crate::tls;
use crate::url::Endpoint;
use crate::wire::WireError;
use crate::wire::frame::{self, Split};
use crate::wire::reader::Reader;

/// What is asked of the socket at a time: for answers of a few rows, and for those of many.
const LITTLE: usize = 16 << 10;
const MUCH: usize = 256 << 10;

/// An answer of so many bytes has many rows. The server sends them 8 KiB at a time, and being woken for each piece costs both
/// sides more than the bytes do: so they gather for a moment in the socket's buffer.
const PLENTY: usize = 64 << 10;
const GATHER: Duration = Duration::from_micros(300);

/// A row of a simple query's answer.
pub(crate) type Row = Vec<Option<String>>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Catalogue queries.
    Control,
    /// The log of one database.
    Replication,
}

/// An open connection, logged in.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    received: Vec<u8>,
    /// How many bytes of `received` were used.
    used: usize,
    deadline: Duration,
    name: String,
    /// Names of the statements that the server has prepared in this session.
    prepared: BTreeSet<&'static str>,
}

/// Every text that the server writes has one form, whatever its configuration, the database's or the role's.
const PINNED: [(&str, &str); 9] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("search_path", "pg_catalog"),
    ("statement_timeout", "0"),
];

impl Connection {
    pub(crate) fn open(config: &Config, purpose: Purpose) -> Result<Self, Error> {
        let endpoint = config.endpoint()?;
        match endpoint.tls.mode {
            SslMode::Disable => Self::attempt(config, &endpoint, purpose, false),
            SslMode::Allow => match Self::attempt(config, &endpoint, purpose, false) {
                Err(error) if error.code().is_some_and(|code| code.starts_with("28")) => {
                    Self::attempt(config, &endpoint, purpose, true)
                }
                other => other,
            },
            SslMode::Prefer => match Self::attempt(config, &endpoint, purpose, true) {
                Err(error) if error.code() == Some("28000") => Self::attempt(config, &endpoint, purpose, false),
                other => other,
            },
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                Self::attempt(config, &endpoint, purpose, true)
            }
        }
    }

    fn attempt(config: &Config, endpoint: &Endpoint, purpose: Purpose, tls: bool) -> Result<Self, Error> {
        let name = endpoint.name();
        let timeout = endpoint.connect_timeout.unwrap_or(config.connect_timeout);
        let doing = format!("connecting to {name}");
        let socket = if endpoint.is_unix() {
            Socket::unix(&name)
        } else {
            Socket::tcp(&endpoint.host, endpoint.port, timeout, config.deadline)
        };
        let plain = Transport::Plain(socket.map_err(Error::network(&doing))?);
        plain.set_timeouts(timeout, timeout).map_err(Error::network(doing))?;
        // On a Unix socket TLS is never spoken, as in libpq.
        let transport = if tls && !endpoint.is_unix() { begin_tls(plain, endpoint)? } else { plain };
        let mut connection =
            Self { transport, received: Vec::new(), used: 0, deadline: timeout, name, prepared: BTreeSet::new() };
        connection.start(config, endpoint, purpose).map_err(certificate_refused)?;
        connection.deadline = config.deadline;
        connection
            .transport
            .set_timeouts(Duration::from_millis(500).min(config.deadline), config.deadline)
            .map_err(Error::network("setting timeouts"))?;
        Ok(connection)
    }

    fn start(&mut self, config: &Config, endpoint: &Endpoint, purpose: Purpose) -> Result<(), Error> {
        let doing = format!("connecting to {}", self.name);
        let application = format!("headwater:{}", config.slot);
        let mut parameters = vec![
            ("user", endpoint.user.as_str()),
            ("database", endpoint.database.as_str()),
            ("application_name", application.as_str()),
        ];
        if purpose == Purpose::Replication {
            parameters.push(("replication", "database"));
        }
        parameters.extend(PINNED);
        self.say(&doing, |buffer| frontend::startup_message(parameters, buffer))?;
        auth::log_in(self, endpoint)?;
        loop {
            let (tag, _body) = self.message(&doing)?;
            match tag {
                b'K' => {}
                b'Z' => return Ok(()),
                number => return Err(unexpected(&doing, number)),
            }
        }
    }

    /// Sends what `write` puts together.
    pub(crate) fn say(
        &mut self,
        doing: &str,
        write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        let mut buffer = BytesMut::new();
        write(&mut buffer)
            .map_err(|error| Error::stop(format!("{doing}: {error}"), "use a text without zero bytes"))?;
        self.transport.write_all(&buffer).map_err(Error::network(doing))
    }

    /// The next message that is not about the session's state; the server's errors are errors.
    fn message(&mut self, doing: &str) -> Result<(u8, Vec<u8>), Error> {
        loop {
            let (tag, body) = self.frame(doing)?;
            match tag {
                b'E' => return Err(Error::Server { doing: doing.to_owned(), error: server_error(&body, doing)? }),
                b'N' => {
                    let notice = server_error(&body, doing)?;
                    tracing::debug!(%notice, "notice from the server");
                }
                b'S' => {}
                tag => return Ok((tag, body)),
            }
        }
    }

    pub(crate) fn expect(&mut self, tag: u8, doing: &str) -> Result<Vec<u8>, Error> {
        match self.message(doing)? {
            (found, body) if found == tag => Ok(body),
            (found, _) => Err(unexpected(doing, found)),
        }
    }

    fn frame(&mut self, doing: &str) -> Result<(u8, Vec<u8>), Error> {
        let begin = Instant::now();
        loop {
            let waiting = self.received.get(self.used..).unwrap_or_default();
            match frame::split(waiting).map_err(Error::wire(doing))? {
                Split::Frame { tag, body, total } => {
                    let body = body.to_vec();
                    self.used += total;
                    return Ok((tag, body));
                }
                Split::Incomplete { .. } => self.fill(doing, begin, LITTLE)?,
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

    /// Runs SQL, or a replication command, and returns the rows of its last answer.
    pub(crate) fn query(&mut self, doing: &str, sql: &str) -> Result<Vec<Row>, Error> {
        self.say(doing, |buffer| frontend::query(sql, buffer))?;
        let mut rows = Vec::new();
        let mut failed = None;
        loop {
            let (tag, body) = match self.message(doing) {
                Ok(message) => message,
                // The session goes on after an error: up to ReadyForQuery.
                Err(error @ Error::Server { .. }) if failed.is_none() => {
                    let fatal = error.code().is_some_and(|code| code.starts_with("57P"));
                    if fatal {
                        return Err(error);
                    }
                    failed = Some(error);
                    continue;
                }
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            match tag {
                b'T' => rows.clear(),
                b'D' => rows.push(data_row(&body).map_err(Error::wire(doing))?),
                b'C' | b'I' => {}
                b'Z' => return failed.map_or(Ok(rows), Err),
                // Only the SQL of a person's file can ask for a copy; there is nothing to give to the server.
                b'G' => return Err(Error::stop(format!("{doing}: {}", script::COPY_IN), script::COPY_IN_HELP)),
                number => return Err(unexpected(doing, number)),
            }
        }
    }

    /// A query that this session asks again and again, which the server then plans only once: `statement` is what follows
    /// `PREPARE name`, `arguments` what follows `EXECUTE name`. One name stands for one statement.
    pub(crate) fn query_prepared(
        &mut self,
        doing: &str,
        name: &'static str,
        statement: &str,
        arguments: &str,
    ) -> Result<Vec<Row>, Error> {
        if !self.prepared.contains(name) {
            self.query(doing, &format!("PREPARE {name} {statement}"))?;
            self.prepared.insert(name);
        }
        self.query(doing, &format!("EXECUTE {name} {arguments}"))
    }

    /// Begins a query whose rows are fetched in pieces, within a transaction that is open. `binary` says which columns are
    /// wanted in binary form. Returns their types.
    ///
    /// It is the extended protocol's unnamed portal: it lasts until the next query or the transaction's end. Unlike a cursor's,
    /// its rows go straight to the client, and each column has a format of its own.
    pub(crate) fn open_query(&mut self, doing: &str, sql: &str, binary: &[bool]) -> Result<Vec<u32>, Error> {
        self.say(doing, |buffer| {
            frontend::parse("", sql, [], buffer)?;
            bind(binary, buffer)?;
            frontend::describe(b'P', "", buffer)?;
            frontend::sync(buffer);
            Ok(())
        })?;
        let mut types = Ok(Vec::new());
        self.take(doing, &mut |tag, body| {
            if tag == b'T' {
                types = row_description(body);
            }
        })?;
        types.map_err(Error::wire(doing))
    }

    /// Gives the bodies of up to `most` further `DataRow`s to `each`, without a copy. `true`: there are no more.
    pub(crate) fn fetch(&mut self, doing: &str, most: usize, each: &mut dyn FnMut(&[u8])) -> Result<bool, Error> {
        self.say(doing, |buffer| {
            frontend::execute("", i32::try_from(most).unwrap_or(i32::MAX), buffer)?;
            frontend::sync(buffer);
            Ok(())
        })?;
        let mut end = false;
        self.take(doing, &mut |tag, body| match tag {
            b'D' => each(body),
            b'C' => end = true,
            _ => {}
        })?;
        Ok(end)
    }

    /// Gives the messages of an answer to `each`, up to the end of it; an error of the server's is told then.
    fn take(&mut self, doing: &str, each: &mut dyn FnMut(u8, &[u8])) -> Result<(), Error> {
        let (mut failed, mut taken, mut begin) = (None, 0, Instant::now());
        loop {
            let waiting = self.received.get(self.used..).unwrap_or_default();
            let Split::Frame { tag, body, total } = frame::split(waiting).map_err(Error::wire(doing))? else {
                let before = waiting.len();
                if taken > PLENTY {
                    thread::sleep(GATHER);
                }
                self.fill(doing, begin, if taken > PLENTY { MUCH } else { LITTLE })?;
                if self.received.len() > before {
                    begin = Instant::now();
                }
                continue;
            };
            taken += total;
            match tag {
                // Rows and their description; parsed, bound; complete, suspended.
                b'D' | b'T' | b'1' | b'2' | b'C' | b's' => each(tag, body),
                b'E' if failed.is_none() => {
                    failed = Some(Error::Server { doing: doing.to_owned(), error: server_error(body, doing)? });
                }
                b'E' | b'N' | b'S' => {}
                b'Z' => {
                    self.used += total;
                    return failed.map_or(Ok(()), Err);
                }
                number => return Err(unexpected(doing, number)),
            }
            self.used += total;
        }
    }

    /// Begins a replication stream; from now on the bytes belong to the reader.
    pub(crate) fn start_stream(mut self, sql: &str) -> Result<(Transport, Vec<u8>), Error> {
        let doing = "starting replication";
        self.say(doing, |buffer| frontend::query(sql, buffer))?;
        let body = self.expect(b'W', doing)?;
        let mut reader = Reader::new("copy-both response", &body);
        reader.u8().and_then(|_| reader.u16()).map_err(Error::wire(doing))?;
        self.received.drain(..self.used);
        Ok((self.transport, self.received))
    }

    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        self.transport.peer_certificate()
    }

    /// Says goodbye; a failure to do so changes nothing.
    pub(crate) fn close(mut self) {
        let told = self.say("closing", |buffer| {
            frontend::terminate(buffer);
            Ok(())
        });
        if let Err(error) = told {
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

fn begin_tls(plain: Transport, endpoint: &Endpoint) -> Result<Transport, Error> {
    let doing = format!("beginning TLS with {}", endpoint.name());
    let Transport::Plain(mut socket) = plain else { return Ok(plain) };
    let mut buffer = BytesMut::new();
    frontend::ssl_request(&mut buffer);
    socket.write_all(&buffer).map_err(Error::network(&doing))?;
    // Exactly one byte: anything sent behind it in clear text must not be taken for part of the session.
    let mut answer = [0];
    socket.read_exact(&mut answer).map_err(Error::network(&doing))?;
    match answer {
        [b'S'] => {}
        [b'N'] if endpoint.tls.mode == SslMode::Prefer => return Ok(Transport::Plain(socket)),
        [b'N'] => {
            return Err(Error::stop(
                format!("{doing}: the server does not speak TLS"),
                "turn ssl on in postgresql.conf, or use sslmode=disable where the network is trusted",
            ));
        }
        [number] => return Err(unexpected(&doing, number)),
    }
    let session = transport::session(&tls::terms(&endpoint.tls, &endpoint.host))?;
    Transport::tls(session, socket).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidData {
            Error::stop(format!("{doing}: {error}"), "check sslmode, sslrootcert and the server's certificate")
        } else {
            Error::network(doing)(error)
        }
    })
}

fn unexpected(doing: &str, number: u8) -> Error {
    Error::wire(doing)(WireError::Unknown { what: "an unexpected message", number })
}

/// The fields of an error or a notice.
pub(crate) fn server_error(body: &[u8], doing: &str) -> Result<ServerError, Error> {
    let mut reader = Reader::new("error message", body);
    let mut error = ServerError::default();
    let mut take = || -> Result<(), WireError> {
        loop {
            let field = match reader.u8()? {
                0 => return reader.end(),
                b'C' => &mut error.code,
                b'M' => &mut error.message,
                b'D' => &mut error.detail,
                b'H' => &mut error.hint,
                _ => {
                    reader.terminated()?;
                    continue;
                }
            };
            *field = String::from_utf8_lossy(reader.terminated()?).into_owned();
        }
    };
    take().map_err(Error::wire(doing))?;
    Ok(error)
}

/// A statement without parameters becomes a portal whose columns have these formats.
fn bind(binary: &[bool], buffer: &mut BytesMut) -> std::io::Result<()> {
    let formats = binary.iter().map(|binary| i16::from(*binary));
    let no_parameter = |(): (), _: &mut BytesMut| Ok(IsNull::Yes);
    frontend::bind("", "", [], [], no_parameter, formats, buffer).map_err(|error| match error {
        BindError::Serialization(error) => error,
        BindError::Conversion(error) => std::io::Error::other(error),
    })
}

/// The types of the columns.
fn row_description(body: &[u8]) -> Result<Vec<u32>, WireError> {
    let mut reader = Reader::new("row description", body);
    let count = reader.u16()?;
    let mut types = Vec::with_capacity(count.into());
    for _ in 0..count {
        reader.terminated()?;
        reader.take(6)?;
        types.push(reader.u32()?);
        reader.take(8)?;
    }
    reader.end()?;
    Ok(types)
}

fn data_row(body: &[u8]) -> Result<Row, WireError> {
    let mut reader = Reader::new("data row", body);
    let count = reader.u16()?;
    let mut row = Vec::with_capacity(count.into());
    for _ in 0..count {
        row.push(match reader.i32()? {
            -1 => None,
            length => {
                let bytes = reader.take(usize::try_from(length).unwrap_or(usize::MAX))?;
                let text = std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { what: "data row" })?;
                Some(text.to_owned())
            }
        });
    }
    reader.end()?;
    Ok(row)
}
