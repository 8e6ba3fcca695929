//! A PostgreSQL server of our own: initialised once and copied, on a reserved port, restartable in place.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio_postgres::Client;

use crate::database::Database;
use crate::port::Port;
use crate::process::{self, Process, locked};
use crate::tls::{self, Certificates};
use crate::{cache, scratch};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// Fit for tests: logical decoding on, many slots, durability of the test's own disk off. `wal_writer_delay` keeps its
/// default, since it is part of the latency which is measured.
const SETTINGS: &[(&str, &str)] = &[
    ("wal_level", "logical"),
    ("max_connections", "200"),
    ("max_wal_senders", "50"),
    ("max_replication_slots", "50"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("log_min_messages", "warning"),
    ("log_line_prefix", "%m [%p] %d %a "),
];

/// How PostgreSQL is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Wait until every client has gone.
    Smart,
    /// Disconnect clients, write a checkpoint.
    Fast,
    /// As in a crash: recovery at the next start.
    Immediate,
}

/// What differs from a plain server.
#[derive(Debug, Default)]
pub struct Builder {
    version: Option<String>,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    ssl: bool,
    own_identity: bool,
}

impl Builder {
    /// One of the unpacked versions (`14.24.0`, `18.4.0`); without it Debian's 15.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// A server setting; it wins over the kit's.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf`, before the kit's lines, which trust everybody.
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// TLS on, with a certificate for `localhost` and `127.0.0.1` (see [`Postgres::certificates`]).
    pub fn ssl(mut self) -> Self {
        self.ssl = true;
        self
    }

    /// A system identifier of its own. Without this all servers of a version share one, being copies.
    pub fn own_identity(mut self) -> Self {
        self.own_identity = true;
        self
    }

    pub fn start(self) -> Result<Postgres> {
        let binaries = binaries(self.version.as_deref())?;
        let home = scratch::dir("postgres")?;
        process::give_away(&home)?;
        let data = home.join("data");
        if self.own_identity {
            initdb(&binaries, &data)?;
        } else {
            let template = template(&binaries)?;
            process::run_unprivileged(Command::new("cp").arg("-a").arg(template).arg(&data))?;
        }
        let mut settings: Vec<(String, String)> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let certificates = if self.ssl { Some(install_certificates(&data, &mut settings)?) } else { None };
        settings.extend(self.settings);
        let trust = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";
        let hba: String = self.hba.iter().map(|line| format!("{line}\n")).collect();
        fs::write(data.join("pg_hba.conf"), hba + "local replication all trust\n" + trust)?;
        let port = Port::reserve()?;
        let server = Postgres { binaries, home, settings, port, certificates, process: Mutex::new(None) };
        server.start_again()?;
        Ok(server)
    }
}

/// A running (or stopped) server. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    binaries: PathBuf,
    home: PathBuf,
    settings: Vec<(String, String)>,
    port: Port,
    certificates: Option<Certificates>,
    process: Mutex<Option<Process>>,
}

