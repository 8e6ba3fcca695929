//! The project's own tasks: `cargo xtask tidy | supply-chain | docs | bench | demo`.
//!
//! Nothing here is shipped. Every check that a person could forget is a command here, and the tests and CI run it.

mod bench;
mod demo;
mod docs;
mod product;
mod supply_chain;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "headwater's own tasks", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check the design's invariants in the source tree
    Tidy,
    /// Check the lock file, the licences and the toolchain, without the network
    SupplyChain,
    /// Write the generated parts of the documents
    Docs {
        /// Change nothing; fail if a document is not what the binary says
        #[arg(long)]
        check: bool,
    },
    /// Measure headwater beside the bounds that its neighbours set, in one run
    ///
    /// Without a name: all of them, one after the other.
    Bench {
        #[command(subcommand)]
        bench: Option<bench::Bench>,
    },
    /// A small shop, its changes as they arrive, a SIGKILL, and a verdict
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let root = workspace_root();
    let done = match Cli::parse().task {
        Task::Tidy => tidy::run(&root),
        Task::SupplyChain => supply_chain::run(&root),
        Task::Docs { check } => docs::run(&root, check),
        Task::Bench { bench: Some(bench) } => bench::run(&root, &bench),
        Task::Bench { bench: None } => bench::run_all(&root),
        Task::Demo(options) => demo::run(&root, &options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository that this binary was built from.
fn workspace_root() -> PathBuf {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).map_or_else(|| manifest.to_owned(), PathBuf::from)
}

/// A `cargo` command in the repository, by the same toolchain that runs this task.
fn cargo(root: &std::path::Path, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(arguments);
    // What `cargo run` has told this task of its own package would make build scripts that watch it run again, and
    // everything behind them be built again: here, and by whoever calls cargo next.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command to its end and returns what it printed; its standard error goes to ours.
fn output(mut command: std::process::Command) -> Result<String> {
    let shown = format!("{command:?}");
    let done = command.stderr(std::process::Stdio::inherit()).output().with_context(|| format!("starting {shown}"))?;
    anyhow::ensure!(done.status.success(), "{shown}: {}", done.status);
    String::from_utf8(done.stdout).with_context(|| format!("{shown} printed something that is not UTF-8"))
}

/// Prints one line for the person who runs the task.
#[expect(clippy::print_stdout, reason = "a task's output is its purpose")]
fn say(line: &str) {
    println!("{line}");
}
