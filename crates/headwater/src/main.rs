//! The `headwater` program: reads the command line, hands over to a command, and turns its end into an exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use headwater::cli::{Accept, Checkpoint, Cli, Command, ConfigCommand, Doctor, Schema, SettingFlags};
use headwater::commands::accept::Accepted;
use headwater::config::{ConfigError, Loaded};
use headwater::exit::Exit;
use headwater::failure::Failure;
use headwater::logging::LoggingError;
use headwater::{commands, logging, memory, output};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::print_error(&format!("error: {error:#}"));
            blame(&error).into()
        }
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<Exit> {
    logging::start(cli.logging.log_format, &cli.logging.log_level)?;
    match &cli.command {
        Command::Config { command: ConfigCommand::Check(query) } => {
            commands::config::check(&load(&query.settings)?, query.output.output);
        }
        Command::Config { command: ConfigCommand::Reference } => commands::config::reference(),
        Command::Config { command: ConfigCommand::Metrics } => commands::config::metrics(),
        Command::Config { command: ConfigCommand::ExitCodes } => commands::config::exit_codes(),
        Command::Config { command: ConfigCommand::Rights } => commands::config::rights(),
        Command::Config { command: ConfigCommand::Types } => commands::config::types(),
        Command::Version { output } => commands::version::run(output.output),
        Command::Run(run) => {
            memory::prepare();
            commands::run::run(&load(&run.settings)?.config)?;
        }
        Command::Checkpoint { command: Checkpoint::Show(query) } => {
            commands::checkpoint::show(&load(&query.settings)?.config, query.output.output)?;
        }
        Command::Accept { command } => {
            let (accepted, arguments) = match command {
                Accept::Gap(arguments) => (Accepted::Gap, arguments),
                Accept::Identity(arguments) => (Accepted::Identity, arguments),
            };
            commands::accept::run(&load(&arguments.query.settings)?.config, accepted, arguments.yes)?;
        }
        Command::Snapshot(snapshot) => {
            commands::snapshot::run(&load(&snapshot.query.settings)?.config, snapshot)?;
        }
        Command::Schema { command } => return schema(command),
        Command::Tail(tail) => commands::tail::run(tail)?,
        Command::Doctor(Doctor { print_ddl_trigger: true, .. }) => output::print(source_postgres::DDL_TRIGGER),
        Command::Doctor(Doctor { query, .. }) => {
            return Ok(commands::diagnose::run(&load(&query.settings)?.config, query.output.output)?);
        }
    }
    Ok(Exit::Good)
}

fn schema(command: &Schema) -> anyhow::Result<Exit> {
    let loaded = Loaded::load_without(command.config().map(PathBuf::as_path), &command.values(), command.unneeded())?;
    Ok(commands::schema::run(loaded.config, command)?)
}

fn load(settings: &SettingFlags) -> anyhow::Result<Loaded> {
    Loaded::load(settings.config.as_deref(), &settings.values()).map_err(Into::into)
}

/// Which exit code an error means.
fn blame(error: &anyhow::Error) -> Exit {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit;
    }
    let usage = error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<LoggingError>());
    if usage { Exit::Usage } else { Exit::Unexpected }
}