impl Postgres {
    /// A plain server of Debian's version.
    pub fn start() -> Result<Postgres> {
        Builder::default().start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.home
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The number of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Process::pid)
    }

    /// What the server logged so far.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.home.join("log")).unwrap_or_default()
    }

    /// A new empty database with a name of its own.
    pub fn create_database(&self) -> Result<Database> {
        Database::create(self.port(), &self.home)
    }

    /// A handle on a database that is there.
    pub fn database(&self, name: &str) -> Database {
        Database::existing(name, self.port(), &self.home)
    }

    /// A standby that follows this server: a copy of its data, slots included, as tools for high availability make one.
    /// Stops this server for the copy and starts it again.
    pub fn standby(&self) -> Result<Postgres> {
        let home = scratch::dir("postgres")?;
        process::give_away(&home)?;
        let data = home.join("data");
        self.stop(StopMode::Fast)?;
        process::run_unprivileged(Command::new("cp").arg("-a").arg(self.data_dir()).arg(&data))?;
        self.start_again()?;
        let signal = data.join("standby.signal");
        fs::write(&signal, "")?;
        process::give_away(&signal)?;
        let mut settings = self.settings.clone();
        settings.push(("primary_conninfo".to_owned(), format!("host=127.0.0.1 port={} user=postgres", self.port())));
        let (binaries, certificates) = (self.binaries.clone(), self.certificates.clone());
        let port = Port::reserve()?;
        let standby = Postgres { binaries, home, settings, port, certificates, process: Mutex::new(None) };
        standby.start_again()?;
        Ok(standby)
    }

    /// Makes a standby a primary of its own, on a new timeline.
    pub fn promote(&self) -> Result<()> {
        let done = self.maintenance().value("SELECT pg_promote(true, 30)")?;
        ensure!(done == "t", "PostgreSQL on port {} was not promoted", self.port());
        Ok(())
    }

    /// A handle on the database `postgres`.
    pub fn maintenance(&self) -> Database {
        Database::existing("postgres", self.port(), &self.home)
    }

    /// A connection to the database `postgres`.
    pub async fn connect(&self) -> Result<Client> {
        self.maintenance().connect().await
    }

    /// Starts a stopped server on the same port and data.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = locked(&self.process);
        ensure!(slot.is_none(), "PostgreSQL on port {} runs already", self.port());
        let mut command = Command::new(self.binaries.join("postgres"));
        command.arg("-D").arg(self.data_dir()).arg("-k").arg(&self.home).current_dir(&self.home);
        command.args(["-h", "127.0.0.1", "-p", &self.port().to_string()]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        process::unprivileged(&mut command)?;
        let process = Process::spawn_with("postgres", command, &self.home.join("log"), libc::SIGQUIT)?;
        let maintenance = self.maintenance();
        process.wait_ready(START, || maintenance.execute("SELECT 1"))?;
        *slot = Some(process);
        Ok(())
    }

    pub fn stop(&self, mode: StopMode) -> Result<()> {
        let signal = match mode {
            StopMode::Smart => libc::SIGTERM,
            StopMode::Fast => libc::SIGINT,
            StopMode::Immediate => libc::SIGQUIT,
        };
        self.take()?.stop(signal, STOP).map(|_| ())
    }

    /// A fast stop and a start.
    pub fn restart(&self) -> Result<()> {
        self.stop(StopMode::Fast)?;
        self.start_again()
    }

    /// SIGKILL to the postmaster; its children notice and leave.
    pub fn kill(&self) -> Result<()> {
        self.take()?.kill()
    }

    /// Ends every replication connection; gives their number.
    pub fn terminate_walsenders(&self) -> Result<usize> {
        let ended = self.maintenance().query("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")?;
        Ok(ended.len())
    }

    fn take(&self) -> Result<Process> {
        locked(&self.process).take().context("PostgreSQL does not run")
    }
}

fn binaries(version: Option<&str>) -> Result<PathBuf> {
    let path = match version {
        None => PathBuf::from("/usr/lib/postgresql/15/bin"),
        Some(version) => cache::reachable(&format!("postgres-{version}"), "postgres-matrix")?.join("bin"),
    };
    ensure!(path.join("postgres").exists(), "no PostgreSQL in {}; run scripts/setup.sh servers", path.display());
    Ok(path)
}

/// An initialised data folder to copy, made once for a user of the machine.
fn template(binaries: &Path) -> Result<PathBuf> {
    let version = Command::new(binaries.join("postgres")).arg("--version").output()?.stdout;
    let name: String = String::from_utf8_lossy(&version).chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    cache::made_once(&scratch::durable(&name)?, |path| {
        let holder = path.parent().context("a template has a folder")?;
        process::give_away(holder)?;
        initdb(binaries, path)
    })
}

fn initdb(binaries: &Path, data: &Path) -> Result<()> {
    let mut command = Command::new(binaries.join("initdb"));
    command.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
    process::run_unprivileged(&mut command)
}

fn install_certificates(data: &Path, settings: &mut Vec<(String, String)>) -> Result<Certificates> {
    let certificates = Certificates::generate()?;
    let files = [
        ("ssl_cert_file", &certificates.server_cert),
        ("ssl_key_file", &certificates.server_key),
        ("ssl_ca_file", &certificates.ca),
    ];
    settings.push(("ssl".to_owned(), "on".to_owned()));
    for (setting, source) in files {
        let copy = data.join(format!("{setting}.pem"));
        tls::install(source, &copy)?;
        settings.push((setting.to_owned(), copy.display().to_string()));
    }
    Ok(certificates)
}
