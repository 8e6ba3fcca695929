//! `headwater accept gap|identity`: the way out when headwater refuses to go on. It says what will be given up, and does
//! it only with `--yes`.

use pipeline::checkpoint;
use source_postgres::SlotStatus;

use crate::assemble;
use crate::commands::checkpoint::read;
use crate::config::Config;
use crate::failure::Failure;
use crate::output;

/// What a person accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Changes between the checkpoint and the slot's own position will never be published.
    Gap,
    /// The database behind the address is another server than the checkpoint's.
    Identity,
}

/// Explains, and with `yes` writes the new checkpoint. A running process of the pipeline is fenced by it.
pub fn run(config: &Config, accepted: Accepted, yes: bool) -> Result<(), Failure> {
    let record = read(config)?.map(|found| found.record);
    let status = source_postgres::slot_status(&assemble::source(config))?;
    let slot = &config.source.slot;
    let Some(position) = status.confirmed_flush_lsn.map(|lsn| lsn.to_string()) else {
        return Err(Failure::stop(
            format!("slot {slot} does not exist: there is no position to go on from"),
            format!("create it first: select pg_create_logical_replication_slot('{slot}', 'pgoutput');"),
        ));
    };
    let old = record.as_ref().and_then(|record| record.position.as_deref()).unwrap_or("none");
    let old_server = record.as_ref().and_then(|record| record.server.as_deref()).unwrap_or("none");
    if accepted == Accepted::Gap && old_server != "none" && old_server != status.server_identity {
        return Err(Failure::stop(
            format!("the server is another one ({}, not {old_server})", status.server_identity),
            "if that is meant, `headwater accept identity` accepts the server and the gap",
        ));
    }
    output::print(&explain(config, accepted, old, old_server, &status, &position));
    if !yes {
        output::print("nothing was written: this was a dry run; add --yes to do it");
        return Ok(());
    }
    let kafka = assemble::kafka(config);
    checkpoint::replace(
        &kafka,
        &assemble::pipeline(config),
        &assemble::instance(),
        &status.server_identity,
        &position,
    )?;
    output::print("written; `headwater run` goes on from there");
    Ok(())
}

fn explain(
    config: &Config,
    accepted: Accepted,
    old: &str,
    old_server: &str,
    status: &SlotStatus,
    position: &str,
) -> String {
    let lost = match accepted {
        Accepted::Gap => "changes between the two positions will never be published",
        Accepted::Identity => {
            "changes that the old server had after its position, and those that this server had before the new one, \
             will never be published"
        }
    };
    let rows = [
        ("pipeline", config.name.clone()),
        ("checkpoint", old.to_owned()),
        ("new position", format!("{position} (what slot {} holds)", config.source.slot)),
        ("checkpoint's server", old_server.to_owned()),
        ("server now", status.server_identity.clone()),
        ("what it means", lost.to_owned()),
    ];
    output::columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}
