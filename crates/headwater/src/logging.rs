//! Logs go to standard error: for people on a terminal, as JSON lines otherwise. Nothing is redacted here: secrets have
//! types that print nothing.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Human,
    Json,
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("`{0}` is not a log level: write error, warn, info, debug or trace, or target=level pairs")]
    Level(String),
    #[error("logging has been started already")]
    Started,
}

/// Starts logging. Without a format a terminal decides.
pub fn start(format: Option<Format>, level: &str) -> Result<(), LoggingError> {
    let filter = EnvFilter::try_new(level).map_err(|_| LoggingError::Level(level.into()))?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { Format::Human } else { Format::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Human => builder.with_target(false).with_ansi(terminal).finish().try_init(),
        Format::Json => builder.json().flatten_event(true).with_current_span(false).finish().try_init(),
    };
    started.map_err(|_| LoggingError::Started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_level_is_refused() {
        assert!(matches!(start(None, "headwater=loud"), Err(LoggingError::Level(_))));
    }
}
