//! `postgres://user:password@host:port/database?key=value`, read strictly: what is not understood is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use change::url::{self, DatabaseUrl};
use secrecy::SecretString;

use crate::config::{SslMode, Tls};
use crate::error::Error;

const PORT: u16 = 5432;

/// Where the server is and who we are there.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// A name, an address, or the directory of a Unix socket (it begins with `/`).
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: String,
    pub(crate) password: Option<SecretString>,
    pub(crate) tls: Tls,
    pub(crate) connect_timeout: Option<Duration>,
}

impl Endpoint {
    /// For messages.
    pub(crate) fn name(&self) -> String {
        if self.is_unix() { format!("{}/.s.PGSQL.{}", self.host, self.port) } else { url::place(&self.host, self.port) }
    }

    pub(crate) fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }
}

fn bad(url: &str, why: impl std::fmt::Display) -> Error {
    Error::stop(
        format!("url: {why} in {}", url::without_password(url)),
        "write postgres://user@host:5432/database?sslmode=verify-full",
    )
}

pub(crate) fn parse(url: &str) -> Result<Endpoint, Error> {
    let parts = DatabaseUrl::parse(url, &["postgres", "postgresql"]).map_err(|why| bad(url, why))?;
    let mut endpoint = Endpoint {
        host: parts.host,
        port: parts.port.unwrap_or(PORT),
        database: if parts.database.is_empty() { parts.user.clone() } else { parts.database },
        user: parts.user,
        password: parts.password.map(SecretString::from),
        tls: Tls { mode: SslMode::Prefer, root: None, certificate: None, key: None },
        connect_timeout: None,
    };
    for (key, value) in parts.parameters {
        set(url, &mut endpoint, &key, value)?;
    }
    if endpoint.host.is_empty() {
        "localhost".clone_into(&mut endpoint.host);
    }
    Ok(endpoint)
}

fn set(url: &str, endpoint: &mut Endpoint, key: &str, value: String) -> Result<(), Error> {
    match key {
        "host" => endpoint.host = value,
        "port" => endpoint.port = url::port(&value).map_err(|why| bad(url, why))?,
        "sslmode" => {
            endpoint.tls.mode = match value.as_str() {
                "disable" => SslMode::Disable,
                "allow" => SslMode::Allow,
                "prefer" => SslMode::Prefer,
                "require" => SslMode::Require,
                "verify-ca" => SslMode::VerifyCa,
                "verify-full" => SslMode::VerifyFull,
                _ => return Err(bad(url, "an unknown sslmode")),
            }
        }
        "sslrootcert" => endpoint.tls.root = Some(PathBuf::from(value)),
        "sslcert" => endpoint.tls.certificate = Some(PathBuf::from(value)),
        "sslkey" => endpoint.tls.key = Some(PathBuf::from(value)),
        "connect_timeout" => {
            let seconds = value.parse().map_err(|_| bad(url, "a connect_timeout that is no number of seconds"))?;
            endpoint.connect_timeout = Some(Duration::from_secs(seconds));
        }
        "password" => return Err(bad(url, "a password among the parameters (use the key `password`)")),
        _ => return Err(bad(url, format!("the unknown parameter {key:?}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn every_part() {
        let e = parse("postgres://me:p%40ss@db.example:6543/shop?sslmode=verify-full&sslrootcert=/ca.pem").unwrap();
        assert_eq!((e.host.as_str(), e.port, e.user.as_str(), e.database.as_str()), ("db.example", 6543, "me", "shop"));
        assert_eq!(e.password.unwrap().expose_secret(), "p@ss");
        assert_eq!((e.tls.mode, e.tls.root), (SslMode::VerifyFull, Some(PathBuf::from("/ca.pem"))));
    }

    #[test]
    fn defaults_and_sockets() {
        let e = parse("postgresql://me@").unwrap();
        assert_eq!((e.host.as_str(), e.port, e.database.as_str()), ("localhost", 5432, "me"));
        assert_eq!(parse("postgres://me@[::1]:7/x").unwrap().name(), "[::1]:7");
        for url in ["postgres://me@%2Frun%2Fpg:7/x", "postgres://me@/x?host=/run/pg&port=7"] {
            assert_eq!(parse(url).unwrap().name(), "/run/pg/.s.PGSQL.7");
        }
    }

    #[test]
    fn no_password_is_in_a_refusal() {
        for password in ["s3/cret", "s3?cret", "s3/x@y", "s3?a=b@c", "/s3?"] {
            let error = parse(&format!("postgres://me:{password}@h/d?sslmode=require")).unwrap_err().to_string();
            assert!(
                error.contains("write %2F and %3F in a password") && error.ends_with("in postgres://me@h/d"),
                "{error}"
            );
        }
        let e = parse("postgres://me:s3%2F%3F@h/d").unwrap();
        assert_eq!((e.host.as_str(), e.password.unwrap().expose_secret()), ("h", "s3/?"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for url in [
            "mysql://a@b/c",
            "postgres://h/db",
            "postgres://a@h:0/d",
            "postgres://a@h/d?x=1",
            "postgres://a@h/d?sslmode=on",
            "postgres://a%zz@h/d",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }
}
