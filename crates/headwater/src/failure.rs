//! The end of a command that did not succeed: what happened, what to do, and the exit code.

use crate::exit::Exit;

/// Why a command ended. `main` prints it, and ends with its code.
#[derive(Debug, thiserror::Error)]
#[error("{what}{}", help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default())]
pub struct Failure {
    pub exit: Exit,
    what: String,
    help: Option<String>,
}

impl Failure {
    /// A person must act.
    pub fn stop(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { exit: Exit::Stopped, what: what.into(), help: Some(help.into()) }
    }

    /// The configuration is wrong in a way that only its user could tell.
    pub fn configuration(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, what: what.into(), help: None }
    }

    /// Another process has taken the pipeline over.
    pub fn fenced(what: impl Into<String>) -> Self {
        Self { exit: Exit::Fenced, what: what.into(), help: None }
    }

    /// A neighbour does not answer, or something that should not be.
    pub fn unexpected(what: impl Into<String>) -> Self {
        Self { exit: Exit::Unexpected, what: what.into(), help: None }
    }
}

impl From<change::SourceError> for Failure {
    fn from(error: change::SourceError) -> Self {
        match error {
            change::SourceError::Retry { what } => Self::unexpected(what),
            change::SourceError::Stop { what, help } => Self::stop(what, help),
        }
    }
}

impl From<pipeline::Failure> for Failure {
    fn from(failure: pipeline::Failure) -> Self {
        match failure {
            pipeline::Failure::Stop { what, help } => Self::stop(what, help),
            fenced @ pipeline::Failure::Fenced { .. } => Self::fenced(fenced.to_string()),
            other => Self::unexpected(other.to_string()),
        }
    }
}
