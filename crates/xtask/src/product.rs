//! The connector as these tasks use it: building its binary, and the text of a configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// Builds the release binary and says where it is.
pub(crate) fn build(root: &Path) -> Result<PathBuf> {
    let mut command = crate::cargo(root, &["build", "--release", "--package", "headwater", "--bin", "headwater"]);
    command.arg("--message-format=json-render-diagnostics");
    let messages = crate::output(command)?;
    let of_binary = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let executable = message["executable"].as_str().map(PathBuf::from);
        executable.filter(|_| message["target"]["name"] == "headwater")
    };
    messages.lines().rev().find_map(of_binary).context("cargo named no executable `headwater`")
}

/// A pipeline between one database, one broker and one registry.
pub(crate) struct Pipeline {
    /// Also the default of slot and publication.
    pub(crate) name: String,
    pub(crate) database: String,
    /// The tables' schema, the middle part of their topics' names.
    pub(crate) schema: String,
    pub(crate) tables: String,
    pub(crate) snapshot: &'static str,
    /// A publication with another name than the pipeline's.
    pub(crate) publication: Option<String>,
    pub(crate) brokers: String,
    pub(crate) registry: String,
    pub(crate) delivery: &'static str,
}

impl Pipeline {
    /// The configuration file, without its `[admin]` section.
    pub(crate) fn toml(&self) -> String {
        let Self { name, database, tables, snapshot, brokers, registry, delivery, .. } = self;
        let publication =
            self.publication.as_ref().map(|name| format!("publication = \"{name}\"\n")).unwrap_or_default();
        format!(
            "name = \"{name}\"\n\
             [source]\nurl = \"{database}\"\ntables = [\"{tables}\"]\nsnapshot = \"{snapshot}\"\n{publication}\
             [kafka]\nbrokers = \"{brokers}\"\ntopic_prefix = \"{name}\"\ndelivery = \"{delivery}\"\n\
             [registry]\nurl = \"{registry}\"\n"
        )
    }

    /// The topic of a table.
    pub(crate) fn topic(&self, table: &str) -> String {
        format!("{}.{}.{table}", self.name, self.schema)
    }
}
