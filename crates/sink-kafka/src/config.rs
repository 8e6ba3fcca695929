//! What a user may set, what headwater owns and why, and the one place where a Kafka client is configured.

use crate::error::ConfigError;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The coordinator aborts a transaction that is open for longer. A crashed pipeline's open transaction hides records
/// from `read_committed` readers for as long, so it is short; a commit takes milliseconds.
pub const DEFAULT_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// `transaction.max.timeout.ms` of a broker as delivered.
const MAX_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(900);
/// librdkafka's default of `message.max.bytes`.
const DEFAULT_MESSAGE_MAX_BYTES: usize = 1_000_000;
/// Resident memory follows the queue's limit, speed does not (measured from 4 to 64 MiB).
const QUEUE_BYTES: usize = 8 << 20;
/// Small records reach this limit before the one in bytes; each costs about 150 bytes of book-keeping.
const QUEUE_MESSAGES: usize = 50_000;

/// Long, because a flush ignores it: no commit waits for it, and requests leave when they are full. A short one costs a
/// core: once the oldest waiting record is older than this and five requests are in flight, librdkafka's broker thread
/// polls without a pause until one of them is answered (a quarter of the process's CPU while the broker was the slower).
const LINGER_MS: &str = "1000";
/// Fewer bytes for brokers and readers at about 0.1 us of CPU a row; zstd cost about ten times that.
const DEFAULT_COMPRESSION: &str = "lz4";

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Events and checkpoint in one Kafka transaction.
    #[default]
    ExactlyOnce,
    /// Idempotent producer, no transaction; the checkpoint follows the acknowledgements.
    AtLeastOnce,
}

/// How topics are made when they do not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicDefaults {
    /// `None`: the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// `None`: the broker's `default.replication.factor`.
    pub replication_factor: Option<i32>,
    /// Topic settings such as `retention.ms`.
    pub config: BTreeMap<String, String>,
}

/// Everything needed to talk to one Kafka cluster.
#[derive(Clone)]
pub struct Config {
    /// `host:port,host:port`
    pub brokers: String,
    pub delivery: Delivery,
    /// One per pipeline; two processes with the same fence each other.
    pub transactional_id: String,
    /// Shown in the brokers' logs and quotas.
    pub client_id: String,
    /// librdkafka properties as the user gave them; any of them may be a secret, so all are kept as such.
    pub properties: BTreeMap<String, SecretString>,
    pub topics: TopicDefaults,
    pub transaction_timeout: Duration,
}

