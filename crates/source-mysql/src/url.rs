//! `mysql://user:password@host:port/database?key=value`, read strictly: what is not understood is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use change::url::{self, DatabaseUrl};
use secrecy::SecretString;

use crate::config::{SslMode, Tls};
use crate::error::Error;

const PORT: u16 = 3306;

/// Where the server is and who we are there.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// A name or an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// A Unix socket's path; `host` and `port` mean nothing then.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) user: String,
    /// Where names without a database are looked up; catalogue and log need none.
    pub(crate) database: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) tls: Tls,
    pub(crate) connect_timeout: Option<Duration>,
}

impl Endpoint {
    /// For messages.
    pub(crate) fn name(&self) -> String {
        match &self.socket {
            Some(path) => path.display().to_string(),
            None => url::place(&self.host, self.port),
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        self.socket.is_some()
    }
}

fn bad(url: &str, why: impl std::fmt::Display) -> Error {
    Error::stop(
        format!("url: {why} in {}", url::without_password(url)),
        "write mysql://user@host:3306/?ssl-mode=VERIFY_IDENTITY",
    )
}

pub(crate) fn parse(url: &str) -> Result<Endpoint, Error> {
    let parts = DatabaseUrl::parse(url, &["mysql", "mariadb"]).map_err(|why| bad(url, why))?;
    let mut endpoint = Endpoint {
        host: parts.host,
        port: parts.port.unwrap_or(PORT),
        socket: None,
        user: parts.user,
        database: Some(parts.database).filter(|name| !name.is_empty()),
        password: parts.password.map(SecretString::from),
        tls: Tls { mode: SslMode::Preferred, root: None, certificate: None, key: None },
        connect_timeout: None,
    };
    let mut mode = None;
    for (key, value) in parts.parameters {
        set(url, &mut endpoint, &mut mode, &key, value)?;
    }
    // As the manual has it: a certificate authority without a mode is there to be asked.
    let default = if endpoint.tls.root.is_some() { SslMode::VerifyCa } else { SslMode::Preferred };
    endpoint.tls.mode = mode.unwrap_or(default);
    if endpoint.host.is_empty() {
        "localhost".clone_into(&mut endpoint.host);
    }
    Ok(endpoint)
}

const PARAMETERS: [&str; 8] =
    ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket", "host", "port", "connect_timeout"];

fn set(url: &str, endpoint: &mut Endpoint, mode: &mut Option<SslMode>, key: &str, value: String) -> Result<(), Error> {
    match key {
        "host" => endpoint.host = value,
        "port" => endpoint.port = url::port(&value).map_err(|why| bad(url, why))?,
        "socket" if value.starts_with('/') => endpoint.socket = Some(PathBuf::from(value)),
        "socket" => return Err(bad(url, "a socket that is no path from the root on")),
        "ssl-mode" => {
            *mode = Some(match value.to_ascii_uppercase().as_str() {
                "DISABLED" => SslMode::Disabled,
                "PREFERRED" => SslMode::Preferred,
                "REQUIRED" => SslMode::Required,
                "VERIFY_CA" => SslMode::VerifyCa,
                "VERIFY_IDENTITY" => SslMode::VerifyIdentity,
                _ => {
                    let modes = "DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY";
                    return Err(bad(url, format!("an ssl-mode that is not {modes}")));
                }
            });
        }
        "ssl-ca" => endpoint.tls.root = Some(PathBuf::from(value)),
        "ssl-cert" => endpoint.tls.certificate = Some(PathBuf::from(value)),
        "ssl-key" => endpoint.tls.key = Some(PathBuf::from(value)),
        "connect_timeout" => {
            let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
            let seconds = seconds.ok_or_else(|| bad(url, "a connect_timeout that is no number of seconds"))?;
            endpoint.connect_timeout = Some(Duration::from_secs(seconds));
        }
        "password" => return Err(bad(url, "a password among the parameters (use the key `password`)")),
        _ => return Err(bad(url, format!("the unknown parameter {key:?} ({})", nearest(key)))),
    }
    Ok(())
}

/// What may have been meant.
fn nearest(key: &str) -> String {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    // libpq's and Connector/J's words for the same things
    let other = match plain(key).as_str() {
        "sslrootcert" | "sslcapath" => Some("ssl-ca"),
        "unixsocket" | "socketpath" => Some("socket"),
        _ => None,
    };
    let nearest = || {
        let distance = |known: &&str| edits(plain(known).as_bytes(), plain(key).as_bytes());
        PARAMETERS.into_iter().min_by_key(distance).filter(|known| distance(known) <= 3)
    };
    match other.or_else(nearest) {
        Some(known) => format!("is {known} meant?"),
        None => format!("known are {}", PARAMETERS.join(", ")),
    }
}

/// How many letters have to be put in, taken out or changed.
pub(crate) fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut corner = i;
        let mut before = i + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, right) in row.iter_mut().skip(1).zip(b) {
            let above = *cell;
            before = (corner + usize::from(left != right)).min(above + 1).min(before + 1);
            corner = above;
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn every_part() {
        let e = parse("mysql://me:p%40ss@db.example:6543/shop?ssl-mode=verify_identity&ssl-ca=/ca.pem").unwrap();
        assert_eq!((e.host.as_str(), e.port, e.user.as_str()), ("db.example", 6543, "me"));
        assert_eq!(e.database.as_deref(), Some("shop"));
        assert_eq!(e.password.unwrap().expose_secret(), "p@ss");
        assert_eq!((e.tls.mode, e.tls.root), (SslMode::VerifyIdentity, Some(PathBuf::from("/ca.pem"))));
    }

    #[test]
    fn defaults_and_sockets() {
        let e = parse("mariadb://me@").unwrap();
        assert_eq!((e.host.as_str(), e.port, e.database.as_deref()), ("localhost", 3306, None));
        assert_eq!(e.tls.mode, SslMode::Preferred);
        assert_eq!(parse("mysql://me@[::1]:7/x").unwrap().name(), "[::1]:7");
        let e = parse("mysql://me@localhost/?socket=/run/mysqld/mysqld.sock").unwrap();
        assert!(e.is_unix());
        assert_eq!(e.name(), "/run/mysqld/mysqld.sock");
        assert_eq!(parse("mysql://me@h/?ssl-ca=/ca.pem").unwrap().tls.mode, SslMode::VerifyCa);
        assert_eq!(parse("mysql://me@h/?ssl-ca=/ca.pem&ssl-mode=REQUIRED").unwrap().tls.mode, SslMode::Required);
    }

    #[test]
    fn no_password_is_in_a_refusal() {
        for password in ["s3/cret", "s3?cret", "s3/x@y", "s3?a=b@c", "/s3?"] {
            let error = parse(&format!("mysql://me:{password}@h/d?ssl-mode=REQUIRED")).unwrap_err().to_string();
            assert!(
                error.contains("write %2F and %3F in a password") && error.ends_with("in mysql://me@h/d"),
                "{error}"
            );
        }
        let e = parse("mysql://me:s3%2F%3F@h/d").unwrap();
        assert_eq!((e.host.as_str(), e.password.unwrap().expose_secret()), ("h", "s3/?"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for url in [
            "postgres://a@b/c",
            "mysql://h/db",
            "mysql://a@h:0/d",
            "mysql://a@h/d?x=1",
            "mysql://a@h/d?ssl-mode=on",
            "mysql://a@h/d?socket=s",
            "mysql://a@h/d?connect_timeout=0",
            "mysql://a%zz@h/d",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_nearest_parameter_is_named() {
        for (key, meant) in [
            ("sslmode", "ssl-mode"),
            ("ssl_ca", "ssl-ca"),
            ("sslrootcert", "ssl-ca"),
            ("connecttimeout", "connect_timeout"),
            ("conect-timeout", "connect_timeout"),
            ("unix_socket", "socket"),
        ] {
            let error = parse(&format!("mysql://a@h/d?{key}=1")).unwrap_err().to_string();
            assert!(error.contains(&format!("is {meant} meant?")), "{error}");
        }
        assert!(parse("mysql://a@h/d?whatever=1").unwrap_err().to_string().contains("known are ssl-mode,"));
    }
}
