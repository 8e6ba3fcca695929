//! One small error enum per operation. Every text names the subject or the registry, and the next step.

use std::path::PathBuf;
use std::time::Duration;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("registry.url: {0}")]
    Url(String),
    #[error("registry.{field}: {why}")]
    Field { field: &'static str, why: &'static str },
    #[error("registry.ca: cannot read certificates from {path}: {reason}")]
    Ca { path: PathBuf, reason: String },
    #[error("the HTTP client could not be made: {0}")]
    Client(String),
}

/// What may go wrong with any request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error(
        "the registry at {url} refuses us ({status}): check registry.username, registry.password or registry.token, and the rights on {what}"
    )]
    Unauthorized { url: String, status: u16, what: String },
    #[error("the registry at {url} was not reached for {what} in {attempts} attempts over {over:?}: {reason}")]
    Unreachable { url: String, what: String, attempts: u32, over: Duration, reason: String },
    #[error("the request to the registry at {url} for {what} cannot be made: {reason}")]
    Unsendable { url: String, what: String, reason: String },
    #[error("nothing at {url} answers as a schema registry does ({status}): check the path in registry.url")]
    NotARegistry { url: String, status: u16 },
    #[error("the registry at {url} gave {status} for {what}: {reason}")]
    Unexpected { url: String, what: String, status: u16, reason: String },
}

impl RequestError {
    /// Whether the same request may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A schema was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("subject {subject}: the new schema is incompatible with the registered ones: {}; change the table so that it stays compatible, or the subject's level", messages.join("; "))]
    Incompatible { subject: String, messages: Vec<String> },
    #[error("subject {subject}: the registry does not accept the schema: {reason}")]
    Invalid { subject: String, reason: String },
    /// `registry.register` is false, and nobody else has registered the schema. Its text is not shown: it may be long.
    #[error(
        "subject {subject}: the schema is not registered, and registry.register = false forbids headwater to register it"
    )]
    NotRegistered { subject: String, schema: String },
    #[error("subject {subject}: the registry takes no new schema here ({reason}); set its mode to READWRITE")]
    ReadOnly { subject: String, reason: String },
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl RegisterError {
    /// Whether the same call may succeed later without anybody changing anything: the registry is away or busy.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Request(error) if error.is_transient())
    }
}

/// Compatibility could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("subject {subject}: the registry cannot judge the schema: {reason}")]
    Invalid { subject: String, reason: String },
    #[error(transparent)]
    Request(#[from] RequestError),
}
