//! Apicurio Registry as a stand-in for Confluent's: its API is at [`Registry::url`]. Content is in a file, so that ids
//! survive a restart.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http;
use crate::port::Port;
use crate::process::{Process, locked};
use crate::{cache, scratch};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);
const API: &str = "/apis/ccompat/v7";

/// A running (or stopped) registry. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    home: PathBuf,
    port: Port,
    process: Mutex<Option<Process>>,
}

impl Registry {
    /// The global level is NONE, where Confluent's is BACKWARD: see [`Registry::set_level`].
    pub fn start() -> Result<Registry> {
        let registry = Registry { home: scratch::dir("registry")?, port: Port::reserve()?, process: Mutex::new(None) };
        registry.start_again()?;
        Ok(registry)
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// What a client is given as the registry's address.
    pub fn url(&self) -> String {
        self.url_through(self.port())
    }

    /// The same through another port: that of a proxy.
    pub fn url_through(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}{API}")
    }

    pub fn pid(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Process::pid)
    }

    /// Starts a stopped registry on the same port, with the same content.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = locked(&self.process);
        ensure!(slot.is_none(), "the registry on port {} runs already", self.port());
        let java = cache::part("jre-21", "servers")?.join("bin/java");
        let jar = cache::part("apicurio-3.3.3", "servers")?.join("quarkus-run.jar");
        let mut command = Command::new(java);
        command.current_dir(&self.home);
        // start-up is what costs here: the simple compiler and collector take the least of two cores
        command.args(["-Xms64m", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]);
        command.arg("-Dquarkus.http.host=127.0.0.1").arg(format!("-Dquarkus.http.port={}", self.port()));
        // its second listener, with a fixed port unless told otherwise
        command.args(["-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0"]);
        // It lists no more subjects than this, the oldest first; one registry serves all tests of a run.
        command.arg("-Dapicurio.ccompat.max-subjects=1000000");
        command.args(["-Dapicurio.storage.kind=sql", "-Dapicurio.storage.sql.kind=h2", "-Dquarkus.log.level=WARN"]);
        command.arg(format!("-Dapicurio.datasource.url=jdbc:h2:file:{}/content", self.home.display()));
        command.arg("-jar").arg(jar);
        let process = Process::spawn("registry", command, &self.home.join("log"))?;
        process.wait_ready(START, || http::get(self.port(), &format!("{API}/subjects"))?.ok().map(|_| ()))?;
        *slot = Some(process);
        Ok(())
    }

    pub fn stop(&self) -> Result<()> {
        self.take()?.stop(libc::SIGTERM, STOP).map(|_| ())
    }

    pub fn kill(&self) -> Result<()> {
        self.take()?.kill()
    }

    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// Stops the process without ending it: it accepts connections and never answers.
    pub fn suspend(&self) -> Result<()> {
        locked(&self.process).as_ref().context("the registry does not run")?.signal(libc::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        locked(&self.process).as_ref().context("the registry does not run")?.signal(libc::SIGCONT)
    }

    /// Sets the compatibility level of a subject, or the global one.
    pub fn set_level(&self, subject: Option<&str>, level: &str) -> Result<()> {
        let path = subject.map_or_else(|| "/config".to_owned(), |subject| format!("/config/{subject}"));
        let body = format!(r#"{{"compatibility":"{level}"}}"#);
        self.call("PUT", &path, Some(&body)).map(|_| ())
    }

    /// All subjects.
    pub fn subjects(&self) -> Result<Vec<String>> {
        Ok(serde_json::from_str(&self.call("GET", "/subjects", None)?)?)
    }

    /// The version numbers of a subject.
    pub fn versions(&self, subject: &str) -> Result<Vec<i64>> {
        Ok(serde_json::from_str(&self.call("GET", &format!("/subjects/{subject}/versions"), None)?)?)
    }

    /// The latest schema of a subject: id and parsed text.
    pub fn latest(&self, subject: &str) -> Result<(i64, serde_json::Value)> {
        let answer = self.call("GET", &format!("/subjects/{subject}/versions/latest"), None)?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        let schema = answer["schema"].as_str().context("no schema in the answer")?;
        Ok((answer["id"].as_i64().context("no id in the answer")?, serde_json::from_str(schema)?))
    }

    /// Registers a schema and gives its id.
    pub fn register(&self, subject: &str, schema: &str) -> Result<i64> {
        let body = serde_json::json!({ "schema": schema }).to_string();
        let answer = self.call("POST", &format!("/subjects/{subject}/versions"), Some(&body))?;
        serde_json::from_str::<serde_json::Value>(&answer)?["id"].as_i64().context("no id in the answer")
    }

    /// A call of the Confluent API; an answer that is not 2xx is an error. No call of it does harm a second time.
    pub fn call(&self, method: &str, path: &str, body: Option<&str>) -> Result<String> {
        http::request_twice(method, self.port(), &format!("{API}{path}"), body)?
            .ok()
            .with_context(|| format!("{method} {path}"))
    }

    fn take(&self) -> Result<Process> {
        locked(&self.process).take().context("the registry does not run")
    }
}
