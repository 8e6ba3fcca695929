//! Where the set-up script put the servers, and what is made once and used by every later run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{process, scratch};

/// The folder of a downloaded part.
pub(crate) fn part(name: &str, setup: &str) -> Result<PathBuf> {
    let root = match std::env::var_os("HEADWATER_CACHE") {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(std::env::var_os("HOME").context("neither HEADWATER_CACHE nor HOME is set")?)
            .join(".cache/headwater"),
    };
    let path = root.join(name);
    ensure!(path.is_dir(), "{} is missing; run scripts/setup.sh {setup}", path.display());
    Ok(path)
}

/// A downloaded part where the user of databases can read it: the cache lies in root's home, where that user may not look,
/// and then this is a copy outside it. A part that holds a `version` is copied again when it has another one.
pub(crate) fn reachable(name: &str, setup: &str) -> Result<PathBuf> {
    let part = part(name, setup)?;
    if process::unprivileged_ids()?.is_none() {
        return Ok(part);
    }
    let version = fs::read_to_string(part.join("version")).unwrap_or_default();
    let version: String = version.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    made_once(&scratch::durable(&format!("{name}{version}"))?, |path| {
        let done = Command::new("cp").arg("-a").arg(&part).arg(path).status()?;
        ensure!(done.success(), "copying {} to {}: {done}", part.display(), path.display());
        Ok(())
    })
}

/// The Python that has what the examples need.
pub fn python() -> Result<PathBuf> {
    Ok(part("python", "python")?.join("bin/python3"))
}

/// `path`, made by `make` if it is not there. Processes that come at the same time wait for the first; what a killed one
/// left half done is made anew, since only a rename puts the finished thing in its place.
pub(crate) fn made_once(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let lock = File::options().create(true).append(true).open(path.with_extension("lock"))?;
    lock.lock()?;
    if !path.exists() {
        let half = path.with_extension("half");
        if half.exists() {
            fs::remove_dir_all(&half)?;
        }
        make(&half)?;
        fs::rename(&half, path)?;
    }
    Ok(path.to_owned())
}
