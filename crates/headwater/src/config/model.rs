//! The configuration as the rest of the program uses it: complete, with defaults, every value legal by itself. What a
//! value means to the database or to Kafka is checked by the crate that obeys it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pipeline::{OnChange, Policy};
use schema_registry::SubjectNaming;
use secrecy::SecretString;
use source_postgres::Snapshot;

use super::load::{Origin, Settings};
use super::secret::Text;
use super::value::{Refusal, Value};
use crate::database::Scheme;

/// A complete pipeline. `Debug` and the other ways to print it show no secret.
pub struct Config {
    pub name: String,
    pub source: Source,
    pub kafka: Kafka,
    pub registry: Registry,
    /// `[evolution]`
    pub evolution: Policy,
    pub admin: Admin,
}

/// `[source]`. The URL may carry a password.
pub struct Source {
    pub scheme: Scheme,
    pub url: SecretString,
    pub password: Option<SecretString>,
    pub tables: Vec<String>,
    pub snapshot: Snapshot,
    pub messages: Vec<String>,
    pub snapshot_workers: usize,
    /// Bytes per second.
    pub snapshot_rate: Option<u64>,
    pub snapshot_where: BTreeMap<String, String>,
    pub slot: String,
    pub publication: String,
    pub server_id: Option<u32>,
    pub sslrootcert: Option<PathBuf>,
    pub sslcert: Option<PathBuf>,
    pub sslkey: Option<PathBuf>,
    pub table_refresh: Duration,
    /// Bytes; `None`: the disk is not watched.
    pub wal_disk: Option<u64>,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
}

/// How sure delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    ExactlyOnce,
    AtLeastOnce,
}

impl Delivery {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExactlyOnce => "exactly-once",
            Self::AtLeastOnce => "at-least-once",
        }
    }
}

/// `[kafka]`
pub struct Kafka {
    pub brokers: String,
    pub topic_prefix: String,
    pub delivery: Delivery,
    pub checkpoint_topic: String,
    pub tombstones: bool,
    pub transaction_timeout: Duration,
    pub topics: Topics,
    pub batch: Batch,
    pub properties: BTreeMap<String, SecretString>,
}

/// `[kafka.topics]`: how topics are made.
pub struct Topics {
    pub partitions: i32,
    /// -1 is the broker's default.
    pub replication_factor: i32,
    pub config: BTreeMap<String, String>,
}

/// `[kafka.batch]`
#[derive(Clone, Copy)]
pub struct Batch {
    pub max_bytes: u64,
    pub max_time: Duration,
}

/// `[registry]`
pub struct Registry {
    pub url: String,
    pub login: Login,
    pub ca: Option<PathBuf>,
    pub register: bool,
    pub subject_naming: SubjectNaming,
}

/// How the registry knows us.
pub enum Login {
    None,
    Basic { username: String, password: SecretString },
    Token(SecretString),
}

/// `[admin]`
pub struct Admin {
    pub listen: SocketAddr,
    pub token: Option<SecretString>,
}

/// Longest name of a slot, and so of a pipeline.
const LONGEST_NAME: usize = 63;
/// A topic's name has at most 249 letters: a dot, a schema of 63, a dot and a table of 63 must fit behind the prefix.
const LONGEST_PREFIX: usize = 249 - 2 * 64;

impl Config {
    /// Puts the settings together; every problem goes into `settings.problems`.
    pub(super) fn assemble(settings: &mut Settings) -> Option<Self> {
        let mut take = Take { settings };
        let name = take.checked("name", check_name);
        let source = source(&mut take);
        let kafka = kafka(&mut take);
        let registry = registry(&mut take);
        let evolution = evolution(&mut take);
        let admin = admin(&mut take);
        if !settings.problems.is_empty() {
            return None;
        }
        Some(Self { name: name?, source: source?, kafka: kafka?, registry: registry?, evolution, admin: admin? })
    }
}

