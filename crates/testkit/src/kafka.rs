//! One Kafka broker in KRaft mode: on reserved ports, restartable in place, ready when it answers and not before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::port::Port;
use crate::process::{Process, locked};
use crate::proxy::Proxy;
use crate::tls::Certificates;
use crate::{cache, scratch};

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);
const LOGGING: &str = include_str!("../assets/log4j2.properties");
/// The same for every broker of the kit: the formatted folder is made once and copied.
const CLUSTER_ID: &str = "aGVhZHdhdGVydGVzdHMwMA";

const PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
num.partitions=1
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.hours=-1
";

/// What differs from a plain broker.
#[derive(Debug, Default)]
pub struct Builder {
    properties: Vec<(String, String)>,
    jvm: Vec<String>,
    proxied: bool,
    sasl: Option<(String, String)>,
    ssl: bool,
}

impl Builder {
    /// A broker property; it wins over the kit's.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// An argument of the Java machine.
    pub fn jvm(mut self, argument: &str) -> Self {
        self.jvm.push(argument.to_owned());
        self
    }

    /// A second listener whose advertised address is a [`Proxy`]: see [`Kafka::proxy`].
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// A listener with SASL over plain text: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 for this user.
    pub fn sasl(mut self, user: &str, password: &str) -> Self {
        self.sasl = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// A listener with TLS, with a certificate for `localhost` and `127.0.0.1`.
    pub fn ssl(mut self) -> Self {
        self.ssl = true;
        self
    }

    pub fn start(self) -> Result<Kafka> {
        let home = scratch::dir("kafka")?;
        let reserve = |wanted: bool| wanted.then(Port::reserve).transpose();
        let kafka = Kafka {
            libs: cache::part("kafka-4.3.1", "servers")?,
            plain: Port::reserve()?,
            controller: Port::reserve()?,
            behind_proxy: reserve(self.proxied)?,
            sasl: reserve(self.sasl.is_some())?,
            tls: reserve(self.ssl)?,
            proxy: if self.proxied { Some(Proxy::kafka()?) } else { None },
            certificates: if self.ssl { Some(Certificates::generate()?) } else { None },
            jvm: self.jvm.clone(),
            process: Mutex::new(None),
            home,
        };
        if let (Some(proxy), Some(port)) = (&kafka.proxy, &kafka.behind_proxy) {
            proxy.set_target(port.number());
        }
        fs::write(kafka.home.join("log4j2.properties"), LOGGING)?;
        let mut properties = kafka.properties(self.sasl.as_ref())?;
        for (name, value) in &self.properties {
            properties += &format!("{name}={value}\n");
        }
        fs::write(kafka.config(), properties)?;
        kafka.format(self.sasl.as_ref())?;
        kafka.start_again()?;
        Ok(kafka)
    }
}

/// A running (or stopped) broker. Dropping it ends it.
#[derive(Debug)]
pub struct Kafka {
    libs: PathBuf,
    home: PathBuf,
    plain: Port,
    controller: Port,
    behind_proxy: Option<Port>,
    sasl: Option<Port>,
    tls: Option<Port>,
    proxy: Option<Proxy>,
    certificates: Option<Certificates>,
    jvm: Vec<String>,
    process: Mutex<Option<Process>>,
}

impl Kafka {
    pub fn start() -> Result<Kafka> {
        Builder::default().start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    /// `bootstrap.servers` of the plain listener.
    pub fn bootstrap(&self) -> String {
        address(self.plain.number())
    }

    /// The proxy in front of the second listener. Panics unless [`Builder::proxied`] asked for it.
    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("this broker was not started with `proxied()`")
    }

    /// `bootstrap.servers` whose every connection goes through [`Kafka::proxy`].
    pub fn proxied_bootstrap(&self) -> String {
        address(self.proxy().port())
    }

    /// `bootstrap.servers` of the SASL listener.
    pub fn sasl_bootstrap(&self) -> String {
        address(self.sasl.as_ref().expect("this broker was not started with `sasl()`").number())
    }

    /// `bootstrap.servers` of the TLS listener.
    pub fn ssl_bootstrap(&self) -> String {
        address(self.tls.as_ref().expect("this broker was not started with `ssl()`").number())
    }

    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    pub fn pid(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Process::pid)
    }

