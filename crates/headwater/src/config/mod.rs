//! The configuration: one TOML file and a few flags become one checked [`Config`], or errors that point at the line.
//!
//! `keys` is the table of what exists, `load` reads file and flags by it, `model` puts the result together.

mod keys;
mod load;
mod model;
mod problem;
mod secret;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::path::Path;

pub use keys::{Absent, KEYS, Key, Kind, reference_markdown};
pub use model::{Admin, Batch, Config, Delivery, Kafka, Login, Registry, Source, Topics};
pub use problem::{ConfigError, Problem};
pub use secret::redact;

use load::Settings;
use problem::Document;

/// Values of flags, by the path of the key that each one stands for.
pub type FlagValues = Vec<(&'static str, Vec<String>)>;

/// One value as a person may see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    pub key: &'static str,
    pub value: String,
    /// `default`, a flag, or file and line.
    pub origin: String,
}

/// A configuration, and where each of its values came from.
pub struct Loaded {
    pub config: Config,
    settings: Settings,
    shown: Vec<Shown>,
}

impl Loaded {
    /// Reads the file, if there is one, and the flags, which win.
    pub fn load(file: Option<&Path>, flags: &FlagValues) -> Result<Self, ConfigError> {
        Self::load_without(file, flags, &[])
    }

    /// The same for a command that does without some of the required keys: where nobody gives them they have the value of
    /// their example, which the command must not use.
    pub fn load_without(
        file: Option<&Path>,
        flags: &FlagValues,
        unneeded: &[&'static str],
    ) -> Result<Self, ConfigError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
        };
        let document = file.map(|path| read(path).map(|text| Document::new(path, text))).transpose()?;
        Self::assemble(document, flags, unneeded, &|name| std::env::var(name).ok())
    }

    fn assemble(
        document: Option<Document>,
        flags: &FlagValues,
        unneeded: &[&'static str],
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings::read(document, flags, variable);
        settings.do_without(unneeded);
        let config = if settings.unreadable { None } else { Config::assemble(&mut settings) };
        match config {
            Some(config) => {
                let shown = settings.shown();
                Ok(Self { config, settings, shown })
            }
            None => Err(ConfigError::Invalid(settings.problems)),
        }
    }

    /// Every value that holds, without secrets.
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The error for a value that only the crate that obeys it could judge, at the line where it stands. `path` is a
    /// key, or an entry of one: `kafka.properties.acks`.
    pub fn refuse(&self, path: &str, what: impl Into<String>, help: Option<String>) -> ConfigError {
        ConfigError::Invalid(vec![self.settings.problem(path, what, help)])
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.shown.iter().map(|shown| (shown.key, &shown.value))).finish()
    }
}
