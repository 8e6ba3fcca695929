//! `headwater tail`: the changes of a database on this terminal. Needs a database and nothing else.
//!
//! With PostgreSQL and a temporary slot, nothing stays behind and nothing is repeated. With a slot of one's own the server
//! remembers what was printed: the position is confirmed after each transaction, so a killed `tail` prints its last one again.
//! MySQL and MariaDB remember nothing of a reader.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use change::{Source, SourceInfo, Step};
use event_avro::render::{render_json, render_line};

use crate::cli::{Tail, TailOutput};
use crate::database::{Database, Scheme};
use crate::failure::Failure;
use crate::{output, signals};

/// How often the wish to stop is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// Prints changes until Ctrl-C.
pub fn run(arguments: &Tail) -> Result<(), Failure> {
    let mut source = database(arguments)?.source()?;
    let stop = signals::watch()?;
    let started = source.start(None)?;
    let names: Vec<String> = started.tables.iter().map(|table| table.name.to_string()).collect();
    let names = if names.is_empty() { arguments.tables.join(", ") } else { names.join(", ") };
    output::print_error(&format!("tailing {names} from {}; Ctrl-C ends", started.position));
    let printed = print_changes(source.as_mut(), &started.info, arguments.output, &stop);
    // The temporary publication goes even when printing failed; the first failure is the one to tell.
    let closed = source.close();
    printed?;
    Ok(closed?)
}

fn database(arguments: &Tail) -> Result<Database, Failure> {
    let tables = arguments.tables.iter().cloned();
    let temporary = arguments.slot == "temporary";
    if Scheme::of(&arguments.url) == Some(Scheme::MySql) {
        if !temporary {
            return Err(Failure::stop(
                "--slot is for PostgreSQL: MySQL and MariaDB do not remember what was printed",
                "leave --slot out",
            ));
        }
        // A number of its own: a pipeline beside it must not lose its stream to this one.
        let name = format!("tail {} {:08x}", std::process::id(), fastrand::u32(..));
        return Ok(Database::MySql(source_mysql::Config::new(name, arguments.url.as_str(), tables)));
    }
    let slot = if temporary {
        format!("headwater_tail_{}_{:08x}", std::process::id(), fastrand::u32(..))
    } else {
        arguments.slot.clone()
    };
    let publication = if temporary { slot.clone() } else { arguments.slot.clone() };
    let url = arguments.url.as_str();
    let mut config = source_postgres::Config::new(url, tables, slot.as_str(), publication.as_str());
    config.temporary = temporary;
    Ok(Database::Postgres(config))
}

fn print_changes(
    source: &mut dyn Source,
    info: &SourceInfo,
    format: TailOutput,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let pretty = format == TailOutput::Pretty && output::is_terminal();
    let colours = output::has_colours();
    let invalid = |error: change::ValueError| Failure::stop(error.to_string(), "leave the table out with --tables");
    while !stop.load(Ordering::Relaxed) {
        match source.next(PATIENCE)? {
            Step::Change(change) => {
                let line = if pretty { render_line(&change, colours) } else { render_json(&change, info) };
                output::print(&format!("{}\n", line.map_err(invalid)?));
            }
            Step::Commit { .. } => {
                let position = source.position();
                source.confirm(&position)?;
            }
            Step::Idle
            | Step::Begin(_)
            | Step::Chunk(_)
            | Step::Progress { .. }
            | Step::Statement(_)
            | Step::Table(_) => {}
        }
    }
    Ok(())
}
