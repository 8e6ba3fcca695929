//! The command line. Its `--help` is the first page of the manual that anybody reads.

mod schema;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::FlagValues;
use crate::exit;
use crate::logging::Format;

pub use schema::{ReportFormat, Schema, SchemaCheck, SchemaDiff, SchemaRelease, SchemaTable};

const EXAMPLES: &str = "\
Examples:
  See the changes of a database on this terminal; nothing else is needed:
    headwater tail postgres://headwater@localhost:5432/shop

  Ask whether everything is fit, then run:
    headwater doctor -c shop.toml
    headwater run -c shop.toml

  Say what a migration does to the consumers of the topics:
    headwater schema check --help

  Run without a file:
    headwater run --name shop --source-url postgres://headwater@localhost:5432/shop \\
      --tables 'public.*' --brokers localhost:9092 --topic-prefix shop \\
      --registry-url http://localhost:8081";

const TAIL_EXAMPLES: &str = "\
Examples:
  headwater tail postgres://headwater@localhost:5432/shop --tables 'public.*'
  headwater tail mysql://headwater@localhost:3306 --tables 'shop.*'";

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  headwater snapshot -c shop.toml
  headwater snapshot public.orders --where \"placed > '2026-01-01'\" --wait -c shop.toml
  headwater snapshot --pause -c shop.toml

The command asks the running process at its admin.listen, with the token of [admin] if there is one.";

/// Publishes each committed change of a database to Kafka, exactly once.
///
/// headwater reads the log of PostgreSQL, MySQL or MariaDB, turns every row change into an Avro event whose schema the registry
/// has accepted, and writes it to Kafka in the same transaction as its position in the log.
#[derive(Clone, Debug, Parser)]
#[command(name = "headwater", version, max_term_width = 100, after_help = help_end(), after_long_help = help_end())]
pub struct Cli {
    #[command(flatten)]
    pub logging: Logging,
    #[command(subcommand)]
    pub command: Command,
}

fn help_end() -> String {
    format!("{EXAMPLES}\n\n{}", exit::help())
}

/// How the program logs, to standard error.
#[derive(Clone, Debug, Args)]
pub struct Logging {
    /// How log lines look [default: human on a terminal, json otherwise]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<Format>,
    /// What is logged: error, warn, info, debug, trace, or target=level pairs
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", env = "HEADWATER_LOG_LEVEL")]
    pub log_level: String,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Capture changes and publish them until told to stop
    ///
    /// SIGTERM and SIGINT drain: what was read is published and committed, then the program ends with 0.
    Run(Run),
    /// Show the changes of a database on this terminal; no Kafka, no registry
    #[command(after_help = TAIL_EXAMPLES)]
    Tail(Tail),
    /// Look whether database, Kafka and registry are fit, and print the exact command that mends what is not
    Doctor(Doctor),
    /// Look at the position that is stored in Kafka
    Checkpoint {
        #[command(subcommand)]
        command: Checkpoint,
    },
    /// Accept what headwater refuses by itself, knowing what it costs; without --yes only says what would be done
    Accept {
        #[command(subcommand)]
        command: Accept,
    },
    /// Show how far the copies of tables are, copy tables again, pause and resume
    #[command(after_help = SNAPSHOT_EXAMPLES)]
    Snapshot(Snapshot),
    /// Say what a change of a table does to its consumers, before it is made; show what is registered
    Schema {
        #[command(subcommand)]
        command: Schema,
    },
    /// Check the configuration, or describe every key
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the version
    Version {
        #[command(flatten)]
        output: OutputFlag,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub enum Checkpoint {
    /// Print the stored position, whose it is and since when
    Show(Query),
}

#[derive(Clone, Debug, Subcommand)]
pub enum Accept {
    /// Go on although part of the log is gone: the changes in between are lost for the topics
    Gap(AcceptArgs),
    /// Go on although the database is another server than the one that the position belongs to
    Identity(AcceptArgs),
}

#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check file and flags; print every value and where it came from
    Check(Box<Query>),
    /// Print the page that describes every key, as Markdown
    Reference,
    /// Print the table that describes every metric, as Markdown
    Metrics,
    /// Print the table of exit codes, as Markdown
    ExitCodes,
    /// Print the rights that a pipeline needs in Kafka, and the commands that grant them, as Markdown
    Rights,
    /// Print the table that says which form each column type takes in an event, as Markdown
    Types,
}

#[derive(Clone, Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// A command that reads the configuration and prints data.
#[derive(Clone, Debug, Args)]
pub struct Query {
    #[command(flatten)]
    pub settings: SettingFlags,
    #[command(flatten)]
    pub output: OutputFlag,
}

/// What is asked of the systems.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Print an SQL script for PostgreSQL and do nothing else: a superuser may run it, so that DDL statements are reported
    #[arg(long)]
    pub print_ddl_trigger: bool,
    #[command(flatten)]
    pub query: Query,
}