fn source(take: &mut Take<'_>) -> Option<Source> {
    let url = take.checked_text("source.url", check_source_url);
    let scheme = url.as_ref().and_then(|url| Scheme::of(url.expose()));
    check_scheme(take, scheme);
    let server_id = take.number("source.server_id");
    let password = take.text("source.password").map(|text| text.secret());
    let tables = take.tables();
    let snapshot = take.text("source.snapshot").map(|text| match text.expose() {
        "never" => Snapshot::Never,
        _ => Snapshot::Initial,
    });
    let snapshot_workers = take.integer("source.snapshot_workers").and_then(|workers| usize::try_from(workers).ok());
    let messages = take.list("source.messages");
    let snapshot_rate = take.size("source.snapshot_rate");
    let snapshot_where = take.map("source.snapshot_where");
    let slot = take.checked("source.slot", check_name);
    let publication = take.checked("source.publication", check_identifier);
    let [sslrootcert, sslcert, sslkey] =
        ["source.sslrootcert", "source.sslcert", "source.sslkey"].map(|path| take.path(path));
    if sslcert.is_some() != sslkey.is_some() {
        let path = if sslcert.is_some() { "source.sslcert" } else { "source.sslkey" };
        take.refuse(path, Refusal::new("a client certificate and its key go together", "set sslcert and sslkey"));
    }
    let table_refresh = take.duration("source.table_refresh");
    let wal_disk = take.size("source.wal_disk");
    let connect_timeout = take.duration("source.connect_timeout");
    let read_timeout = take.duration("source.read_timeout");
    Some(Source {
        scheme: scheme?,
        url: url?.secret(),
        password,
        tables: tables?,
        snapshot: snapshot?,
        messages,
        snapshot_workers: snapshot_workers?,
        snapshot_rate,
        snapshot_where: snapshot_where.into_iter().map(|(table, text)| (table, text.expose().to_owned())).collect(),
        slot: slot?,
        publication: publication?,
        server_id,
        sslrootcert,
        sslcert,
        sslkey,
        table_refresh: table_refresh?,
        wal_disk,
        connect_timeout: connect_timeout?,
        read_timeout: read_timeout?,
    })
}

/// Keys that mean something to PostgreSQL only, and those that do to MySQL and MariaDB only.
const POSTGRES_ONLY: [&str; 4] = ["source.slot", "source.publication", "source.messages", "source.wal_disk"];
const MYSQL_ONLY: [&str; 1] = ["source.server_id"];

/// Refuses keys of the other kind of database: whoever wrote them expects something that will not be.
fn check_scheme(take: &mut Take<'_>, scheme: Option<Scheme>) {
    let (keys, whose): (&[&str], _) = match scheme {
        Some(Scheme::Postgres) => (&MYSQL_ONLY, "MySQL and MariaDB"),
        Some(Scheme::MySql) => (&POSTGRES_ONLY, "PostgreSQL"),
        None => return,
    };
    for &path in keys {
        if take.settings.is_given(path) {
            take.refuse(path, Refusal::new(format!("only for {whose}"), "leave it out"));
        }
    }
}

fn kafka(take: &mut Take<'_>) -> Option<Kafka> {
    let brokers = take.checked("kafka.brokers", check_brokers);
    let topic_prefix = take.checked("kafka.topic_prefix", check_prefix);
    let delivery = take.text("kafka.delivery").map(|text| match text.expose() {
        "at-least-once" => Delivery::AtLeastOnce,
        _ => Delivery::ExactlyOnce,
    });
    let checkpoint_topic = take.checked("kafka.checkpoint_topic", check_topic);
    let tombstones = take.flag("kafka.tombstones");
    let transaction_timeout = take.duration("kafka.transaction_timeout");
    let partitions = take.integer("kafka.topics.partitions");
    let replication_factor = take.integer("kafka.topics.replication_factor");
    if replication_factor == Some(0) {
        let path = "kafka.topics.replication_factor";
        take.refuse(
            path,
            Refusal::new("a topic needs at least one replica", "write 1 or more, or -1 for the broker's default"),
        );
    }
    let config = take.map("kafka.topics.config");
    let max_bytes = take.size("kafka.batch.max_bytes");
    let max_time = take.duration("kafka.batch.max_time");
    let properties = take.map("kafka.properties");
    Some(Kafka {
        brokers: brokers?,
        topic_prefix: topic_prefix?,
        delivery: delivery?,
        checkpoint_topic: checkpoint_topic?,
        tombstones: tombstones?,
        transaction_timeout: transaction_timeout?,
        topics: Topics {
            partitions: partitions?,
            replication_factor: replication_factor?,
            config: config.into_iter().map(|(key, text)| (key, text.expose().to_owned())).collect(),
        },
        batch: Batch { max_bytes: max_bytes?, max_time: max_time? },
        properties: properties.into_iter().map(|(key, text)| (key, text.secret())).collect(),
    })
}

