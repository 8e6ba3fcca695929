//! Where the programs of MySQL and MariaDB are, how they are called there, and the data folder that all servers copy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Flavour;
use crate::{cache, process, scratch};

/// Makes `root` of everywhere; `root` of the Unix socket is there from the beginning.
const ROOT: &str = "CREATE USER 'root'@'%' IDENTIFIED BY '';\nGRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n";

/// The files of one server.
#[derive(Debug)]
pub(super) struct Installation {
    flavour: Flavour,
    /// The folder that is `/usr` for the server's own package.
    usr: PathBuf,
    /// Programs of unstable need its C library, so they are started through its loader.
    libraries: Option<PathBuf>,
    program: PathBuf,
    plugins: PathBuf,
    /// Error messages, character sets, and what a new data folder is made of.
    share: PathBuf,
}

impl Installation {
    pub(super) fn find(flavour: Flavour) -> Result<Installation> {
        let (usr, program, share, part) = match flavour {
            Flavour::MariaDb => (PathBuf::from("/usr"), "mariadbd", "mysql", "servers"),
            Flavour::MySql => (cache::reachable("mysql-unstable", "mysql")?.join("usr"), "mysqld", "mysql", "mysql"),
            Flavour::MariaDbUnstable => {
                let part = "mariadb-matrix";
                (cache::reachable("mariadb-unstable", part)?.join("usr"), "mariadbd", "mariadb", part)
            }
        };
        let libraries = (flavour != Flavour::MariaDb).then(|| usr.join("lib/x86_64-linux-gnu"));
        let (program, share) = (usr.join("sbin").join(program), usr.join("share").join(share));
        ensure!(program.exists(), "no {}; run scripts/setup.sh {part}", program.display());
        let plugins = usr.join("lib/mysql/plugin");
        Ok(Installation { flavour, usr, libraries, program, plugins, share })
    }

    /// The same with a keyring in a file, which MySQL needs to encrypt anything. It reads beside its program which components
    /// it loads, and beside a component how that is set up: so both are copied to `folder`.
    pub(super) fn with_keyring(mut self, folder: &Path) -> Result<Installation> {
        const COMPONENT: &str = "component_keyring_file";
        fs::create_dir(folder)?;
        let module = format!("{COMPONENT}.so");
        let program = folder.join("mysqld");
        fs::copy(&self.program, &program)?;
        fs::copy(self.plugins.join(&module), folder.join(&module))?;
        fs::write(folder.join("mysqld.my"), format!("{{\"components\": \"file://{COMPONENT}\"}}"))?;
        let keys = folder.join("keys");
        let setup = serde_json::json!({ "path": keys, "read_only": false });
        fs::write(folder.join(format!("{COMPONENT}.cnf")), setup.to_string())?;
        process::give_away(folder)?;
        (self.program, self.plugins) = (program, folder.to_owned());
        Ok(self)
    }

    /// The server on a data folder, deaf to the system's configuration files.
    pub(super) fn command(&self, data: &Path) -> Command {
        let mut command = match &self.libraries {
            None => Command::new(&self.program),
            Some(libraries) => {
                let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
                command.arg("--library-path").arg(libraries).arg(&self.program);
                command
            }
        };
        command.arg("--no-defaults");
        let folders = [
            ("basedir", self.usr.clone()),
            ("datadir", data.to_owned()),
            ("lc-messages-dir", self.share.clone()),
            ("plugin-dir", self.plugins.clone()),
        ];
        for (name, folder) in folders {
            command.arg(format!("--{name}={}", folder.display()));
        }
        command
    }

    /// An initialised data folder to copy, made once for a user of the machine.
    pub(super) fn template(&self) -> Result<PathBuf> {
        let version = self.command(Path::new("/")).arg("--version").output()?.stdout;
        // "/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"
        let version = String::from_utf8_lossy(&version).into_owned();
        let version = version.split_whitespace().skip_while(|word| *word != "Ver").nth(1);
        let version = version.context("no version from --version")?;
        let name: String = version.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
        cache::made_once(&scratch::durable(&format!("{}{name}", self.flavour.scheme()))?, |path| {
            process::give_away(path.parent().context("a template has a folder")?)?;
            if self.flavour.is_mariadb() { self.make_mariadb(path) } else { self.make_mysql(path) }
        })
    }

    fn make_mysql(&self, data: &Path) -> Result<()> {
        let users = scratch::dir("mysql-users")?.join("users.sql");
        fs::write(&users, ROOT)?;
        let mut command = self.command(data);
        command.arg("--initialize-insecure").arg(format!("--init-file={}", users.display()));
        // small files to copy; the server makes its log as large as it is told
        command.args(["--innodb-redo-log-capacity=8M", "--secure-file-priv="]);
        process::run_unprivileged(&mut command)?;
        // the UUID: every copy makes its own
        Ok(fs::remove_file(data.join("auto.cnf"))?)
    }

    /// What `mariadb-install-db` does, which is in a package that would start a service.
    fn make_mariadb(&self, data: &Path) -> Result<()> {
        // the files are named as their folder
        let prefix = self.share.file_name().context("a folder")?.display();
        let mut script = "CREATE DATABASE mysql;\nUSE mysql;\n".to_owned();
        for name in ["system_tables", "performance_tables", "system_tables_data"] {
            let file = self.share.join(format!("{prefix}_{name}.sql"));
            script += &fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        }
        // the tables of users are read only now, and only then users can be made
        script += "DELETE FROM global_priv WHERE User='';\nFLUSH PRIVILEGES;\n";
        script += ROOT;
        let folder = scratch::dir("mariadb-script")?;
        let file = folder.join("script.sql");
        fs::write(&file, script)?;
        process::give_away(&folder)?;
        fs::create_dir(data)?;
        process::give_away(data)?;
        let mut command = self.command(data);
        // a small file to copy, as above
        command.args(["--bootstrap", "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M"]);
        command.arg(format!("--tmpdir={}", folder.display())).stdin(File::open(&file)?);
        process::run_unprivileged(&mut command)
    }
}