    /// What the broker logged so far.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// Starts a stopped broker on the same ports and data.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = locked(&self.process);
        ensure!(slot.is_none(), "Kafka at {} runs already", self.bootstrap());
        // the line that says ready must be of this run
        fs::remove_file(self.home.join("log")).or_else(ignore_missing)?;
        let mut command = self.java();
        command.args(["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]).args(&self.jvm);
        command.arg("kafka.Kafka").arg(self.config());
        let process = Process::spawn("kafka", command, &self.home.join("log"))?;
        process.wait_ready(START, || {
            ensure!(self.log_text().contains("Kafka Server started"), "it has not said `Kafka Server started`");
            self.probe()
        })?;
        *slot = Some(process);
        Ok(())
    }

    /// An orderly shutdown.
    pub fn stop(&self) -> Result<()> {
        self.take()?.stop(libc::SIGTERM, STOP).map(|_| ())
    }

    /// SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.take()?.kill()
    }

    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn suspend(&self) -> Result<()> {
        locked(&self.process).as_ref().context("Kafka does not run")?.signal(libc::SIGSTOP)
    }

    pub fn resume(&self) -> Result<()> {
        locked(&self.process).as_ref().context("Kafka does not run")?.signal(libc::SIGCONT)
    }

    fn take(&self) -> Result<Process> {
        locked(&self.process).take().context("Kafka does not run")
    }

    fn config(&self) -> PathBuf {
        self.home.join("server.properties")
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn java(&self) -> Command {
        let mut command = Command::new("java");
        command.arg("-cp").arg(self.libs.join("*")).current_dir(&self.home);
        command.arg(format!("-Dlog4j2.configurationFile={}/log4j2.properties", self.home.display()));
        command
    }

    /// Ready means: a metadata answer that names a broker.
    fn probe(&self) -> Result<()> {
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.bootstrap())
            .set("log_level", "0")
            .create()
            .context("a Kafka client")?;
        let metadata = client.fetch_metadata(None, Duration::from_secs(1))?;
        if metadata.brokers().is_empty() { Err(anyhow!("metadata without a broker")) } else { Ok(()) }
    }

    fn properties(&self, user: Option<&(String, String)>) -> Result<String> {
        let mut listeners = vec![
            ("PLAIN", self.plain.number(), self.plain.number()),
            ("CONTROLLER", self.controller.number(), self.controller.number()),
        ];
        if let (Some(port), Some(proxy)) = (&self.behind_proxy, &self.proxy) {
            listeners.push(("PROXIED", port.number(), proxy.port()));
        }
        listeners.extend(self.sasl.iter().map(|port| ("SASL", port.number(), port.number())));
        listeners.extend(self.tls.iter().map(|port| ("TLS", port.number(), port.number())));
        let join = |text: Vec<String>| text.join(",");
        let bound = join(listeners.iter().map(|(name, port, _)| format!("{name}://127.0.0.1:{port}")).collect());
        let visible = listeners.iter().filter(|(name, ..)| *name != "CONTROLLER");
        let advertised = join(visible.map(|(name, _, port)| format!("{name}://127.0.0.1:{port}")).collect());
        let mut text = format!(
            "{PROPERTIES}listeners={bound}\nadvertised.listeners={advertised}\nlog.dirs={}\n\
             controller.quorum.voters=1@127.0.0.1:{}\n",
            self.data().display(),
            self.controller.number()
        );
        if let Some((name, password)) = user {
            text += &sasl_properties(name, password);
        }
        if let Some(certificates) = &self.certificates {
            let keystore = self.home.join("keystore.pem");
            certificates.write_keystore(&keystore)?;
            text += &format!(
                "ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
                keystore.display(),
                certificates.ca.display()
            );
        }
        Ok(text)
    }

    /// Copies the formatted folder; users of SCRAM are part of a format, so with them it is made anew.
    fn format(&self, user: Option<&(String, String)>) -> Result<()> {
        if let Some((name, password)) = user {
            let scram = ["256", "512"].map(|bits| format!("SCRAM-SHA-{bits}=[name={name},password={password}]"));
            return self.run_format(&["--add-scram", &scram[0], "--add-scram", &scram[1]]);
        }
        let template = cache::made_once(&scratch::durable("kafka-4.3.1")?, |path| {
            self.run_format(&[])?;
            copy_files(&self.data(), path)
        })?;
        if !self.data().exists() {
            copy_files(&template, &self.data())?;
        }
        Ok(())
    }

    fn run_format(&self, more: &[&str]) -> Result<()> {
        let mut command = self.java();
        command.args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"]);
        let done = command.arg(self.config()).args(more).output().context("cannot start java")?;
        if !done.status.success() {
            let (out, error) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
            bail!("formatting Kafka's folder: {}\n{out}\n{error}", done.status);
        }
        Ok(())
    }
}

fn sasl_properties(name: &str, password: &str) -> String {
    let module = "org.apache.kafka.common.security";
    format!(
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
         listener.name.sasl.plain.sasl.jaas.config={module}.plain.PlainLoginModule required user_{name}=\"{password}\";\n\
         listener.name.sasl.scram-sha-256.sasl.jaas.config={module}.scram.ScramLoginModule required;\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config={module}.scram.ScramLoginModule required;\n"
    )
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