/// What is wished of copies; nothing: they are shown.
#[derive(Clone, Debug, Args)]
pub struct Snapshot {
    /// Tables to copy again from the first row, as schema.table; with --pause or --resume the ones that are meant
    #[arg(id = "chosen", value_name = "TABLE")]
    pub tables: Vec<String>,
    /// Copy only rows for which this SQL condition holds
    #[arg(long = "where", value_name = "CONDITION", requires = "chosen", conflicts_with_all = ["pause", "resume"])]
    pub condition: Option<String>,
    /// Read no more of these tables, or of all; changes flow on
    #[arg(long, conflicts_with = "resume")]
    pub pause: bool,
    /// Go on with paused copies, behind the last row that was copied
    #[arg(long)]
    pub resume: bool,
    /// Show the progress until the copies are complete
    #[arg(long, conflicts_with = "pause")]
    pub wait: bool,
    #[command(flatten)]
    pub query: Query,
}

#[derive(Clone, Debug, Args)]
pub struct AcceptArgs {
    #[command(flatten)]
    pub query: Query,
    /// Do it, instead of saying what would be done
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Debug, Args)]
pub struct OutputFlag {
    /// How the result is printed
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Human,
    Json,
}

#[derive(Clone, Args)]
pub struct Tail {
    /// The database: postgres://user@host:port/database, mysql://user@host:port or mariadb://user@host:port
    #[arg(value_name = "URL", env = "HEADWATER_SOURCE_URL", hide_env_values = true)]
    pub url: String,
    /// The tables to show: schema.table, * for any text, ! in front leaves out
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', default_value = "*.*")]
    pub tables: Vec<String>,
    /// How events look
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    pub output: TailOutput,
    /// PostgreSQL's replication slot: `temporary` vanishes with this command, any other name is kept and continued
    #[arg(long, value_name = "NAME", default_value = "temporary")]
    pub slot: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailOutput {
    Pretty,
    Json,
}

/// The file, and the flags that stand for its most needed keys.
#[derive(Clone, Default, Args)]
pub struct SettingFlags {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", env = "HEADWATER_CONFIG")]
    pub config: Option<PathBuf>,
    /// The pipeline's name; a-z, 0-9 and _
    #[arg(long, value_name = "NAME", help_heading = "Instead of the file, or over it")]
    name: Option<String>,
    /// The database; a password is better placed in the variable than on the command line
    #[arg(
        long,
        value_name = "URL",
        env = "HEADWATER_SOURCE_URL",
        hide_env_values = true,
        help_heading = "Instead of the file, or over it"
    )]
    source_url: Option<String>,
    /// The tables to capture: 'public.*,!public.audit_*'
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', help_heading = "Instead of the file, or over it")]
    tables: Vec<String>,
    /// The brokers to begin with
    #[arg(long, value_name = "HOST:PORT,…", help_heading = "Instead of the file, or over it")]
    brokers: Option<String>,
    /// The first part of every topic's name
    #[arg(long, value_name = "PREFIX", help_heading = "Instead of the file, or over it")]
    topic_prefix: Option<String>,
    /// exactly-once or at-least-once
    #[arg(long, value_name = "MODE", help_heading = "Instead of the file, or over it")]
    delivery: Option<String>,
    /// The schema registry
    #[arg(long, value_name = "URL", help_heading = "Instead of the file, or over it")]
    registry_url: Option<String>,
    /// Address of health, metrics and the status page
    #[arg(long, value_name = "ADDRESS", help_heading = "Instead of the file, or over it")]
    admin_listen: Option<String>,
}

impl SettingFlags {
    /// The values that were given, by the key that each stands for.
    pub fn values(&self) -> FlagValues {
        let single = [
            ("name", &self.name),
            ("source.url", &self.source_url),
            ("kafka.brokers", &self.brokers),
            ("kafka.topic_prefix", &self.topic_prefix),
            ("kafka.delivery", &self.delivery),
            ("registry.url", &self.registry_url),
            ("admin.listen", &self.admin_listen),
        ];
        let mut values: FlagValues =
            single.into_iter().filter_map(|(key, value)| Some((key, vec![value.clone()?]))).collect();
        if !self.tables.is_empty() {
            values.push(("source.tables", self.tables.clone()));
        }
        values
    }
}

