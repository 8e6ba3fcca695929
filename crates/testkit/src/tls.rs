//! Certificates for one test: an authority, and a server certificate for `localhost` and `127.0.0.1` that it signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::scratch;

/// Paths of PEM files.
#[derive(Debug, Clone)]
pub struct Certificates {
    pub ca: PathBuf,
    pub server_cert: PathBuf,
    /// PKCS#8, not encrypted.
    pub server_key: PathBuf,
}

impl Certificates {
    pub fn generate() -> Result<Certificates> {
        let folder = scratch::dir("tls")?;
        let path = |name: &str| folder.join(name);
        let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
        let (server_cert, server_key) = (path("server.pem"), path("server.key"));
        let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        openssl(|command| {
            command.args(["req", "-x509", "-days", "3650", "-subj", "/CN=headwater test authority"]).args(new_key);
            command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
            command.arg("-keyout").arg(&ca_key).arg("-out").arg(&ca);
        })?;
        openssl(|command| {
            command.args(["req", "-subj", "/CN=localhost"]).args(new_key);
            command.arg("-keyout").arg(&server_key).arg("-out").arg(path("server.csr"));
        })?;
        fs::write(path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")?;
        openssl(|command| {
            command.args(["x509", "-req", "-days", "3650", "-CAcreateserial"]);
            command.arg("-in").arg(path("server.csr")).arg("-CA").arg(&ca).arg("-CAkey").arg(&ca_key);
            command.arg("-extfile").arg(path("names")).arg("-out").arg(&server_cert);
        })?;
        Ok(Certificates { ca, server_cert, server_key })
    }

    /// Key and certificate in one file, as Kafka wants them.
    pub(crate) fn write_keystore(&self, path: &Path) -> Result<()> {
        let text = fs::read_to_string(&self.server_key)? + &fs::read_to_string(&self.server_cert)?;
        Ok(fs::write(path, text)?)
    }
}

fn openssl(arguments: impl FnOnce(&mut Command)) -> Result<()> {
    let mut command = Command::new("openssl");
    arguments(&mut command);
    let done = command.output()?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}
