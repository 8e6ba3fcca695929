//! From one configuration to the configurations of the crates that obey it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use crate::config::{Config, Delivery, Login, Source};
use crate::database::{Database, Scheme};
use crate::failure::Failure;

/// The version that events, checkpoints and `--version` name.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The database, with its source's configuration.
pub fn database(config: &Config) -> Database {
    match config.source.scheme {
        Scheme::Postgres => Database::Postgres(postgres(&config.source)),
        Scheme::MySql => Database::MySql(mysql(config)),
    }
}

fn postgres(source: &Source) -> source_postgres::Config {
    let mut assembled = source_postgres::Config::new(
        source_url(source, ["sslrootcert", "sslcert", "sslkey"]),
        source.tables.iter().cloned(),
        source.slot.as_str(),
        source.publication.as_str(),
    );
    assembled.password = source.password.as_ref().map(copy);
    assembled.deadline = source.read_timeout;
    assembled.connect_timeout = source.connect_timeout;
    assembled.table_interval = source.table_refresh;
    assembled.snapshot = source.snapshot;
    assembled.snapshot_workers = source.snapshot_workers;
    assembled.messages.clone_from(&source.messages);
    assembled.snapshot_rate = source.snapshot_rate;
    assembled.snapshot_where.clone_from(&source.snapshot_where);
    assembled.wal_disk = source.wal_disk;
    assembled
}

fn mysql(config: &Config) -> source_mysql::Config {
    let source = &config.source;
    let url = source_url(source, ["ssl-ca", "ssl-cert", "ssl-key"]);
    let mut assembled = source_mysql::Config::new(config.name.as_str(), url, source.tables.iter().cloned());
    assembled.password = source.password.as_ref().map(copy);
    assembled.server_id = source.server_id;
    assembled.deadline = source.read_timeout;
    assembled.connect_timeout = source.connect_timeout;
    assembled.table_interval = source.table_refresh;
    assembled.snapshot = source.snapshot;
    assembled.snapshot_workers = source.snapshot_workers;
    assembled.snapshot_rate = source.snapshot_rate;
    assembled.snapshot_where.clone_from(&source.snapshot_where);
    assembled
}

/// The source's URL, with the certificates' files as parameters of these names: authorities, certificate, key.
fn source_url(source: &Source, names: [&str; 3]) -> String {
    let mut url = source.url.expose_secret().to_owned();
    for (name, path) in names.into_iter().zip([&source.sslrootcert, &source.sslcert, &source.sslkey]) {
        if let Some(path) = path {
            url.push(if url.contains('?') { '&' } else { '?' });
            // These two would end the value, or begin an escape.
            let path = path.display().to_string().replace('%', "%25").replace('&', "%26");
            url.push_str(&format!("{name}={path}"));
        }
    }
    url
}

/// The configuration of the Kafka client.
pub fn kafka(config: &Config) -> sink_kafka::Config {
    let kafka = &config.kafka;
    let mut assembled = sink_kafka::Config::new(kafka.brokers.as_str(), format!("headwater-{}", config.name));
    assembled.delivery = match kafka.delivery {
        Delivery::ExactlyOnce => sink_kafka::Delivery::ExactlyOnce,
        Delivery::AtLeastOnce => sink_kafka::Delivery::AtLeastOnce,
    };
    assembled.client_id = format!("headwater-{}", config.name);
    assembled.properties =
        kafka.properties.iter().map(|(name, value)| (name.clone(), copy(value))).collect::<BTreeMap<_, _>>();
    assembled.topics = sink_kafka::TopicDefaults {
        partitions: Some(kafka.topics.partitions),
        replication_factor: Some(kafka.topics.replication_factor).filter(|&factor| factor > 0),
        config: kafka.topics.config.clone(),
    };
    assembled.transaction_timeout = kafka.transaction_timeout;
    assembled
}

/// The configuration of the registry's client.
pub fn registry(config: &Config) -> Result<schema_registry::Config, Failure> {
    let registry = &config.registry;
    let mut assembled =
        schema_registry::Config::new(&registry.url).map_err(|error| Failure::configuration(error.to_string()))?;
    match &registry.login {
        Login::None => {}
        Login::Basic { username, password } => {
            assembled.auth = schema_registry::Auth::Basic { user: username.clone(), password: copy(password) };
        }
        Login::Token(token) => assembled.auth = schema_registry::Auth::Bearer { token: copy(token) },
    }
    assembled.ca.clone_from(&registry.ca);
    assembled.register = registry.register;
    assembled.subject_naming = registry.subject_naming;
    Ok(assembled)
}

/// The engine's own settings.
pub fn pipeline(config: &Config) -> pipeline::Config {
    pipeline::Config {
        name: config.name.clone(),
        topic_prefix: config.kafka.topic_prefix.clone(),
        checkpoint_topic: config.kafka.checkpoint_topic.clone(),
        tombstones: config.kafka.tombstones,
        batch: pipeline::Batch { max_bytes: config.kafka.batch.max_bytes, max_time: config.kafka.batch.max_time },
        policy: config.evolution.clone(),
        version: VERSION,
    }
}

/// A name for this process that no other process of the pipeline ever has.
pub fn instance() -> String {
    let random: [u64; 2] = [fastrand::u64(..), fastrand::u64(..)];
    format!("{:016x}{:016x}", random[0], random[1])
}

/// Secrets are not `Clone`, so that each copy is made on purpose.
pub fn copy(secret: &SecretString) -> SecretString {
    SecretString::from(secret.expose_secret().to_owned())
}
