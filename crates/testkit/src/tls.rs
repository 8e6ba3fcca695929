//! Certificates for one test: an authority, and what it signed: a server certificate for `localhost` and `127.0.0.1`, and
//! certificates of clients.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{process, scratch};

/// Paths of PEM files.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub ca: PathBuf,
    pub server_cert: PathBuf,
    /// PKCS#8, not encrypted.
    pub server_key: PathBuf,
    folder: PathBuf,
}

const NEW_KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

impl Certificates {
    pub fn generate() -> Result<Certificates> {
        let folder = scratch::dir("tls")?;
        let path = |name: &str| folder.join(name);
        let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
        let (server_cert, server_key) = (path("server.pem"), path("server.key"));
        openssl(|command| {
            command.args(["req", "-x509", "-days", "3650", "-subj", "/CN=headwater test authority"]).args(NEW_KEY);
            command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
            command.arg("-keyout").arg(&ca_key).arg("-out").arg(&ca);
        })?;
        let made = Certificates { ca, server_cert, server_key, folder: folder.clone() };
        made.sign("localhost", "server", "subjectAltName=DNS:localhost,IP:127.0.0.1")?;
        Ok(made)
    }

    /// A certificate by which a client proves that it is `name`, and its key.
    pub fn client(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let file = format!("client-{name}");
        self.sign(name, &file, "extendedKeyUsage=clientAuth")?;
        Ok((self.folder.join(format!("{file}.pem")), self.folder.join(format!("{file}.key"))))
    }

    /// A new key with a certificate for `name`, in files that begin with `file`.
    fn sign(&self, name: &str, file: &str, extension: &str) -> Result<()> {
        let path = |ending: &str| self.folder.join(format!("{file}.{ending}"));
        openssl(|command| {
            command.args(["req", "-subj", &format!("/CN={name}")]).args(NEW_KEY);
            command.arg("-keyout").arg(path("key")).arg("-out").arg(path("csr"));
        })?;
        fs::write(path("extensions"), extension)?;
        openssl(|command| {
            command.args(["x509", "-req", "-days", "3650", "-CAcreateserial"]);
            command.arg("-in").arg(path("csr")).arg("-CA").arg(&self.ca).arg("-CAkey").arg(self.folder.join("ca.key"));
            command.arg("-extfile").arg(path("extensions")).arg("-out").arg(path("pem"));
        })
    }

    /// Key and certificate in one file, as Kafka wants them.
    pub(crate) fn write_keystore(&self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(&self.server_key)? + &fs::read_to_string(&self.server_cert)?;
        Ok(fs::write(path, text)?)
    }
}

/// Puts a file where a database finds it, owned by the database's user: servers refuse a key that others may read.
pub(crate) fn install(source: &Path, copy: &Path) -> Result<()> {
    fs::copy(source, copy)?;
    fs::set_permissions(copy, fs::Permissions::from_mode(0o600))?;
    process::give_away(copy)
}

fn openssl(arguments: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = Command::new("openssl");
    arguments(&mut command);
    let done = command.output()?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
