//! The one table of configuration keys: path, kind, default, flag and meaning. Loading, the reference page and the help
//! for a mistyped key all read it, so they cannot disagree.

use std::time::Duration;

use super::value::{show_duration, show_size};

/// What a key holds, with its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is never shown.
    Secret,
    /// One or more texts.
    List,
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    /// A number with a unit: `500ms`, `10s`, `1m30s`.
    Duration {
        min: Duration,
        max: Duration,
    },
    /// Bytes, with or without a unit: `16MiB`.
    Size {
        min: u64,
        max: u64,
    },
    Choice(&'static [&'static str]),
    /// Free keys with texts; `secret` ones are never shown.
    Map {
        secret: bool,
    },
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// There is no sensible value; `example` is what a person could write.
    Required { example: &'static str },
    /// Nothing is set.
    Nothing,
    /// The value of the key `name`.
    Name,
    /// This text, read as if it stood in the file.
    Value(&'static str),
}

/// One key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Sections and key, joined by dots: `kafka.topics.partitions`.
    pub path: &'static str,
    pub kind: Kind,
    pub absent: Absent,
    /// The flag that gives the same value.
    pub flag: Option<&'static str>,
    pub meaning: &'static str,
}

impl Key {
    /// The section that the key stands in; empty for the top of the file.
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// The key without its section.
    pub fn leaf(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, leaf)| leaf)
    }

    /// Whether no value of this key is ever shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Map { secret: true })
    }
}

/// The key with this path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

const fn seconds(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_secs(min), max: Duration::from_secs(max) }
}

/// Shortens the table below.
const fn key(path: &'static str, kind: Kind, absent: Absent, meaning: &'static str) -> Key {
    Key { path, kind, absent, flag: None, meaning }
}

/// A key that also has a flag.
const fn flagged(path: &'static str, flag: &'static str, kind: Kind, absent: Absent, meaning: &'static str) -> Key {
    Key { path, kind, absent, flag: Some(flag), meaning }
}

