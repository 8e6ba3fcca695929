//! A MySQL or MariaDB server of our own: initialised once and copied, on a reserved port, restartable in place.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql_async::Conn;

use crate::port::Port;
use crate::process::{self, Process, locked};
use crate::scratch;
use crate::tls::{self, Certificates};

mod database;
mod install;

pub use database::{MySqlDatabase, MySqlSession};
use install::Installation;

/// MySQL reads its dictionary at every start, which takes seconds where other tests use the processors.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

/// Fit for tests: rows and all their metadata in the binlog, small memory, no waiting for the disk. What is committed still
/// reaches the kernel, so that a killed server has it when it comes back. Names are not looked up: a user is `'name'@'%'`.
const SETTINGS: &[(&str, &str)] = &[
    ("log-bin", "bin"),
    ("binlog-row-metadata", "FULL"),
    ("sync-binlog", "0"),
    ("innodb-flush-log-at-trx-commit", "2"),
    ("innodb-buffer-pool-size", "128M"),
    ("max-connections", "200"),
    ("skip-name-resolve", "ON"),
];

const MYSQL_SETTINGS: &[(&str, &str)] = &[
    ("gtid-mode", "ON"),
    ("enforce-gtid-consistency", "ON"),
    ("innodb-redo-log-capacity", "256M"),
    ("mysqlx", "OFF"),
    ("secure-file-priv", ""),
    // its defaults are for thousands of tables and large transactions, and would be a third of its memory
    ("innodb-log-buffer-size", "8M"),
    ("table-open-cache", "400"),
    ("table-definition-cache", "400"),
];

const MARIADB_SETTINGS: &[(&str, &str)] =
    &[("binlog-format", "ROW"), ("gtid-strict-mode", "ON"), ("innodb-log-file-size", "128M")];

/// Which server. What unstable had when it was unpacked is told by [`MySql::version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// MySQL of Debian unstable (9.7).
    MySql,
    /// MariaDB of Debian 12 (10.11).
    MariaDb,
    /// MariaDB of Debian unstable (11.8).
    MariaDbUnstable,
}

impl Flavour {
    pub const ALL: [Flavour; 3] = [Flavour::MySql, Flavour::MariaDb, Flavour::MariaDbUnstable];

    pub fn is_mariadb(self) -> bool {
        self != Flavour::MySql
    }

    /// The first part of an address.
    pub fn scheme(self) -> &'static str {
        if self.is_mariadb() { "mariadb" } else { "mysql" }
    }

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        if self.is_mariadb() { MARIADB_SETTINGS } else { MYSQL_SETTINGS }
    }
}

/// What differs from a plain server.
#[derive(Debug)]
pub struct Builder {
    flavour: Flavour,
    settings: Vec<(String, String)>,
    ssl: bool,
    keyring: bool,
}

impl Builder {
    /// A server setting, as on the command line without the dashes; it wins over the kit's.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// TLS with a certificate for `localhost` and `127.0.0.1` (see [`MySql::certificates`]). Without this MySQL and the
    /// newer MariaDB offer TLS with a certificate that nobody signed, and the older MariaDB offers none.
    pub fn ssl(mut self) -> Self {
        self.ssl = true;
        self
    }

    /// MySQL with a keyring, without which it encrypts nothing.
    pub fn keyring(mut self) -> Self {
        self.keyring = true;
        self
    }

    pub fn start(self) -> Result<MySql> {
        let mut installation = Installation::find(self.flavour)?;
        let template = installation.template()?;
        let home = scratch::dir(self.flavour.scheme())?;
        process::give_away(&home)?;
        if self.keyring {
            installation = installation.with_keyring(&home.join("keyring"))?;
        }
        process::run_unprivileged(Command::new("cp").arg("-a").arg(template).arg(home.join("data")))?;
        let port = Port::reserve()?;
        let kit = SETTINGS.iter().chain(self.flavour.settings());
        let mut settings: Vec<(String, String)> =
            kit.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // as unique on this machine as the port
        settings.push(("server-id".to_owned(), port.number().to_string()));
        let certificates = if self.ssl { Some(Certificates::generate()?) } else { None };
        if let Some(made) = &certificates {
            let files = [("ssl-ca", &made.ca), ("ssl-cert", &made.server_cert), ("ssl-key", &made.server_key)];
            for (setting, source) in files {
                let copy = home.join(format!("{setting}.pem"));
                tls::install(source, &copy)?;
                settings.push((setting.to_owned(), copy.display().to_string()));
            }
        }
        settings.extend(self.settings);
        let process = Mutex::new(None);
        let server = MySql { flavour: self.flavour, installation, home, settings, port, certificates, process };
        server.start_again()?;
        Ok(server)
    }
}

