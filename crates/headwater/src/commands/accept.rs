//! `headwater accept gap|identity`: the way out when headwater refuses to go on. It says what will be given up, and does
//! it only with `--yes`.

use pipeline::checkpoint::{self, Checkpoint};

use crate::assemble;
use crate::commands::checkpoint::read;
use crate::config::Config;
use crate::database::Elsewhere;
use crate::failure::Failure;
use crate::output;

/// What a person accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Changes between the checkpoint and the place where the log can be read again will never be published.
    Gap,
    /// The database behind the address is another server than the checkpoint's.
    Identity,
}

/// Explains, and with `yes` writes the new checkpoint. A running process of the pipeline is fenced by it.
pub fn run(config: &Config, accepted: Accepted, yes: bool) -> Result<(), Failure> {
    let found = read(config)?;
    let database = assemble::database(config);
    let slot = &config.source.slot;
    let place = match accepted {
        Accepted::Gap => database.behind_gap(found.as_ref().and_then(Checkpoint::resume).as_ref(), slot)?,
        Accepted::Identity => database.now(slot)?,
    };
    let record = found.map(|found| found.record);
    let old = record.as_ref().and_then(|record| record.position.as_deref()).unwrap_or("none");
    let old_server = record.as_ref().and_then(|record| record.server.as_deref()).unwrap_or("none");
    output::print(&explain(config, accepted, old, old_server, &place));
    if !yes {
        output::print("nothing was written: this was a dry run; add --yes to do it");
        return Ok(());
    }
    let kafka = assemble::kafka(config);
    checkpoint::replace(
        &kafka,
        &assemble::pipeline(config),
        &assemble::instance(),
        &place.server_identity,
        place.position.as_str(),
    )?;
    output::print("written; `headwater run` goes on from there");
    Ok(())
}

fn explain(config: &Config, accepted: Accepted, old: &str, old_server: &str, place: &Elsewhere) -> String {
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
        ("new position", format!("{} ({})", place.position, place.what)),
        ("checkpoint's server", old_server.to_owned()),
        ("server now", place.server_identity.clone()),
        ("what it means", lost.to_owned()),
    ];
    output::columns(&rows.map(|(name, value)| vec![name.to_owned(), value]))
}
