//! What a person configures of a MySQL or MariaDB source, its defaults with their reasons, and what is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use change::TableName;
use copying::Snapshot;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::url::{self, Endpoint};

/// A MySQL or MariaDB source. Only `name`, `url` and `tables` have no default.
#[derive(Clone)]
pub struct Config {
    /// The pipeline's name: the server shows it for each of our connections.
    pub name: String,
    /// `mysql://user@host:port/database?ssl-mode=…`, also `mariadb://`; a Unix socket by `?socket=/path`.
    pub url: String,
    /// Better here than in `url`.
    pub password: Option<SecretString>,
    /// `database.table` with `*` for any text; a leading `!` leaves out.
    pub tables: Vec<String>,
    /// Under which number the server knows us among its replicas; `None`: one that is made from `name`.
    pub server_id: Option<u32>,
    /// Where catalogue and log are read at most this long without a byte: then the connection is dead.
    pub deadline: Duration,
    pub connect_timeout: Duration,
    /// How often the catalogue is asked for new tables that match `tables`, where tables are copied.
    pub table_interval: Duration,
    /// How many received bytes may wait for the encoder.
    pub queue_bytes: usize,
    /// Whether the rows that are there when a table joins are published too.
    pub snapshot: Snapshot,
    /// How many tables are copied at the same time, each with connections of its own.
    pub snapshot_workers: usize,
    /// How many bytes of rows all copies together read in a second; `None`: as many as they can.
    pub snapshot_rate: Option<u64>,
    /// By table: which of its rows are copied, as SQL behind `WHERE`.
    pub snapshot_where: BTreeMap<String, String>,
}

/// Two keep a server of two cores and our encoder busy.
pub(crate) const DEFAULT_SNAPSHOT_WORKERS: usize = 2;
/// One cheap query each; a table made by a migration is seen before its first deploy uses it.
pub(crate) const DEFAULT_TABLE_INTERVAL: Duration = Duration::from_secs(10);

