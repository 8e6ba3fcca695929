//! `headwater schema …`: what a change of a table does to its consumers, and what is registered, without a write anywhere;
//! and the word that lets a held table go on.
//!
//! | module | what it does |
//! |---|---|
//! | [`registered`] | asks the registry what it has of the pipeline's tables; [`listed`] reads the names of its subjects |
//! | [`planned`] | finds the tables as they would be: in a database, in files, behind a migration |
//! | [`check`] | compares the two, and asks the registry what it would say |
//! | [`report`] | what was found, for programs; [`human`] and [`markdown`] for people |
//! | [`inspect`] | `show`, `diff` and `history` |

mod check;
mod human;
mod inspect;
mod listed;
mod markdown;
mod planned;
mod registered;
mod report;

use change::TableName;
use pipeline::How;

use super::process::Process;
use crate::admin::Release;
use crate::cli::Schema;
use crate::config::Config;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;

/// Runs one of the commands.
pub fn run(mut config: Config, command: &Schema) -> Result<Exit, Failure> {
    match command {
        Schema::Check(arguments) => {
            if arguments.url().is_some() {
                // They belong to the configuration's own server.
                let source = &mut config.source;
                source.password = None;
                (source.sslrootcert, source.sslcert, source.sslkey) = (None, None, None);
            }
            check::run(&config, arguments)
        }
        Schema::Show(arguments) => {
            inspect::show(&config, &table_name(&arguments.table)?, arguments.output.output).map(|()| Exit::Good)
        }
        Schema::History(arguments) => {
            inspect::history(&config, &table_name(&arguments.table)?, arguments.output.output).map(|()| Exit::Good)
        }
        Schema::Diff(arguments) => {
            let table = table_name(&arguments.table.table)?;
            let versions = arguments.from.zip(arguments.to);
            inspect::diff(&config, &table, versions, arguments.table.output.output).map(|()| Exit::Good)
        }
        Schema::Release(arguments) => {
            let how = if arguments.accept { How::Accept } else { How::NewVersion };
            let release = Release { table: arguments.table.clone(), how };
            output::print_error(&Process::new(&config)?.command("/schema/release", &release)?);
            Ok(Exit::Good)
        }
    }
}

fn table_name(text: &str) -> Result<TableName, Failure> {
    match text.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => Ok(TableName::new(schema, table)),
        _ => Err(Failure::configuration(format!("{text:?} is no table: write schema.table, such as public.orders"))),
    }
}