fn registry(take: &mut Take<'_>) -> Option<Registry> {
    let url = take.checked("registry.url", check_registry_url);
    let username = take.text("registry.username");
    let password = take.text("registry.password");
    let token = take.text("registry.token");
    let ca = take.path("registry.ca");
    let register = take.flag("registry.register");
    let subject_naming = take.text("registry.subject_naming").map(|text| match text.expose() {
        "record" => SubjectNaming::Record,
        "topic-record" => SubjectNaming::TopicRecord,
        _ => SubjectNaming::Topic,
    });
    let login = match (username, password, token) {
        (None, None, None) => Login::None,
        (None, None, Some(token)) => Login::Token(token.secret()),
        (Some(username), Some(password), None) => {
            Login::Basic { username: username.expose().to_owned(), password: password.secret() }
        }
        (_, _, Some(_)) => {
            let refusal = Refusal::new(
                "a registry takes a token, or a user with a password, not both",
                "leave out `token`, or `username` and `password`",
            );
            take.refuse("registry.token", refusal);
            return None;
        }
        (username, _, None) => {
            let (path, other) =
                if username.is_some() { ("registry.username", "password") } else { ("registry.password", "username") };
            take.refuse(
                path,
                Refusal::new("a user and a password go together", format!("set `{other}` in [registry]")),
            );
            return None;
        }
    };
    Some(Registry { url: url?, login, ca, register: register?, subject_naming: subject_naming? })
}

fn evolution(take: &mut Take<'_>) -> Policy {
    let word = |word: &str| match word {
        "evolve" => Some(OnChange::Evolve),
        "strict" => Some(OnChange::Strict),
        "accept" => Some(OnChange::Accept),
        _ => None,
    };
    let on_change = take.text("evolution.on_change").and_then(|text| word(text.expose())).unwrap_or_default();
    let mut tables = BTreeMap::new();
    for (table, text) in take.map("evolution.tables") {
        match word(text.expose()) {
            Some(policy) => drop(tables.insert(table, policy)),
            None => {
                let what = format!("`{}` for table {table} is none of evolve, strict and accept", text.expose());
                take.refuse("evolution.tables", Refusal::new(what, "write `evolve`, `strict` or `accept`"));
            }
        }
    }
    Policy { on_change, tables }
}

fn admin(take: &mut Take<'_>) -> Option<Admin> {
    let listen = take.checked("admin.listen", check_listen);
    let token = take.text("admin.token").map(|text| text.secret());
    Some(Admin { listen: listen?.parse().ok()?, token })
}

/// Takes typed values out of the settings. The table of keys says each one's kind.
struct Take<'a> {
    settings: &'a mut Settings,
}