/// A running (or stopped) server. Dropping it ends it. The user `root` may do everything, over TCP, without a password.
/// Each server has an identity of its own: id, and UUID where there is one.
#[derive(Debug)]
pub struct MySql {
    flavour: Flavour,
    installation: Installation,
    home: PathBuf,
    settings: Vec<(String, String)>,
    port: Port,
    certificates: Option<Certificates>,
    process: Mutex<Option<Process>>,
}

impl MySql {
    /// A plain server.
    pub fn start(flavour: Flavour) -> Result<MySql> {
        MySql::builder(flavour).start()
    }

    pub fn builder(flavour: Flavour) -> Builder {
        Builder { flavour, settings: Vec::new(), ssl: false, keyring: false }
    }

    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// What the server says of itself: `9.7.4-2`, `10.11.19-MariaDB-0+deb12u1-log`.
    pub fn version(&self) -> Result<String> {
        self.maintenance().value("SELECT version()")
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.home.join("data")
    }

    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The number of the server's process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Process::pid)
    }

    /// What the server logged so far.
    pub fn log_text(&self) -> String {
        fs::read(self.home.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// A new empty database with a name of its own.
    pub fn create_database(&self) -> Result<MySqlDatabase> {
        MySqlDatabase::create(self.flavour, self.port())
    }

    /// A new empty database with a given name, which this server must not have yet.
    pub fn create_database_called(&self, name: &str) -> Result<MySqlDatabase> {
        MySqlDatabase::create_called(name, self.flavour, self.port())
    }

    /// A handle on a database that is there.
    pub fn database(&self, name: &str) -> MySqlDatabase {
        MySqlDatabase::existing(name, self.flavour, self.port())
    }

    /// A handle on the database `mysql`.
    pub fn maintenance(&self) -> MySqlDatabase {
        self.database("mysql")
    }

    /// A connection to the database `mysql`.
    pub async fn connect(&self) -> Result<Conn> {
        self.maintenance().connect().await
    }

    /// A user without any rights who proves himself by `plugin`: `caching_sha2_password` (MySQL), `mysql_native_password`
    /// (MariaDB), `ed25519` (the newer MariaDB, which loads it here).
    pub fn create_user(&self, name: &str, plugin: &str, password: &str) -> Result<()> {
        ensure!(!password.contains(['\'', '\\']), "a test's password needs no quotes");
        let maintenance = self.maintenance();
        if !self.flavour.is_mariadb() {
            return maintenance.execute(&format!("CREATE USER '{name}'@'%' IDENTIFIED WITH {plugin} BY '{password}'"));
        }
        let active = format!("FROM information_schema.plugins WHERE plugin_name = '{plugin}'");
        if maintenance.query(&format!("SELECT 1 {active}"))?.is_empty() {
            maintenance.execute(&format!("INSTALL SONAME 'auth_{plugin}'"))?;
        }
        maintenance.execute(&format!("CREATE USER '{name}'@'%' IDENTIFIED VIA {plugin} USING PASSWORD('{password}')"))
    }

    /// Starts a stopped server on the same port and data.
    pub fn start_again(&self) -> Result<()> {
        let mut slot = locked(&self.process);
        ensure!(slot.is_none(), "{:?} on port {} runs already", self.flavour, self.port());
        let mut command = self.installation.command(&self.data_dir());
        command.arg("--bind-address=127.0.0.1").arg(format!("--port={}", self.port()));
        for (name, file) in [("socket", "socket"), ("pid-file", "pid"), ("tmpdir", "")] {
            command.arg(format!("--{name}={}", self.home.join(file).display()));
        }
        for (name, value) in &self.settings {
            command.arg(format!("--{name}={value}"));
        }
        command.current_dir(&self.home);
        process::unprivileged(&mut command)?;
        // killed when it is dropped: these servers have no children, and a stop that nobody waits for takes seconds
        let process = Process::spawn(self.flavour.scheme(), command, &self.home.join("log"))?;
        let maintenance = self.maintenance();
        process.wait_ready(START, || maintenance.execute("SELECT 1"))?;
        *slot = Some(process);
        Ok(())
    }

    /// An orderly end: clients are disconnected, everything is written.
    pub fn stop(&self) -> Result<()> {
        self.take()?.stop(libc::SIGTERM, STOP).map(|_| ())
    }

    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.start_again()
    }

    /// SIGKILL: recovery at the next start.
    pub fn kill(&self) -> Result<()> {
        self.take()?.kill()
    }

    fn take(&self) -> Result<Process> {
        locked(&self.process).take().with_context(|| format!("{:?} does not run", self.flavour))
    }
}