/// Longer than a checkpoint stalls a server, and as long as MySQL's own `net_write_timeout` lets one wait.
pub(crate) const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);
/// A server in the same region answers in milliseconds; ten seconds survive a lost packet and a busy one.
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for 13 ms at 300 MB/s. More only ages the data and takes memory: twice as much was no faster.
pub(crate) const DEFAULT_QUEUE_BYTES: usize = 4 << 20;

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("url", &change::url::without_password(&self.url))
            .field("tables", &self.tables)
            .field("server_id", &self.server_id)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// With the defaults for everything else.
    pub fn new(
        name: impl Into<String>,
        url: impl Into<String>,
        tables: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            password: None,
            tables: tables.into_iter().map(Into::into).collect(),
            server_id: None,
            deadline: DEFAULT_DEADLINE,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            table_interval: DEFAULT_TABLE_INTERVAL,
            queue_bytes: DEFAULT_QUEUE_BYTES,
            snapshot: Snapshot::default(),
            snapshot_workers: DEFAULT_SNAPSHOT_WORKERS,
            snapshot_rate: None,
            snapshot_where: BTreeMap::new(),
        }
    }

    /// The first thing that cannot be, by the name of its key.
    pub fn validate(&self) -> Result<(), Error> {
        self.endpoint()?;
        Patterns::new(&self.tables)?;
        if self.name.is_empty() || self.name.contains('\0') {
            return Err(Error::stop(
                "name: a pipeline has one",
                "use 1 or more letters, digits, dashes or underscores",
            ));
        }
        if self.server_id == Some(0) {
            return Err(Error::stop(
                "server_id: a replica with the number 0 is refused by the server",
                "use a number from 1 to 4294967295 that no other replica has, or leave the key out",
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
        if self.snapshot_workers == 0 {
            return Err(Error::stop("snapshot_workers: nobody would copy", "use 1 or more, or snapshot = \"never\""));
        }
        if self.queue_bytes < 1 << 20 {
            return Err(Error::stop("queue_bytes: less than one MiB starves the encoder", "use 1048576 or more"));
        }
        Ok(())
    }

    /// The number under which the server knows this reader among its replicas. Made from the pipeline's name it is the same
    /// after each start, and far from the small numbers that people give.
    pub(crate) fn own_server_id(&self) -> u32 {
        self.server_id.unwrap_or_else(|| 0x8000_0000 | crc32fast::hash(self.name.as_bytes()))
    }

    /// What `SHOW REPLICAS` shows as our host, in at most 60 bytes: it tells our own readers from others with our number.
    pub(crate) fn replica_host(&self) -> String {
        let mut host = format!("headwater {}", self.name);
        host.truncate(host.floor_char_boundary(60));
        host
    }

    /// What MySQL knows a replica by. A stream of the same one, which the server may still think alive, ends when a new one
    /// begins (`kill_zombie_dump_threads`, MySQL's `sql/rpl_source.cc`).
    pub(crate) fn replica_uuid(&self) -> String {
        let word = |salt: u8| crc32fast::hash(&[self.name.as_bytes(), &[0, salt]].concat());
        let [a, b, c] = [1, 2, 3].map(word);
        format!(
            "{a:08x}-{:04x}-8{:03x}-8{:03x}-{c:08x}{:04x}",
            b >> 16,
            b & 0xfff,
            a & 0xfff,
            self.own_server_id() & 0xffff
        )
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        let mut endpoint = url::parse(&self.url)?;
        if let Some(password) = &self.password {
            endpoint.password = Some(SecretString::from(password.expose_secret().to_owned()));
        }
        Ok(endpoint)
    }
}

/// The manual's words for what TLS has to prove. `PREFERRED` is TLS if the server offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SslMode {
    Disabled,
    Preferred,
    Required,
    VerifyCa,
    VerifyIdentity,
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
    database: String,
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
            let (database, table) =
                name.split_once('.').filter(|(database, table)| !database.is_empty() && !table.is_empty()).ok_or_else(
                    || Error::stop(format!("tables: {text:?} has no database"), format!("write \"shop.{name}\"")),
                )?;
            list.push(Pattern { database: database.to_owned(), table: table.to_owned() });
        }
        if wanted.is_empty() {
            return Err(Error::stop("tables: no table is asked for", "name at least one, such as \"shop.*\""));
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
            .filter(|pattern| !pattern.database.contains('*') && !pattern.table.contains('*'))
            .map(|pattern| TableName::new(&pattern.database, &pattern.table))
    }
}

impl Pattern {
    fn matches(&self, name: &TableName) -> bool {
        glob(&self.database, &name.schema) && glob(&self.table, &name.table)
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
        let patterns = Patterns::new(&["shop.*".into(), "!shop.audit_*".into(), "s.one".into()]).unwrap();
        assert!(patterns.matches(&TableName::new("shop", "orders")));
        assert!(!patterns.matches(&TableName::new("shop", "audit_log")));
        assert!(patterns.names(&TableName::new("s", "one")));
        assert!(!patterns.names(&TableName::new("shop", "orders")));
        assert!(Patterns::new(&["orders".into()]).is_err());
        assert!(Patterns::new(&["!a.b".into()]).is_err());
    }

    #[test]
    fn a_pipeline_is_the_same_replica_after_each_start() {
        let config = |name: &str| Config::new(name, "mysql://h/db", ["a.b"]);
        let (one, other) = (config("one"), config("other"));
        assert_eq!(one.own_server_id(), config("one").own_server_id());
        assert_eq!(one.replica_uuid(), config("one").replica_uuid());
        assert_ne!(one.own_server_id(), other.own_server_id());
        assert_ne!(one.replica_uuid(), other.replica_uuid());
        assert!(one.own_server_id() > i32::MAX as u32);
        let groups: Vec<usize> = one.replica_uuid().split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(Config { server_id: Some(7), ..config("one") }.own_server_id(), 7);
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut config = Config::new("shop", "mysql://me:hunter2@h/db?ssl-mode=DISABLED", ["a.b"]);
        config.password = Some(SecretString::from("hunter3".to_owned()));
        config.validate().unwrap();
        let shown = format!("{config:?} {:?}", config.endpoint().unwrap());
        assert!(!shown.contains("hunter"), "{shown}");
        let error = Config::new("shop", "mysql://me:hunter2@h:notaport/db", ["a.b"]).validate().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"));
    }
}