impl Take<'_> {
    fn refuse(&mut self, path: &'static str, refusal: Refusal) {
        let problem = self.settings.refusal(path, refusal);
        self.settings.problems.push(problem);
    }

    fn text(&mut self, path: &'static str) -> Option<Text> {
        match self.settings.take(path)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn checked_text(&mut self, path: &'static str, check: fn(&Text) -> Result<(), Refusal>) -> Option<Text> {
        let setting = self.settings.take(path)?;
        let Value::Text(text) = setting.value else { return None };
        match check(&text) {
            Ok(()) => Some(text),
            // The slot's default is the name, which has been refused already.
            Err(_) if setting.origin == Origin::Default => None,
            Err(refusal) => {
                self.refuse(path, refusal);
                None
            }
        }
    }

    fn checked(&mut self, path: &'static str, check: fn(&Text) -> Result<(), Refusal>) -> Option<String> {
        self.checked_text(path, check).map(|text| text.expose().to_owned())
    }

    fn path(&mut self, path: &'static str) -> Option<PathBuf> {
        self.text(path).map(|text| PathBuf::from(text.expose()))
    }

    fn flag(&mut self, path: &'static str) -> Option<bool> {
        match self.settings.take(path)?.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    fn integer(&mut self, path: &'static str) -> Option<i32> {
        match self.settings.take(path)?.value {
            Value::Integer(number) => i32::try_from(number).ok(),
            _ => None,
        }
    }

    fn number(&mut self, path: &'static str) -> Option<u32> {
        match self.settings.take(path)?.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        }
    }

    fn size(&mut self, path: &'static str) -> Option<u64> {
        match self.settings.take(path)?.value {
            Value::Size(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn duration(&mut self, path: &'static str) -> Option<Duration> {
        match self.settings.take(path)?.value {
            Value::Duration(duration) => Some(duration),
            _ => None,
        }
    }

    fn map(&mut self, path: &'static str) -> BTreeMap<String, Text> {
        match self.settings.take(path).map(|setting| setting.value) {
            Some(Value::Map(entries)) => entries,
            _ => BTreeMap::new(),
        }
    }

    fn list(&mut self, path: &'static str) -> Vec<String> {
        match self.settings.take(path).map(|setting| setting.value) {
            Some(Value::List(texts)) => texts.iter().map(|text| text.expose().to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    fn tables(&mut self) -> Option<Vec<String>> {
        let Value::List(patterns) = self.settings.take("source.tables")?.value else { return None };
        match check_tables(&patterns) {
            Ok(()) => Some(patterns.iter().map(|text| text.expose().to_owned()).collect()),
            Err(refusal) => {
                self.refuse("source.tables", refusal);
                None
            }
        }
    }
}

fn check_name(text: &Text) -> Result<(), Refusal> {
    let name = text.expose();
    let legal = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(legal) {
        return Ok(());
    }
    let what = format!(
        "{} cannot name a pipeline or a replication slot: only lower case letters, digits and `_`, 1 to {LONGEST_NAME} of them",
        text.quoted()
    );
    let mended: String = name.to_lowercase().chars().map(|letter| if legal(letter) { letter } else { '_' }).collect();
    let help = (!text.is_hidden() && !mended.is_empty() && mended.len() <= LONGEST_NAME)
        .then(|| format!("write \"{mended}\""));
    Err(Refusal { what, help })
}

fn check_identifier(text: &Text) -> Result<(), Refusal> {
    if text.expose().is_empty() || text.expose().len() > LONGEST_NAME || text.expose().contains('\0') {
        return Err(Refusal {
            what: format!("{} cannot name a publication: 1 to {LONGEST_NAME} bytes", text.quoted()),
            help: None,
        });
    }
    Ok(())
}

fn check_source_url(text: &Text) -> Result<(), Refusal> {
    if Scheme::of(text.expose()).is_some() {
        return Ok(());
    }
    Err(Refusal::new(
        "the URL of the database must begin with postgres://, mysql:// or mariadb://",
        "write postgres://user@host:5432/database, or mysql://user@host:3306",
    ))
}

fn check_tables(patterns: &[Text]) -> Result<(), Refusal> {
    for pattern in patterns {
        let name = pattern.expose().strip_prefix('!').unwrap_or_else(|| pattern.expose());
        match name.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {}
            _ if pattern.is_hidden() || name.is_empty() || name.contains('.') => {
                return Err(Refusal::new(
                    format!("{} is not of the form schema.table", pattern.quoted()),
                    "write \"public.orders\", or \"public.*\" for all tables of the schema",
                ));
            }
            _ => {
                return Err(Refusal::new(
                    format!("{} names no schema", pattern.quoted()),
                    format!("write \"public.{name}\""),
                ));
            }
        }
    }
    if patterns.iter().all(|pattern| pattern.expose().starts_with('!')) {
        return Err(Refusal::new("no table is captured", "add a pattern without `!`, such as \"public.*\""));
    }
    Ok(())
}

fn check_brokers(text: &Text) -> Result<(), Refusal> {
    let wrong = |broker: &str| broker.is_empty() || broker.contains(char::is_whitespace) || broker.starts_with("http");
    if text.expose().split(',').map(str::trim).any(wrong) {
        return Err(Refusal::new(
            format!("{} is not a list of brokers", text.quoted()),
            "write host:port, several separated by commas: \"kafka1:9092,kafka2:9092\"",
        ));
    }
    Ok(())
}

fn legal_topic(name: &str, longest: usize) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    !name.is_empty() && name.len() <= longest && name.chars().all(legal) && name != "." && name != ".."
}

fn check_prefix(text: &Text) -> Result<(), Refusal> {
    if legal_topic(text.expose(), LONGEST_PREFIX) {
        return Ok(());
    }
    let what = format!(
        "{} cannot begin a topic's name: only letters, digits, `.`, `_` and `-`, 1 to {LONGEST_PREFIX} of them",
        text.quoted()
    );
    Err(Refusal { what, help: None })
}

fn check_topic(text: &Text) -> Result<(), Refusal> {
    if legal_topic(text.expose(), 249) {
        return Ok(());
    }
    let what =
        format!("{} cannot name a topic: only letters, digits, `.`, `_` and `-`, 1 to 249 of them", text.quoted());
    Err(Refusal { what, help: None })
}

fn check_registry_url(text: &Text) -> Result<(), Refusal> {
    match text.expose().split_once("://") {
        Some(("http" | "https", rest)) if rest.contains('@') => Err(Refusal::new(
            "the registry's URL carries a login",
            "take it out of the URL, and set `username` and `password` in [registry]",
        )),
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(()),
        _ => Err(Refusal::new("the registry's URL must begin with http:// or https://", "write http://localhost:8081")),
    }
}

fn check_listen(text: &Text) -> Result<(), Refusal> {
    if text.expose().parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{} is not an address with a port", text.quoted()),
        "write \"127.0.0.1:9808\" for this machine only, or \"0.0.0.0:9808\" for every network",
    ))
}