/// Every key, in the order of the reference page.
pub const KEYS: &[Key] = &[
    flagged(
        "name",
        "--name",
        Kind::Text,
        Absent::Required { example: "shop" },
        "The pipeline's name: the key of its checkpoint, and the default of transactional id and PostgreSQL's slot and \
         publication. Lower case letters, digits and `_`, at most 63.",
    ),
    flagged(
        "source.url",
        "--source-url",
        Kind::Text,
        Absent::Required { example: "postgres://headwater@localhost:5432/shop" },
        "The database: `postgres://user@host:port/database`, `mysql://user@host:port` or `mariadb://user@host:port`. TLS is \
         asked for in the URL, in the database's own words: `?sslmode=verify-full`, `?ssl-mode=VERIFY_IDENTITY`.",
    ),
    key("source.password", Kind::Secret, Absent::Nothing, "The password, if it is not in the URL."),
    flagged(
        "source.tables",
        "--tables",
        Kind::List,
        Absent::Required { example: "public.*" },
        "The tables to capture, as `schema.table`, in MySQL and MariaDB `database.table`. `*` stands for any text; a leading \
         `!` leaves tables out.",
    ),
    key(
        "source.snapshot",
        Kind::Choice(&["initial", "never"]),
        Absent::Value("initial"),
        "Whether the rows that a table already holds when it joins are published too, as events with `op` `r`.",
    ),
    key(
        "source.snapshot_workers",
        Kind::Integer { min: 1, max: 32 },
        Absent::Value("2"),
        "How many tables are copied at the same time, each over a connection of its own.",
    ),
    key(
        "source.snapshot_rate",
        Kind::Size { min: 1 << 10, max: 1 << 40 },
        Absent::Nothing,
        "How many bytes of rows all copies together read in a second, such as `20MiB`. Without it they read as fast as they \
         can be published.",
    ),
    key(
        "source.snapshot_where",
        Kind::Map { secret: false },
        Absent::Nothing,
        "By table, which of its rows are copied, as SQL behind `WHERE`: \
         `\"public.orders\" = \"placed > now() - interval '90 days'\"`. Changes of other rows are published all the same.",
    ),
    key(
        "source.messages",
        Kind::List,
        Absent::Nothing,
        "PostgreSQL: which logical messages (`pg_logical_emit_message`) are published, by prefix; `*` stands for any text. They go to the \
         topic `<prefix>.pg_logical.message`.",
    ),
    key("source.slot", Kind::Text, Absent::Name, "PostgreSQL: the replication slot; it is made when it is missing."),
    key("source.publication", Kind::Text, Absent::Name, "PostgreSQL: the publication; it is made when it is missing."),
    key(
        "source.server_id",
        Kind::Integer { min: 1, max: 0xffff_ffff },
        Absent::Nothing,
        "MySQL and MariaDB: the number by which the server knows headwater among its replicas, where no two may have the same. \
         Without it, it is made from `name`.",
    ),
    key("source.sslrootcert", Kind::Text, Absent::Nothing, "File with the certificate authorities to trust, in PEM."),
    key("source.sslcert", Kind::Text, Absent::Nothing, "File with the client certificate, in PEM."),
    key("source.sslkey", Kind::Text, Absent::Nothing, "File with the client certificate's key, in PEM."),
    key(
        "source.table_refresh",
        seconds(1, 3600),
        Absent::Value("10s"),
        "PostgreSQL: how often the catalogue is asked for tables that newly match `tables`. The slot is looked at as \
         often, and at least every 10 s. MySQL and MariaDB show a new table with its first row.",
    ),
    key(
        "source.wal_disk",
        Kind::Size { min: 64 << 20, max: 1 << 50 },
        Absent::Nothing,
        "PostgreSQL: the space that the server's log may take on its disk, such as `50GiB`; then headwater warns before it is full. \
         SQL cannot tell how much of a disk is free. Needs `pg_monitor`, to count the log's files.",
    ),
    key(
        "source.connect_timeout",
        seconds(1, 300),
        Absent::Value("10s"),
        "How long a connection attempt may take before it is tried again.",
    ),
    key(
        "source.read_timeout",
        seconds(5, 3600),
        Absent::Value("60s"),
        "How long the database may be silent, keep-alives included, before the connection counts as dead.",
    ),
    flagged(
        "kafka.brokers",
        "--brokers",
        Kind::Text,
        Absent::Required { example: "localhost:9092" },
        "The brokers to begin with, `host:port`, separated by commas.",
    ),
    flagged(
        "kafka.topic_prefix",
        "--topic-prefix",
        Kind::Text,
        Absent::Required { example: "shop" },
        "The first part of every topic's name: `<prefix>.<schema>.<table>`.",
    ),
    flagged(
        "kafka.delivery",
        "--delivery",
        Kind::Choice(&["exactly-once", "at-least-once"]),
        Absent::Value("exactly-once"),
        "`exactly-once` puts events and position into one Kafka transaction; `at-least-once` writes the position after \
         the events are acknowledged, so that a crash may repeat some.",
    ),
    key(
        "kafka.checkpoint_topic",
        Kind::Text,
        Absent::Value("__headwater_checkpoints"),
        "The compacted topic that holds the positions of all pipelines of the cluster.",
    ),
    key(
        "kafka.tombstones",
        Kind::Bool,
        Absent::Value("true"),
        "Whether a delete is followed by a record without a value, so that compaction forgets the key.",
    ),
    key(
        "kafka.transaction_timeout",
        seconds(3, 900),
        Absent::Value("60s"),
        "After this time the broker aborts a transaction that its producer left open. The broker's \
         `transaction.max.timeout.ms` must not be smaller.",
    ),
    key(
        "kafka.topics.partitions",
        Kind::Integer { min: 1, max: 10_000 },
        Absent::Value("1"),
        "Partitions of a topic that headwater makes.",
    ),
    key(
        "kafka.topics.replication_factor",
        Kind::Integer { min: -1, max: 32_767 },
        Absent::Value("-1"),
        "Replicas of a topic that headwater makes; `-1` takes the broker's default.",
    ),
    key(
        "kafka.topics.config",
        Kind::Map { secret: false },
        Absent::Nothing,
        "Settings of a topic that headwater makes, such as `\"retention.ms\" = \"604800000\"`.",
    ),
    key(
        "kafka.batch.max_bytes",
        Kind::Size { min: 1 << 10, max: 1 << 30 },
        Absent::Value("16MiB"),
        "A batch, which is one Kafka transaction, closes at this many bytes.",
    ),
    key(
        "kafka.batch.max_time",
        Kind::Duration { min: Duration::from_millis(1), max: Duration::from_secs(5) },
        Absent::Value("250ms"),
        "A batch closes after this time under load. When the source has nothing more to give it closes at once.",
    ),
    key(
        "kafka.properties",
        Kind::Map { secret: true },
        Absent::Nothing,
        "Any librdkafka property that headwater does not set itself, such as `\"security.protocol\" = \"SASL_SSL\"`. \
         Values are never shown.",
    ),
    flagged(
        "registry.url",
        "--registry-url",
        Kind::Text,
        Absent::Required { example: "http://localhost:8081" },
        "The schema registry.",
    ),
    key("registry.username", Kind::Text, Absent::Nothing, "User for basic authentication; needs `password`."),
    key("registry.password", Kind::Secret, Absent::Nothing, "Password for basic authentication; needs `username`."),
    key("registry.token", Kind::Secret, Absent::Nothing, "Bearer token, instead of `username` and `password`."),
    key("registry.ca", Kind::Text, Absent::Nothing, "File with the certificate authorities to trust, in PEM."),
    key(
        "registry.register",
        Kind::Bool,
        Absent::Value("true"),
        "Whether headwater registers schemas. With `false` it only looks them up, and a schema that somebody else (a CI job) \
         has not registered stops a new pipeline; later, it holds its table until it is registered.",
    ),
    key(
        "registry.subject_naming",
        Kind::Choice(&["topic", "record", "topic-record"]),
        Absent::Value("topic"),
        "Under which subject a schema is kept: `<topic>-key` and `<topic>-value`, the full name of its record \
         (`<prefix>.<schema>.<table>.Key` and `.Envelope`), or `<topic>-<full name>`.",
    ),
    key(
        "evolution.on_change",
        Kind::Choice(&["evolve", "strict", "accept"]),
        Absent::Value("evolve"),
        "Which changes of a table's shape go on by themselves: `evolve` those that are safe, or safe if agreed; `strict` \
         only those that are safe; `accept` all. A table whose change may not go on is held: its events are parked until \
         `headwater schema release`.",
    ),
    key(
        "evolution.tables",
        Kind::Map { secret: false },
        Absent::Nothing,
        "By table, where that differs: `\"public.orders\" = \"strict\"`.",
    ),
    flagged(
        "admin.listen",
        "--admin-listen",
        Kind::Text,
        Absent::Value("127.0.0.1:9808"),
        "Address of `/healthz`, `/readyz`, `/metrics`, `/status` and the page at `/`. Port 0 takes a free one.",
    ),
    key(
        "admin.token",
        Kind::Secret,
        Absent::Nothing,
        "When set, everything but `/healthz` and `/readyz` wants it: as bearer token, or as the password in a browser.",
    ),
];

