//! What a person configures of a PostgreSQL source, its defaults with their reasons, and what is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use change::TableName;
use copying::Snapshot;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::url::{self, Endpoint};

/// A PostgreSQL source. Only `url`, `tables`, `slot` and `publication` have no default.
#[derive(Clone)]
pub struct Config {
    /// `postgres://user@host:port/database?sslmode=…`; a Unix socket by `?host=/directory` or a percent-encoded host.
    pub url: String,
    /// Better here than in `url`.
    pub password: Option<SecretString>,
    /// `schema.table` with `*` for any text; a leading `!` leaves out.
    pub tables: Vec<String>,
    /// The replication slot's name.
    pub slot: String,
    pub publication: String,
    /// Where catalogue and log are read at most this long without a byte: then the connection is dead.
    pub deadline: Duration,
    pub connect_timeout: Duration,
    /// How often the catalogue is asked for new tables that match `tables`, and the slot's state, at least every 10 s.
    pub table_interval: Duration,
    /// The slot and the publication vanish with the connection: for looking, not for delivering.
    pub temporary: bool,
    /// How many received bytes may wait for the encoder.
    pub queue_bytes: usize,
    /// Whether the rows that are there when a table joins are published too.
    pub snapshot: Snapshot,
    /// How many tables are copied at the same time, each with a connection of its own.
    pub snapshot_workers: usize,
    /// Which logical messages are published, by prefix, with `*` for any text.
    pub messages: Vec<String>,
    /// How many bytes of rows all copies together read in a second; `None`: as many as they can.
    pub snapshot_rate: Option<u64>,
    /// By table: which of its rows are copied, as SQL behind `WHERE`.
    pub snapshot_where: BTreeMap<String, String>,
    /// The bytes that the server's log may take on its disk, if the disk is to be watched: SQL cannot tell what is free.
    pub wal_disk: Option<u64>,
}

/// Two keep a server of two cores and our encoder busy.
pub(crate) const DEFAULT_SNAPSHOT_WORKERS: usize = 2;

/// Longer than a server's checkpoint stalls it, as long as its own `wal_sender_timeout`.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
/// A server in the same region answers in milliseconds; ten seconds survive a lost packet and a busy one.
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// One cheap query each; a table made by a migration is seen before its first deploy uses it.
pub(crate) const DEFAULT_TABLE_INTERVAL: Duration = Duration::from_secs(10);
/// Enough for 13 ms at 300 MB/s. More only ages the data and takes memory: twice as much was no faster.
pub(crate) const DEFAULT_QUEUE_BYTES: usize = 4 << 20;

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &change::url::without_password(&self.url))
            .field("tables", &self.tables)
            .field("slot", &self.slot)
            .field("publication", &self.publication)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// With the defaults for everything else.
    pub fn new(
        url: impl Into<String>,
        tables: impl IntoIterator<Item = impl Into<String>>,
        slot: impl Into<String>,
        publication: impl Into<String>,
    ) -> Self {
        Self {
            url: url.into(),
            password: None,
            tables: tables.into_iter().map(Into::into).collect(),
            slot: slot.into(),
            publication: publication.into(),
            deadline: DEFAULT_DEADLINE,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            table_interval: DEFAULT_TABLE_INTERVAL,
            temporary: false,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            snapshot: Snapshot::default(),
            snapshot_workers: DEFAULT_SNAPSHOT_WORKERS,
            messages: Vec::new(),
            snapshot_rate: None,
            snapshot_where: BTreeMap::new(),
            wal_disk: None,
        }
    }

    /// The first thing that cannot be, by the name of its key.
    pub fn validate(&self) -> Result<(), Error> {
        self.endpoint()?;
        Patterns::new(&self.tables)?;
        let slot_ok = matches!(self.slot.len(), 1..=63)
            && self.slot.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        if !slot_ok {
            return Err(Error::stop(
                format!("slot: {:?} is not a name that PostgreSQL takes for a slot", self.slot),
                "use 1 to 63 lower-case letters, digits and underscores",
            ));
        }
        if !matches!(self.publication.len(), 1..=63) || self.publication.contains('\0') {
            return Err(Error::stop(
                format!("publication: {:?} is not a name that PostgreSQL takes", self.publication),
                "use 1 to 63 bytes",
            ));
        }
        for (key, value) in [("deadline", self.deadline), ("connect_timeout", self.connect_timeout)] {
            if value < Duration::from_millis(100) {
                return Err(Error::stop(format!("{key}: {value:?} is too short"), "use at least 100ms"));
            }
        }
        if self.table_interval < Duration::from_millis(50) {
            return Err(Error::stop("table_interval: less than 50ms would only load the server", "use 1s or more"));
        }
        if self.queue_bytes < 1 << 20 {
            return Err(Error::stop("queue_bytes: less than one MiB starves the encoder", "use 1048576 or more"));
        }
        Ok(())
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        let mut endpoint = url::parse(&self.url)?;
        if let Some(password) = &self.password {
            endpoint.password = Some(SecretString::from(password.expose_secret().to_owned()));
        }
        Ok(endpoint)
    }
}

