//! One server of each kind for a whole test process, started by the first test that wants it.
//!
//! Tests keep apart by names: a database, a topic prefix, a pipeline of their own. A test that breaks a server starts one
//! for itself.

use std::sync::OnceLock;

use crate::{Flavour, Kafka, MySql, Postgres, Registry};

/// The shared broker.
pub fn kafka() -> &'static Kafka {
    static KAFKA: OnceLock<Kafka> = OnceLock::new();
    KAFKA.get_or_init(|| Kafka::start().unwrap_or_else(|error| panic!("the shared Kafka: {error:#}")))
}

/// The shared registry.
pub fn registry() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| Registry::start().unwrap_or_else(|error| panic!("the shared registry: {error:#}")))
}

/// The shared PostgreSQL.
pub fn postgres() -> &'static Postgres {
    static POSTGRES: OnceLock<Postgres> = OnceLock::new();
    POSTGRES.get_or_init(|| Postgres::start().unwrap_or_else(|error| panic!("the shared PostgreSQL: {error:#}")))
}

/// The shared MySQL or MariaDB.
pub fn mysql(flavour: Flavour) -> &'static MySql {
    static SERVERS: [OnceLock<MySql>; Flavour::ALL.len()] = [const { OnceLock::new() }; Flavour::ALL.len()];
    let start = || MySql::start(flavour).unwrap_or_else(|error| panic!("the shared {flavour:?}: {error:#}"));
    SERVERS[flavour as usize].get_or_init(start)
}

/// PostgreSQL, Kafka and the registry; those that are not up yet are started side by side.
#[derive(Debug, Clone, Copy)]
pub struct Servers {
    pub postgres: &'static Postgres,
    pub kafka: &'static Kafka,
    pub registry: &'static Registry,
}

pub fn all() -> Servers {
    std::thread::scope(|scope| {
        scope.spawn(registry);
        scope.spawn(postgres);
        kafka();
    });
    Servers { postgres: postgres(), kafka: kafka(), registry: registry() }
}