// URLs may carry passwords, so neither is shown.
impl std::fmt::Debug for SettingFlags {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SettingFlags").field("config", &self.config).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tail").field("tables", &self.tables).field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::KEYS;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_the_table_of_keys_exists_and_reaches_its_key() {
        for key in KEYS {
            let Some(flag) = key.flag else { continue };
            let cli = Cli::try_parse_from(["headwater", "run", flag, "hunter2"]).unwrap();
            assert!(!format!("{cli:?}").contains("hunter2"));
            let Command::Run(run) = cli.command else { panic!("not run") };
            let given: Vec<_> = run.settings.values().into_iter().filter(|(_, value)| value[0] == "hunter2").collect();
            assert_eq!(given.len(), 1, "{flag}");
            assert_eq!(given[0].0, key.path);
        }
    }

    fn help(path: &[&str]) -> String {
        let mut command = Cli::command().term_width(100);
        command.build();
        let mut command = &mut command;
        for name in path {
            command = command.find_subcommand_mut(name).unwrap();
        }
        command.render_help().to_string()
    }

    #[test]
    fn help_texts() {
        insta::assert_snapshot!(help(&[]), @r###"
Publishes each committed change of a database to Kafka, exactly once

Usage: headwater [OPTIONS] <COMMAND>

Commands:
  run         Capture changes and publish them until told to stop
  tail        Show the changes of a database on this terminal; no Kafka, no registry
  doctor      Look whether database, Kafka and registry are fit, and print the exact command that
              mends what is not
  checkpoint  Look at the position that is stored in Kafka
  accept      Accept what headwater refuses by itself, knowing what it costs; without --yes only
              says what would be done
  snapshot    Show how far the copies of tables are, copy tables again, pause and resume
  schema      Say what a change of a table does to its consumers, before it is made; show what is
              registered
  config      Check the configuration, or describe every key
  version     Print the version
  help        Print this message or the help of the given subcommand(s)

Options:
      --log-format <FORMAT>  How log lines look [default: human on a terminal, json otherwise]
                             [possible values: human, json]
      --log-level <LEVEL>    What is logged: error, warn, info, debug, trace, or target=level pairs
                             [env: HEADWATER_LOG_LEVEL=] [default: info]
  -h, --help                 Print help (see more with '--help')
  -V, --version              Print version

Examples:
  See the changes of a database on this terminal; nothing else is needed:
    headwater tail postgres://headwater@localhost:5432/shop

  Ask whether everything is fit, then run:
    headwater doctor -c shop.toml
    headwater run -c shop.toml

  Say what a migration does to the consumers of the topics:
    headwater schema check --help

  Run without a file:
    headwater run --name shop --source-url postgres://headwater@localhost:5432/shop \
      --tables 'public.*' --brokers localhost:9092 --topic-prefix shop \
      --registry-url http://localhost:8081

Exit codes:
  0  done; after SIGTERM: drained, committed, nothing lost
  1  an error that should not be; starting again is safe
  2  the command line or the configuration is wrong
  3  stopped, because going on would lose or invent data: a person must act
  4  another process with the same name has taken over
  5  doctor found problems
  6  schema check: consumers have to agree to the change (only with --fail-on safe-if-agreed)
  7  schema check: the change breaks consumers, at new events or at a replay
  8  schema check: consumers would see wrong values without an error
"###);
        insta::assert_snapshot!(help(&["run"]), @r###"
Capture changes and publish them until told to stop

Usage: headwater run [OPTIONS]

Options:
  -c, --config <FILE>        The configuration file [env: HEADWATER_CONFIG=]
      --log-format <FORMAT>  How log lines look [default: human on a terminal, json otherwise]
                             [possible values: human, json]
      --log-level <LEVEL>    What is logged: error, warn, info, debug, trace, or target=level pairs
                             [env: HEADWATER_LOG_LEVEL=] [default: info]
  -h, --help                 Print help (see more with '--help')

Instead of the file, or over it:
      --name <NAME>             The pipeline's name; a-z, 0-9 and _
      --source-url <URL>        The database; a password is better placed in the variable than on
                                the command line [env: HEADWATER_SOURCE_URL]
      --tables <PATTERN>        The tables to capture: 'public.*,!public.audit_*'
      --brokers <HOST:PORT,…>   The brokers to begin with
      --topic-prefix <PREFIX>   The first part of every topic's name
      --delivery <MODE>         exactly-once or at-least-once
      --registry-url <URL>      The schema registry
      --admin-listen <ADDRESS>  Address of health, metrics and the status page
"###);
        insta::assert_snapshot!(help(&["tail"]), @r###"
Show the changes of a database on this terminal; no Kafka, no registry

Usage: headwater tail [OPTIONS] <URL>

Arguments:
  <URL>  The database: postgres://user@host:port/database, mysql://user@host:port or
         mariadb://user@host:port [env: HEADWATER_SOURCE_URL]

Options:
      --log-format <FORMAT>  How log lines look [default: human on a terminal, json otherwise]
                             [possible values: human, json]
      --tables <PATTERN>     The tables to show: schema.table, * for any text, ! in front leaves out
                             [default: *.*]
      --log-level <LEVEL>    What is logged: error, warn, info, debug, trace, or target=level pairs
                             [env: HEADWATER_LOG_LEVEL=] [default: info]
      --output <FORMAT>      How events look [default: pretty] [possible values: pretty, json]
      --slot <NAME>          PostgreSQL's replication slot: `temporary` vanishes with this command,
                             any other name is kept and continued [default: temporary]
  -h, --help                 Print help

Examples:
  headwater tail postgres://headwater@localhost:5432/shop --tables 'public.*'
  headwater tail mysql://headwater@localhost:3306 --tables 'shop.*'
"###);
    }
}