/// The page `docs/configuration.md`.
pub fn reference_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    let mut section = None;
    for key in KEYS {
        if section != Some(key.section()) {
            section = Some(key.section());
            let title =
                if key.section().is_empty() { "Top of the file".into() } else { format!("`[{}]`", key.section()) };
            page.push_str(&format!("\n## {title}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"));
        }
        let mut meaning = key.meaning.to_owned();
        if let Some(flag) = key.flag {
            meaning.push_str(&format!(" Flag: `{flag}`."));
        }
        page.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            key.leaf(),
            show_kind(key.kind),
            show_absent(key.absent),
            meaning
        ));
    }
    page
}

const INTRODUCTION: &str = "\
# Configuration

One TOML file, given with `-c FILE` or in the environment variable `HEADWATER_CONFIG`. Keys marked **required** also have
a flag, so that a file is not needed to try headwater; a flag wins over the file. `headwater config check` tells whether a
file is right and where each value comes from. This page is printed by `headwater config reference`.

```toml
name = \"shop\"

[source]
url = \"postgres://headwater@localhost:5432/shop\"
password = \"${env:SOURCE_PASSWORD}\"
tables = [\"public.*\", \"!public.audit_*\"]

[kafka]
brokers = \"localhost:9092\"
topic_prefix = \"shop\"

[registry]
url = \"http://localhost:8081\"
```

**Expansion.** In the value of a key, `${env:NAME}` stands for an environment variable and `${file:/path}` for the text of
a file, without the line break at its end. `$${` is a plain `${`. A value that was expanded is never printed or logged.

**Durations** have a unit: `500ms`, `10s`, `5m`, `1h`, `1m30s`. **Sizes** are bytes, or have a unit: `512KiB`, `16MiB`.
";

fn show_kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Secret => "text, secret".into(),
        Kind::List => "list of texts".into(),
        Kind::Bool => "`true` or `false`".into(),
        Kind::Integer { min, max } => format!("integer, {min} to {max}"),
        Kind::Duration { min, max } => format!("duration, {} to {}", show_duration(min), show_duration(max)),
        Kind::Size { min, max } => format!("size, {} to {}", show_size(min), show_size(max)),
        Kind::Choice(choices) => choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(" or "),
        Kind::Map { secret: false } => "table of texts".into(),
        Kind::Map { secret: true } => "table of texts, secret".into(),
    }
}

fn show_absent(absent: Absent) -> String {
    match absent {
        Absent::Required { example } => format!("**required**, e.g. `{example}`"),
        Absent::Nothing => String::new(),
        Absent::Name => "the value of `name`".into(),
        Absent::Value(value) => format!("`{value}`"),
    }
}
