//! How a session ends early, by who must act.

use change::SourceError;
use sink_kafka::Fault;

use crate::ledger::LedgerError;

/// Why a session ended. Every session ends by one of these or by draining.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Trying again may help: the next session begins from the checkpoint.
    #[error("{leg}: {what}")]
    Retry { leg: Leg, what: String },
    /// A person must act; going on would lose or invent data.
    #[error("{what}")]
    Stop { what: String, help: String },
    /// Another process has taken the pipeline over.
    #[error("another headwater process runs this pipeline: instance {by} has claimed its checkpoint")]
    Fenced { by: String },
    /// Somebody asked to stop while the session waited for a neighbour.
    #[error("interrupted")]
    Interrupted,
}

/// Which neighbour a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leg {
    Source,
    Kafka,
    Registry,
}

impl std::fmt::Display for Leg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Kafka => "kafka",
            Self::Registry => "registry",
        })
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Retry { what } => Self::Retry { leg: Leg::Source, what },
            SourceError::Stop { what, help } => Self::Stop { what, help },
        }
    }
}

/// How the engine ended for good.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    #[error("{what}")]
    Stopped { what: String, help: String },
    #[error("another headwater process runs this pipeline: instance {by} has claimed its checkpoint")]
    Fenced { by: String },
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Stop {
            what: format!("the books do not balance: {error}"),
            help: "nothing false was written; this is a defect of headwater: please report it with the log".to_owned(),
        }
    }
}

/// An error of Kafka's side, in the engine's terms.
pub(crate) trait KafkaError: std::fmt::Display {
    fn fault(&self) -> Fault;
}

macro_rules! kafka_errors {
    ($($error:ident),*) => {$(
        impl KafkaError for sink_kafka::$error {
            fn fault(&self) -> Fault {
                sink_kafka::$error::fault(self)
            }
        }
    )*};
}

kafka_errors!(AdminError, CommitError, InitError, ReadError, SendError, TopicError);

impl Failure {
    /// What an error of Kafka's side means. Being fenced and having let a transaction time out look alike to a client:
    /// both are retried, and the next session begins by reading the checkpoint, which knows whose it is.
    pub(crate) fn kafka(error: &impl KafkaError) -> Self {
        match error.fault() {
            Fault::Retry | Fault::Fenced => Self::Retry { leg: Leg::Kafka, what: error.to_string() },
            Fault::Stop => Self::Stop { what: error.to_string(), help: AFTER_MENDING.to_owned() },
        }
    }

    /// A record that Kafka did not take, named by the row it came from.
    pub(crate) fn undelivered(error: &sink_kafka::SendError, row: &str) -> Self {
        match (error, Self::kafka(error)) {
            (sink_kafka::SendError::Stopped, _) => Self::Interrupted,
            (_, Self::Stop { what, help }) => Self::Stop { what: format!("{row}: {what}"), help },
            (_, other) => other,
        }
    }
}

const AFTER_MENDING: &str = "start headwater again afterwards: it goes on from its checkpoint, nothing is lost";
