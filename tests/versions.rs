//! The core of the suite on the oldest and the newest PostgreSQL that is supported, beside the one that all tests use.

use anyhow::{Context, Result};
use testkit::{Database, Postgres, seed, shared};

use crate::road::{self, SHOP};
use crate::support::{Neighbours, Scene};
use crate::tables::{self, SHAPE};
use crate::{resume, retention, types};

/// A database of a server of another version, with the shared broker and registry.
pub(crate) fn beside(server: &Postgres) -> Result<(Database, Neighbours)> {
    let database = server.create_database()?;
    let url = database.url();
    Ok((database, Neighbours { brokers: shared::kafka().bootstrap(), registry: shared::registry().url(), url }))
}

fn core(version: &str) -> Result<()> {
    let server = Postgres::builder().version(version).start()?;
    let scene = |label: &str, sql: &str| {
        let (database, neighbours) = beside(&server)?;
        Scene::with(&format!("{label}{}", &version[..2]), sql, database, neighbours)
    };
    let run = || -> Result<()> {
        road::changes_arrive(&scene("road", SHOP)?)?;
        tables::shape_changes(&scene("shape", SHAPE)?)?;
        retention::holders_are_named(scene("held", SHOP)?)?;
        types::every_type(scene("types", types::SETUP)?)?;
        let (database, neighbours) = beside(&server)?;
        resume::survives_kills(&Scene::journaled_on("kill", database, neighbours)?, 4, seed(version))
    };
    run().with_context(|| server.log_text())
}

#[test]
fn postgresql_14() -> Result<()> {
    core("14.24.0")
}

#[test]
fn postgresql_18() -> Result<()> {
    core("18.4.0")
}
