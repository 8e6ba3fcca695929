//! What can go wrong between us and the server, and who must act: nobody (try again) or a person (stop).

use std::io;

use change::SourceError;

use crate::wire::WireError;

/// An error message of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    pub message: String,
    pub detail: String,
    pub hint: String,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        if !self.detail.is_empty() {
            write!(f, "; {}", self.detail)?;
        }
        Ok(())
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection, not what went over it.
    #[error("{doing}: {error}")]
    Network { doing: String, error: io::Error },
    #[error("{doing}: {error}")]
    Server { doing: String, error: ServerError },
    #[error("{doing}: the server sent something that this version does not understand: {error}")]
    Wire { doing: String, error: WireError },
    /// Trying again may help.
    #[error("{0}")]
    Retry(String),
    /// A person must act.
    #[error("{what}")]
    Stop { what: String, help: String },
}

impl From<transport::Refused> for Error {
    fn from(refused: transport::Refused) -> Self {
        Self::Stop { what: refused.what, help: refused.help }
    }
}

impl Error {
    pub fn stop(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Stop { what: what.into(), help: help.into() }
    }

    pub fn network(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Network { doing, error }
    }

    /// For `map_err` in the row path: the text is made only when there is an error.
    pub fn wire(doing: impl Into<String>) -> impl FnOnce(WireError) -> Self {
        move |error| Self::Wire { doing: doing.into(), error }
    }

    /// The server's SQLSTATE, if it was the server who complained.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Server { error, .. } => Some(&error.code),
            _ => None,
        }
    }
}

/// SQLSTATE classes and codes that pass by themselves: connection, resources, operator (shutdown, start-up), lock and
/// cancel, slot in use.
fn passes(code: &str) -> bool {
    matches!(code, "57P01" | "57P02" | "57P03" | "57014" | "55P03" | "55006" | "40001" | "40P01" | "25P03")
        || code.starts_with("08")
        || code.starts_with("53")
}

/// The server wants to know who we are by a certificate, and does not accept ours, or misses it.
pub(crate) const CERTIFICATE: &str = "set source.sslcert and source.sslkey to a certificate that names this user, and that \
     the server trusts (its ssl_ca_file)";

fn help(error: &ServerError) -> String {
    let help = match error.code.as_str() {
        "28P01" => "check `password` and the user in `url`",
        "28000" if error.message.contains("certificate") => CERTIFICATE,
        "28000" => "check the user in `url`, and that pg_hba.conf lets it in from here (also for replication)",
        "3D000" => "check the database in `url`",
        "42501" => "grant the right that the message names, or use a role that has it",
        "58P01" => "the log that the slot needs is gone: drop the slot and start anew (this leaves a gap)",
        _ if !error.hint.is_empty() => return error.hint.clone(),
        _ => "see the server's own log for more",
    };
    help.to_owned()
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::Network { .. } | Error::Retry(_) => Self::Retry { what },
            Error::Server { error, .. } if passes(&error.code) => Self::Retry { what },
            Error::Server { error, .. } => Self::Stop { what, help: help(&error) },
            Error::Wire { .. } => Self::Stop {
                what,
                help: "please report this with the server's version; nothing was skipped and nothing is lost"
                    .to_owned(),
            },
            Error::Stop { what, help } => Self::Stop { what, help },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_must_act() {
        let of = |code: &str| {
            SourceError::from(Error::Server {
                doing: "connecting".to_owned(),
                error: ServerError { code: code.to_owned(), ..ServerError::default() },
            })
        };
        for code in ["57P01", "57P03", "08006", "53300", "55006"] {
            assert!(matches!(of(code), SourceError::Retry { .. }), "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501", "XX000", "55000"] {
            assert!(matches!(of(code), SourceError::Stop { .. }), "{code}");
        }
    }
}