impl Config {
    pub fn new(brokers: impl Into<String>, transactional_id: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            delivery: Delivery::default(),
            transactional_id: transactional_id.into(),
            client_id: "headwater".to_owned(),
            properties: BTreeMap::new(),
            topics: TopicDefaults::default(),
            transaction_timeout: DEFAULT_TRANSACTION_TIMEOUT,
        }
    }

    /// Checks every field and property without talking to anyone.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let field = |field, why: &str| Err(ConfigError::Field { field, why: why.to_owned() });
        if self.brokers.trim().is_empty() {
            return field("brokers", "is empty; give host:port, several separated by commas");
        }
        if self.brokers.contains('@') {
            return field("brokers", "takes no user or password; set sasl.username and sasl.password under properties");
        }
        if self.transactional_id.is_empty() {
            return field("transactional_id", "is empty");
        }
        if !(Duration::from_secs(1)..=MAX_TRANSACTION_TIMEOUT).contains(&self.transaction_timeout) {
            return field("transaction_timeout", "must be between 1 s and 15 min");
        }
        if self.topics.partitions.is_some_and(|n| n < 1) {
            return field("topics.partitions", "must be at least 1");
        }
        if self.topics.replication_factor.is_some_and(|n| n < 1) {
            return field("topics.replication_factor", "must be at least 1");
        }
        for (name, value) in &self.properties {
            if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| owned == name) {
                return Err(ConfigError::Owned { name: name.clone(), reason });
            }
            let mut one = ClientConfig::new();
            one.set(name, value.expose_secret());
            // The binding's own text repeats the value, which may be a secret.
            one.create_native_config().map_err(|error| self.without_value(&error, name))?;
        }
        if let Some(value) = self.properties.get("message.max.bytes")
            && value.expose_secret().parse::<usize>().is_err()
        {
            return Err(ConfigError::Value { name: "message.max.bytes".to_owned() });
        }
        Ok(())
    }

    fn without_value(&self, error: &KafkaError, name: &str) -> ConfigError {
        match error {
            KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..) => {
                ConfigError::Unknown { name: name.to_owned() }
            }
            KafkaError::ClientConfig(_, _, key, _) => ConfigError::Value { name: key.clone() },
            other => ConfigError::Create { brokers: self.brokers.clone(), reason: self.scrub(&other.to_string()) },
        }
    }

    /// What went wrong while a client was made, with no property's value in it.
    pub(crate) fn creation_error(&self, error: &KafkaError) -> ConfigError {
        let name = if let KafkaError::ClientConfig(_, _, key, _) = error { key.as_str() } else { "" };
        self.without_value(error, name)
    }

    /// Takes every property's value out of a text of librdkafka.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let mut clean = text.to_owned();
        for (name, value) in &self.properties {
            let value = value.expose_secret();
            if is_sensitive(name) && value.len() > 2 {
                clean = clean.replace(value, "[redacted]");
            }
        }
        clean
    }

    /// The largest record (key and value) the client takes.
    pub fn message_max_bytes(&self) -> usize {
        let given = self.properties.get("message.max.bytes");
        given.and_then(|value| value.expose_secret().parse().ok()).unwrap_or(DEFAULT_MESSAGE_MAX_BYTES)
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", &self.brokers).set("client.id", &self.client_id);
        // A broker's restart takes seconds: librdkafka's own limit of 10 s between attempts would add as much again.
        config.set("reconnect.backoff.max.ms", "2000");
        // It also waits half as long between its first connections to a cluster, and a start makes several.
        config.set("reconnect.backoff.ms", "20");
        // Idle connections are closed by brokers every 10 minutes; that is no event.
        config.set("log.connection.close", "false");
        for (name, value) in &self.properties {
            config.set(name, value.expose_secret());
        }
        config
    }

    /// The producer: transactional or merely idempotent.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut config = self.base();
        let timeout = self.transaction_timeout.as_millis().to_string();
        // A record larger than the queue would wait for room for ever.
        let queue = QUEUE_BYTES.max(2 * self.message_max_bytes());
        config
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", &timeout)
            .set("queue.buffering.max.kbytes", (queue >> 10).to_string())
            .set("queue.buffering.max.messages", QUEUE_MESSAGES.to_string())
            .set("linger.ms", LINGER_MS);
        if !self.properties.contains_key("compression.type") && !self.properties.contains_key("compression.codec") {
            config.set("compression.type", DEFAULT_COMPRESSION);
        }
        if self.delivery == Delivery::ExactlyOnce {
            config.set("transactional.id", &self.transactional_id).set("transaction.timeout.ms", &timeout);
        }
        config
    }

    /// A consumer that is assigned partitions by hand and commits nothing; also the client for metadata.
    pub(crate) fn reader(&self, committed_only: bool) -> ClientConfig {
        let mut config = self.base();
        config
            // librdkafka assigns no partition without a group's name; the group is never joined.
            .set("group.id", &self.transactional_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            .set("isolation.level", if committed_only { "read_committed" } else { "read_uncommitted" })
            .set("fetch.wait.max.ms", "10")
            .set("queued.max.messages.kbytes", "4096");
        config
    }

    pub(crate) fn admin(&self) -> ClientConfig {
        self.base()
    }
}

/// Only names: a value may be a secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("delivery", &self.delivery)
            .field("transactional_id", &self.transactional_id)
            .field("client_id", &self.client_id)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("topics", &self.topics)
            .field("transaction_timeout", &self.transaction_timeout)
            .finish()
    }
}

/// librdkafka's own list of sensitive properties, by what their names have in common.
fn is_sensitive(name: &str) -> bool {
    ["password", "secret", "username", "pem", "key", "token", "oauthbearer.config"]
        .iter()
        .any(|part| name.contains(part))
}

