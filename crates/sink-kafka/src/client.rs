//! What librdkafka says on its own, log lines and errors outside any call, and the consumer used to ask questions.

use crate::config::Config;
use crate::error::{AdminError, ConfigError};
use crate::fault::{Fault, classify, code_of, help, is_certificate_refused};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Remembers the last error that needs a person: a request that was refused by a failed login only times out.
pub(crate) struct Watch {
    config: Config,
    refusal: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl Watch {
    pub(crate) fn new(config: &Config) -> Self {
        Self { config: config.clone(), refusal: Mutex::new(None) }
    }

    /// The refusal seen since the client was made, if any.
    pub(crate) fn refusal(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Watch {
    fn log(&self, level: Level, facility: &str, message: &str) {
        let message = self.config.scrub(message);
        if let Some(refusal) = refusal_in(facility, &message) {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
        }
        match level {
            Level::Emerg | Level::Alert | Level::Critical => {
                tracing::error!(target: "kafka", facility, "{message}");
            }
            Level::Error | Level::Warning => tracing::warn!(target: "kafka", facility, "{message}"),
            Level::Notice | Level::Info => tracing::info!(target: "kafka", facility, "{message}"),
            Level::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn stats(&self, _: rdkafka::Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = code_of(&error);
        let reason = self.config.scrub(reason);
        // The group is only a name (see `Config::reader`): whether it may be used is of no interest.
        if classify(code) == Fault::Stop && code != RDKafkaErrorCode::GroupAuthorizationFailed {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.clone()));
        }
        tracing::debug!(target: "kafka", %error, "{reason}");
    }
}

impl ConsumerContext for Watch {}

/// Two refusals reach nobody but the log: of a topic in a transaction, whose error does not name the topic, and of our
/// certificate, which counts as a lost connection.
fn refusal_in(facility: &str, message: &str) -> Option<(RDKafkaErrorCode, String)> {
    match facility {
        "ADDPARTS" if message.ends_with("Topic authorization failed") => {
            let reason = message.rsplit_once("Failed to add").map_or(message, |(_, reason)| reason.trim());
            Some((RDKafkaErrorCode::TopicAuthorizationFailed, format!("cannot add {reason}")))
        }
        "FAIL" if is_certificate_refused(message) => {
            let reason = message.rsplit_once("]: ").map_or(message, |(_, reason)| reason);
            Some((RDKafkaErrorCode::SSL, format!("our certificate is missing or refused: {reason}")))
        }
        _ => None,
    }
}

/// A consumer with no partition assigned, for metadata and watermarks, or for reading by hand.
pub(crate) struct Reader {
    pub(crate) consumer: BaseConsumer<Watch>,
    pub(crate) brokers: String,
}

impl Reader {
    pub(crate) fn connect(config: &Config, committed_only: bool) -> Result<Self, ConfigError> {
        let consumer = config
            .reader(committed_only)
            .create_with_context(Watch::new(config))
            .map_err(|error| config.creation_error(&error))?;
        Ok(Self { consumer, brokers: config.brokers.clone() })
    }

    /// The error of one request as what it means; `what` completes "did not ...".
    pub(crate) fn fail(&self, error: &KafkaError, what: impl Into<String>) -> AdminError {
        // Errors outside a call, such as a failed login, wait in the queue until somebody polls.
        while self.consumer.poll(Duration::ZERO).is_some() {}
        describe(&self.brokers, error, self.refusal(), what.into())
    }

    pub(crate) fn refusal(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.consumer.client().context().refusal()
    }

    pub(crate) fn watermarks(&self, topic: &str, partition: i32, timeout: Duration) -> Result<(i64, i64), AdminError> {
        self.consumer
            .fetch_watermarks(topic, partition, timeout)
            .map_err(|error| self.fail(&error, format!("give the offsets of topic {topic}")))
    }
}

pub(crate) fn describe(
    brokers: &str,
    error: &KafkaError,
    seen: Option<(RDKafkaErrorCode, String)>,
    what: String,
) -> AdminError {
    let (code, reason) = match seen {
        Some(seen) if classify(code_of(error)) == Fault::Retry => seen,
        _ => (code_of(error), error.to_string()),
    };
    let brokers = brokers.to_owned();
    match classify(code) {
        Fault::Retry => AdminError::Unreachable { brokers, what, reason },
        Fault::Fenced | Fault::Stop => AdminError::Refused { brokers, what, reason, help: help(code) },
    }
}