/// libpq's words for what TLS has to prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// TLS as `url` asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    /// A PEM file, or `system`.
    pub(crate) root: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// The `tables` list.
#[derive(Clone, Debug)]
pub struct Patterns {
    wanted: Vec<Pattern>,
    unwanted: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    schema: String,
    table: String,
}

impl Patterns {
    pub fn new(texts: &[String]) -> Result<Self, Error> {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for text in texts {
            let (list, name) = match text.strip_prefix('!') {
                Some(name) => (&mut unwanted, name),
                None => (&mut wanted, text.as_str()),
            };
            let (schema, table) =
                name.split_once('.').filter(|(schema, table)| !schema.is_empty() && !table.is_empty()).ok_or_else(
                    || Error::stop(format!("tables: {text:?} has no schema"), format!("write \"public.{name}\"")),
                )?;
            list.push(Pattern { schema: schema.to_owned(), table: table.to_owned() });
        }
        if wanted.is_empty() {
            return Err(Error::stop("tables: no table is asked for", "name at least one, such as \"public.*\""));
        }
        Ok(Self { wanted, unwanted })
    }

    pub fn matches(&self, name: &TableName) -> bool {
        let any = |list: &[Pattern]| list.iter().any(|pattern| pattern.matches(name));
        any(&self.wanted) && !any(&self.unwanted)
    }

    /// The table is asked for by its full name.
    pub fn names(&self, name: &TableName) -> bool {
        self.matches(name) && self.exact().any(|exact| exact == *name)
    }

    /// The patterns without `*`.
    pub fn exact(&self) -> impl Iterator<Item = TableName> + '_ {
        self.wanted
            .iter()
            .filter(|pattern| !pattern.schema.contains('*') && !pattern.table.contains('*'))
            .map(|pattern| TableName::new(&pattern.schema, &pattern.table))
    }
}

impl Pattern {
    fn matches(&self, name: &TableName) -> bool {
        glob(&self.schema, &name.schema) && glob(&self.table, &name.table)
    }
}

/// One pattern by itself.
#[derive(Clone, Debug)]
pub(crate) struct Glob(String);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        glob(&self.0, text)
    }
}

/// `*` stands for any text, also none; everything else for itself.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    while let Some((part, after)) = rest.split_once('*') {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
        rest = after;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text) in
            [("*", ""), ("a*", "a"), ("a*c", "abc"), ("*b*", "abc"), ("a*b*c", "aXbYbZc"), ("*", "é")]
        {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*a", "a"), ("a*b", "abc"), ("*b*b", "b")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn exclusions_win() {
        let patterns = Patterns::new(&["public.*".into(), "!public.audit_*".into(), "s.one".into()]).unwrap();
        assert!(patterns.matches(&TableName::new("public", "orders")));
        assert!(!patterns.matches(&TableName::new("public", "audit_log")));
        assert!(patterns.names(&TableName::new("s", "one")));
        assert!(!patterns.names(&TableName::new("public", "orders")));
        assert!(Patterns::new(&["orders".into()]).is_err());
        assert!(Patterns::new(&["!a.b".into()]).is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut config = Config::new("postgres://me:hunter2@h/db?sslmode=disable", ["a.b"], "s", "p");
        config.password = Some(SecretString::from("hunter3".to_owned()));
        config.validate().unwrap();
        let shown = format!("{config:?} {:?}", config.endpoint().unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
        let error = Config::new("postgres://me:hunter2@h:notaport/db", ["a.b"], "s", "p").validate().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"));
    }
}
