//! `headwater schema …`: what its commands are given.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use event_avro::compatibility::Verdict;

use super::{OutputFlag, SettingFlags};
use crate::config::FlagValues;

const CHECK_EXAMPLES: &str = "\
Examples:
  In CI, where the migrations were applied to a database of the job's own:
    headwater schema check --database postgres://ci@localhost:5432/shop --tables 'public.*' \\
      --topic-prefix shop --registry-url http://registry:8081 --output github

  A migration that was applied nowhere yet, on an empty server that the command may use:
    headwater schema check -c shop.toml --server postgres://ci@localhost:5432/postgres \\
      --migration migrations/0042_price.sql

  Schemas of somebody else's making:
    headwater schema check -c shop.toml --avsc schemas/

Nothing is written: no schema is registered, no topic made, no checkpoint touched.";

#[derive(Clone, Debug, Subcommand)]
pub enum Schema {
    /// Say what a change of the database does to the consumers of the topics, before it is made
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<SchemaCheck>),
    /// Show the columns that a table has in the registry, with its subjects
    Show(Box<SchemaTable>),
    /// Judge two registered versions, or what is registered against the database as it is now
    Diff(Box<SchemaDiff>),
    /// Show all registered versions of a table, and what changed from one to the next
    History(Box<SchemaTable>),
    /// Let a held table go on: its parked events return, in their order
    Release(Box<SchemaRelease>),
}

#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("how").required(true)))]
pub struct SchemaRelease {
    /// The held table, as schema.table; in MySQL and MariaDB database.table
    #[arg(id = "chosen", value_name = "TABLE")]
    pub table: String,
    /// In its topic, under the new schema: its consumers are ready for it
    #[arg(long, group = "how")]
    pub accept: bool,
    /// In a new topic, <topic>.v2; the old one gets a last event that says so
    #[arg(long, group = "how")]
    pub new_version: bool,
    #[command(flatten)]
    pub settings: SettingFlags,
}

#[derive(Clone, Args)]
pub struct SchemaCheck {
    /// A database where the migration has been applied [default: the source of the configuration]
    #[arg(long, value_name = "URL", conflicts_with_all = ["avsc", "migration"])]
    pub database: Option<String>,
    /// A folder of value schemas: <subject or topic>.avsc, or of any name with the record's full name inside
    #[arg(long, value_name = "DIR", conflicts_with = "migration")]
    pub avsc: Option<PathBuf>,
    /// Migrations to run in a throw-away database on --server, in this order
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "server")]
    pub migration: Vec<PathBuf>,
    /// The server for --migration: it must be one that the command may make and drop databases on
    #[arg(long, value_name = "URL", requires = "migration")]
    pub server: Option<String>,
    /// A dump of the structure before the migration [default: the captured tables, rebuilt from the registered schemas]
    #[arg(long, value_name = "FILE", requires = "migration")]
    pub base: Option<PathBuf>,
    /// The mildest verdict for which the exit code is not 0
    #[arg(
        long,
        value_name = "VERDICT",
        default_value = Verdict::BreaksReplay.name(),
        value_parser = PossibleValuesParser::new(Verdict::ALL.map(Verdict::name)).try_map(|name| verdict(&name))
    )]
    pub fail_on: Verdict,
    /// How the report is printed; github: annotations, and Markdown for the job's summary
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: ReportFormat,
    #[command(flatten)]
    pub settings: SettingFlags,
}

fn verdict(name: &str) -> Result<Verdict, String> {
    Verdict::ALL.into_iter().find(|verdict| verdict.name() == name).ok_or_else(|| format!("{name} is no verdict"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Human,
    Json,
    Markdown,
    Github,
}

#[derive(Clone, Debug, Args)]
pub struct SchemaTable {
    /// The table, as schema.table; in MySQL and MariaDB database.table
    #[arg(id = "chosen", value_name = "TABLE")]
    pub table: String,
    #[command(flatten)]
    pub output: OutputFlag,
    #[command(flatten)]
    pub settings: SettingFlags,
}

#[derive(Clone, Debug, Args)]
pub struct SchemaDiff {
    #[command(flatten)]
    pub table: SchemaTable,
    /// The older version of the value's subject; without it the newest one is judged against the database
    #[arg(long, value_name = "VERSION", requires = "to")]
    pub from: Option<u32>,
    /// The newer version
    #[arg(long, value_name = "VERSION", requires = "from")]
    pub to: Option<u32>,
}

impl SchemaCheck {
    /// The database in the place of the configuration's.
    pub fn url(&self) -> Option<&str> {
        self.database.as_deref().or(self.server.as_deref())
    }
}

impl Schema {
    fn settings(&self) -> &SettingFlags {
        match self {
            Self::Check(check) => &check.settings,
            Self::Show(table) | Self::History(table) => &table.settings,
            Self::Diff(diff) => &diff.table.settings,
            Self::Release(release) => &release.settings,
        }
    }

    /// The configuration file.
    pub fn config(&self) -> Option<&PathBuf> {
        self.settings().config.as_ref()
    }

    /// The values that were given, by the key that each stands for.
    pub fn values(&self) -> FlagValues {
        let mut values = self.settings().values();
        if let Self::Check(check) = self
            && let Some(url) = check.url()
        {
            values.retain(|(key, _)| *key != "source.url");
            values.push(("source.url", vec![url.to_owned()]));
        }
        values
    }

    /// Required keys that this command does without: there is no Kafka where a change is checked.
    pub fn unneeded(&self) -> &'static [&'static str] {
        let registry_alone = match self {
            Self::Check(check) => return if check.avsc.is_some() { &KEYS[..3] } else { &KEYS[..2] },
            Self::Show(_) | Self::History(_) | Self::Release(_) => true,
            Self::Diff(diff) => diff.from.is_some(),
        };
        if registry_alone { &KEYS } else { &KEYS[..2] }
    }
}

/// The keys about Kafka and the pipeline, about the database, about its tables.
const KEYS: [&str; 4] = ["name", "kafka.brokers", "source.url", "source.tables"];

// URLs may carry passwords, so none is shown.
impl std::fmt::Debug for SchemaCheck {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SchemaCheck")
            .field("avsc", &self.avsc)
            .field("migration", &self.migration)
            .field("base", &self.base)
            .field("fail_on", &self.fail_on)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}
