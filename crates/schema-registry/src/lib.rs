//! A schema becomes an id: the client of a registry that speaks Confluent's REST API.
//!
//! * [`config`]: address, credentials and bounds, with nothing secret ever printed.
//! * [`client`]: the requests. [`retry`] says how often and how long one is tried; [`error`] what its failure means.
//! * [`cache`]: ids already known, so that a schema is sent once.
//! * [`subject`]: the name a topic's schemas are kept under, by one of three strategies.
//! * [`frame`]: the five bytes before each Avro body.
//!
//! Nothing here understands a schema: it is text that the registry judges.

mod cache;
pub mod client;
pub mod config;
pub mod error;
pub mod frame;
pub mod retry;
pub mod subject;
mod tls;

pub use client::{Against, Compatibility, Latest, Registry};
pub use config::{Auth, Config};
pub use error::{CheckError, ConfigError, RegisterError, RequestError};
pub use frame::{FrameError, SchemaId, header, split};
pub use retry::{Retry, RetryPolicy};
pub use subject::{Part, SubjectNaming, subject};
