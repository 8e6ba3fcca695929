//! What an error code of the Kafka client means for the run loop.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The three answers to an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Network, broker, restart: try again with a new producer, from the checkpoint.
    Retry,
    /// Somebody initialised the same transactional id, or the transaction timed out at the coordinator (the broker's
    /// answer is the same): read the checkpoint to learn which.
    Fenced,
    /// A person has to change something: rights, credentials, configuration, a broker that is too old.
    Stop,
}

/// Classifies a code. What is not known to need a person is retried: a retry loses nothing, a stop is an outage.
pub(crate) fn classify(code: Code) -> Fault {
    match code {
        Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::InvalidProducerIdMapping => {
            Fault::Fenced
        }
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState
        | Code::SSL
        | Code::SecurityDisabled
        | Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::PolicyViolation
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::NotImplemented
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::InvalidTransactionTimeout
        | Code::InvalidRequiredAcks
        | Code::InvalidConfig
        | Code::InvalidTopic
        | Code::InvalidReplicationFactor
        | Code::InvalidPartitions
        | Code::InvalidReplicaAssignment
        | Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::InvalidArgument => Fault::Stop,
        _ => Fault::Retry,
    }
}

/// Whether a connection's failure is a broker's refusal of our certificate. librdkafka calls it a lost connection, since
/// with TLS 1.3 it comes after the handshake; only OpenSSL's text tells.
pub(crate) fn is_certificate_refused(reason: &str) -> bool {
    let alert = reason.split_once("SSL routines::").and_then(|(_, text)| text.split_once(" alert "));
    alert.is_some_and(|(_, what)| what.contains("certificate") || what.starts_with("unknown ca"))
}

/// The next step for codes that need a person.
pub(crate) fn help(code: Code) -> &'static str {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => {
            "check sasl.mechanisms, sasl.username, sasl.password and security.protocol under [kafka.properties]"
        }
        Code::SSL => {
            "check security.protocol, ssl.ca.location and the brokers' certificate, and ssl.certificate.location and \
             ssl.key.location where brokers ask for a certificate, under [kafka.properties]"
        }
        Code::TopicAuthorizationFailed => {
            "grant Write on the topics that begin with kafka.topic_prefix, and Read, Write, DescribeConfigs on the \
             checkpoint topic (kafka-acls --add --allow-principal User:NAME --operation Write --topic TOPIC)"
        }
        Code::TransactionalIdAuthorizationFailed => {
            "grant Write on the transactional id (kafka-acls --add --allow-principal User:NAME --operation Write \
             --transactional-id ID)"
        }
        Code::ClusterAuthorizationFailed => {
            "grant IdempotentWrite on the cluster, and Create if topics are to be made (kafka-acls --add \
             --allow-principal User:NAME --operation IdempotentWrite --cluster)"
        }
        Code::InvalidTransactionTimeout => {
            "lower kafka.transaction_timeout, or raise transaction.max.timeout.ms on the brokers"
        }
        Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::NotImplemented
        | Code::UnsupportedForMessageFormat => "use brokers of version 2.5 or newer",
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
            "raise max.message.bytes on the topic and message.max.bytes under [kafka.properties]"
        }
        Code::PolicyViolation => "the brokers' create.topic.policy refuses this: make the topic by hand",
        Code::InvalidReplicationFactor => "set kafka.topics.replication_factor to at most the number of brokers",
        Code::InvalidRecord => "the topic refuses the record, look at cleanup.policy and message.timestamp settings",
        _ => "run `headwater doctor`",
    }
}

/// The code inside an error of the binding; it hides the one of an admin operation.
pub(crate) fn code_of(error: &KafkaError) -> Code {
    match error {
        KafkaError::AdminOp(code) => *code,
        other => other.rdkafka_error_code().unwrap_or(Code::Fail),
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Fault, classify, is_certificate_refused};

    #[test]
    fn a_refused_certificate_is_told_from_a_lost_connection() {
        let of =
            |alert: &str| format!("b:1/1: Receive failed: error:0A000412:SSL routines::{alert}: SSL alert number 42");
        for alert in ["sslv3 alert bad certificate", "tlsv13 alert certificate required", "tlsv1 alert unknown ca"] {
            assert!(is_certificate_refused(&of(alert)), "{alert}");
        }
        assert!(!is_certificate_refused(&of("tlsv1 alert internal error")));
        assert!(!is_certificate_refused("b:1/1: Disconnected while requesting ApiVersion"));
    }

    #[test]
    fn codes_fall_into_the_three_answers() {
        assert_eq!(classify(Code::ProducerFenced), Fault::Fenced);
        assert_eq!(classify(Code::InvalidProducerEpoch), Fault::Fenced);
        assert_eq!(classify(Code::TransactionalIdAuthorizationFailed), Fault::Stop);
        assert_eq!(classify(Code::SaslAuthenticationFailed), Fault::Stop);
        for code in [
            Code::OperationTimedOut,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::CoordinatorLoadInProgress,
            Code::ConcurrentTransactions,
            Code::NotLeaderForPartition,
            Code::MessageTimedOut,
        ] {
            assert_eq!(classify(code), Fault::Retry, "{code:?}");
        }
    }
}