/// Properties a user cannot set, each with the reason.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set kafka.brokers instead"),
    ("metadata.broker.list", "set kafka.brokers instead"),
    ("client.id", "set kafka.client_id instead"),
    ("transactional.id", "it names the pipeline, and fences a second process of the same name"),
    ("transaction.timeout.ms", "set kafka.transaction_timeout instead; other time-outs follow it"),
    ("enable.idempotence", "without it a retry repeats or reorders records"),
    ("enable.gapless.guarantee", "a failed record already ends the transaction"),
    ("acks", "anything but all loses acknowledged records when a broker dies"),
    ("request.required.acks", "anything but all loses acknowledged records when a broker dies"),
    ("retries", "a transaction's time-out ends retries"),
    ("message.send.max.retries", "a transaction's time-out ends retries"),
    ("message.timeout.ms", "it follows kafka.transaction_timeout"),
    ("delivery.timeout.ms", "it follows kafka.transaction_timeout"),
    ("linger.ms", "every commit flushes; waiting longer only delays"),
    ("queue.buffering.max.ms", "every commit flushes; waiting longer only delays"),
    ("queue.buffering.max.messages", "the memory limit of the process counts on it"),
    ("queue.buffering.max.kbytes", "the memory limit of the process counts on it"),
    ("queue.buffering.backpressure.threshold", "the memory limit of the process counts on it"),
    ("queuing.strategy", "records of a partition stay in order"),
    ("delivery.report.only.error", "acknowledgements are counted"),
    ("partitioner", "headwater computes partitions itself, as Java clients do"),
    ("sticky.partitioning.linger.ms", "headwater computes partitions itself, as Java clients do"),
    ("isolation.level", "the checkpoint is read with both levels"),
    ("group.id", "headwater joins no group"),
    ("group.instance.id", "headwater joins no group"),
    ("group.protocol", "headwater joins no group"),
    ("enable.auto.commit", "the position is in the checkpoint topic"),
    ("enable.auto.offset.store", "the position is in the checkpoint topic"),
    ("auto.offset.reset", "the position is in the checkpoint topic"),
    ("enable.partition.eof", "reading the checkpoint back relies on it"),
    ("fetch.wait.max.ms", "reading the checkpoint back relies on it"),
    ("queued.max.messages.kbytes", "the memory limit of the process counts on it"),
    ("allow.auto.create.topics", "topics are made explicitly, before anything is written"),
    ("statistics.interval.ms", "metrics are headwater's own"),
    ("log.queue", "log lines go to headwater's log"),
    ("log_level", "log lines go to headwater's log"),
    ("plugin.library.paths", "it loads code into the process"),
];

/// Every property a user cannot set, and why; for the documentation and for `doctor`.
pub fn owned_properties() -> &'static [(&'static str, &'static str)] {
    OWNED
}

#[cfg(test)]
mod tests {
    use super::{Config, Delivery, OWNED, owned_properties};
    use crate::error::ConfigError;
    use rdkafka::config::ClientConfig;
    use rdkafka::error::KafkaError;
    use rdkafka::types::RDKafkaConfRes;

    fn with(name: &str, value: &str) -> Config {
        let mut config = Config::new("localhost:9092", "shop");
        config.properties.insert(name.to_owned(), value.into());
        config
    }

    #[test]
    fn the_default_is_valid_and_makes_a_client() {
        let config = Config::new("localhost:9092", "shop");
        config.validate().unwrap();
        config.producer().create::<rdkafka::producer::BaseProducer>().unwrap();
        config.reader(true).create::<rdkafka::consumer::BaseConsumer>().unwrap();
    }

    #[test]
    fn users_tune_what_is_theirs() {
        for (name, value) in [
            ("compression.codec", "zstd"),
            ("compression.type", "none"),
            ("batch.size", "200000"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-512"),
            ("ssl.ca.location", "/etc/ca.pem"),
            ("client.rack", "a"),
            ("socket.keepalive.enable", "true"),
            ("message.max.bytes", "20000000"),
        ] {
            with(name, value).validate().unwrap();
        }
        for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
            let config = Config { delivery, ..with("message.max.bytes", "20000000") };
            config.producer().create::<rdkafka::producer::BaseProducer>().unwrap();
        }
    }

    #[test]
    fn owned_and_unknown_properties_are_refused_with_the_reason() {
        for (name, _) in OWNED {
            let error = with(name, "1").validate().unwrap_err();
            assert!(matches!(&error, ConfigError::Owned { .. }), "{error}");
            assert!(error.to_string().contains(name));
        }
        let error = with("compresion.type", "lz4").validate().unwrap_err();
        assert!(matches!(error, ConfigError::Unknown { .. }), "{error}");
    }

    /// A typing error in the table would silently let a property through.
    #[test]
    fn every_owned_property_exists() {
        for (name, reason) in owned_properties() {
            assert!(!reason.is_empty());
            let mut one = ClientConfig::new();
            one.set(*name, "no such value");
            let unknown = matches!(
                one.create_native_config().err(),
                Some(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..))
            );
            assert!(!unknown, "{name}");
        }
    }

    #[test]
    fn no_value_of_a_property_is_ever_shown() {
        let mut config = with("sasl.password", "hunter2-secret");
        config.properties.insert("batch.size".into(), "hunter3-secret".into());
        assert!(!format!("{config:?}").contains("secret"));
        let error = config.validate().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
        assert!(error.to_string().contains("batch.size"));
        assert_eq!(config.scrub("login hunter2-secret failed"), "login [redacted] failed");
    }

    #[test]
    fn a_secret_is_absent_from_the_error_of_a_client_that_cannot_be_made() {
        let mut config = with("security.protocol", "ssl");
        config.properties.insert("ssl.key.pem".into(), "hunter4-not-a-key".into());
        config.validate().unwrap();
        let error = config.producer().create::<rdkafka::producer::BaseProducer>().err().unwrap();
        let error = config.creation_error(&error);
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    }
}
