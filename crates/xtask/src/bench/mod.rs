//! `cargo xtask bench`: headwater beside the bounds that its neighbours set, on the same machine in the same run.
//!
//! Absolute numbers depend on the machine; the ratios are the result. Every measurement is printed as a JSON line, so that
//! runs can be compared, and as a table for people.

mod binlog;
mod bounds;
mod drain;
mod kill;
mod latency;
mod load;
mod receipts;
mod report;
mod snapshot;
mod stand;
mod start;

use std::path::{Path, PathBuf};

use anyhow::Result;

#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// How fast a backlog is drained, beside librdkafka, and for PostgreSQL beside pg_recvlogical
    Drain(drain::Options),
    /// How fast a table's rows are copied, beside COPY and librdkafka, and what it costs the database's other users
    Snapshot(snapshot::Options),
    /// From the commit in the database to the read-committed receipt, beside a bare librdkafka transaction loop
    Latency(latency::Options),
    /// From the start of the process to the first event that a reader sees
    Start(start::Options),
    /// From a SIGKILL under load to the next event, and what was lost or repeated
    Kill(kill::Options),
}

/// What every measurement takes.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// A release binary to measure instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

impl Common {
    fn binary(&self, root: &Path) -> Result<PathBuf> {
        self.binary.as_ref().map_or_else(|| crate::product::build(root), |binary| Ok(std::path::absolute(binary)?))
    }
}

/// All measurements with their defaults.
pub(crate) fn run_all(root: &Path) -> Result<()> {
    #[derive(clap::Parser)]
    struct Alone {
        #[command(subcommand)]
        bench: Bench,
    }
    for name in ["drain", "snapshot", "latency", "start", "kill"] {
        run(root, &<Alone as clap::Parser>::try_parse_from(["bench", name])?.bench)?;
    }
    Ok(())
}

pub(crate) fn run(root: &Path, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Drain(options) => drain::run(root, options),
        Bench::Snapshot(options) => snapshot::run(root, options),
        Bench::Latency(options) => latency::run(root, options),
        Bench::Start(options) => start::run(root, options),
        Bench::Kill(options) => kill::run(root, options),
    }
}
