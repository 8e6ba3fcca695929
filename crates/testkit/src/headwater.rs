//! The connector as its users run it: a process with a configuration file, seen through its admin listener.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::port::Port;
use crate::process::{Process, code_of};
use crate::{http, scratch};

/// A running connector. Dropping it kills it.
#[derive(Debug)]
pub struct Headwater {
    process: Process,
    admin: Port,
    config: PathBuf,
}

impl Headwater {
    /// Runs `binary run -c FILE` with this configuration, to which an `[admin]` section with a free port is added; do not
    /// write one. The caller knows the binary: `env!("CARGO_BIN_EXE_headwater")`.
    pub fn start(binary: impl AsRef<Path>, config: &str) -> Result<Headwater> {
        Headwater::start_with(binary, config, |_| {})
    }

    /// The same with more arguments or environment.
    pub fn start_with(binary: impl AsRef<Path>, config: &str, adjust: impl FnOnce(&mut Command)) -> Result<Headwater> {
        let folder = scratch::dir("headwater")?;
        let admin = Port::reserve()?;
        let path = folder.join("headwater.toml");
        fs::write(&path, format!("{config}\n[admin]\nlisten = \"127.0.0.1:{}\"\n", admin.number()))?;
        let mut command = Command::new(binary.as_ref());
        command.arg("run").arg("-c").arg(&path).current_dir(&folder);
        adjust(&mut command);
        let process = Process::spawn("headwater", command, &folder.join("log"))?;
        Ok(Headwater { process, admin, config: path })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn admin_port(&self) -> u16 {
        self.admin.number()
    }

    /// The configuration file, for other verbs of the binary.
    pub fn config(&self) -> &Path {
        &self.config
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Standard output and error so far.
    pub fn output(&self) -> String {
        self.process.log_text()
    }

    /// Waits until `/readyz` says 200; fails at once, with the log, when the process ends.
    pub fn wait_ready(&self, deadline: Duration) -> Result<()> {
        self.process.wait_ready(deadline, || self.get("/readyz").map(|_| ()))
    }

    /// The answer of `/status`.
    pub fn status(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get("/status")?)?)
    }

    /// The text of `/metrics`.
    pub fn metrics(&self) -> Result<String> {
        self.get("/metrics")
    }

    /// The sum of a metric over its labels; `None` if it is not there.
    pub fn metric(&self, name: &str) -> Result<Option<f64>> {
        let text = self.metrics()?;
        let of_this = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = text.lines().filter(of_this).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)))
    }

    /// The body of any admin page, if its status is 2xx.
    pub fn get(&self, path: &str) -> Result<String> {
        http::get(self.admin_port(), path)?.ok().with_context(|| path.to_owned())
    }

    /// SIGKILL.
    pub fn kill9(&self) -> Result<()> {
        self.process.kill()
    }

    /// SIGTERM; gives the exit code.
    pub fn terminate(&self, deadline: Duration) -> Result<i32> {
        code_of(self.process.stop(libc::SIGTERM, deadline)?)
    }

    /// Waits for it to end by itself; gives the exit code.
    pub fn wait_exit(&self, deadline: Duration) -> Result<i32> {
        code_of(self.process.wait(deadline)?)
    }

    /// SIGSTOP and SIGCONT: a process that is paged out, or a paused machine.
    pub fn suspend(&self) -> Result<()> {
        self.process.signal(libc::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        self.process.signal(libc::SIGCONT)
    }
}
