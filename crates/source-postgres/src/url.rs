//! `postgres://user:password@host:port/database?key=value`, read strictly: what is not understood is refused by name.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::config::{SslMode, Tls};
use crate::error::Error;

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
        if self.is_unix() {
            format!("{}/.s.PGSQL.{}", self.host, self.port)
        } else if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }
}

/// The URL with `***` for a password, for messages.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{host}{path}")
        }
        None => format!("{scheme}://{authority}{path}"),
    }
}

/// The same server and login for another database. The name needs no escape: it is one that we made.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
    let authority = rest.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{database}{query}")
}

fn bad(url: &str, why: impl std::fmt::Display) -> Error {
    Error::stop(
        format!("url: {why} in {}", without_password(url)),
        "write postgres://user@host:5432/database?sslmode=verify-full",
    )
}

pub(crate) fn parse(url: &str) -> Result<Endpoint, Error> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| bad(url, "no postgres:// at the beginning"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let decode = |text: &str, what: &str| decode(text).ok_or_else(|| bad(url, format!("a bad % escape in the {what}")));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(SecretString::from(decode(password, "password")?))),
        None => (login, None),
    };
    let user = decode(user, "user")?;
    if user.is_empty() {
        return Err(bad(url, "no user"));
    }
    let (host, port) = split_port(place);
    let mut endpoint = Endpoint {
        host: decode(host, "host")?,
        port: parse_port(url, port.unwrap_or("5432"))?,
        database: match decode(database, "database")? {
            name if name.is_empty() => user.clone(),
            name => name,
        },
        user,
        password,
        tls: Tls { mode: SslMode::Prefer, root: None, certificate: None, key: None },
        connect_timeout: None,
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| bad(url, "a parameter without a value"))?;
        set(url, &mut endpoint, key, decode(value, key)?)?;
    }
    if endpoint.host.is_empty() {
        "localhost".clone_into(&mut endpoint.host);
    }
    Ok(endpoint)
}

fn set(url: &str, endpoint: &mut Endpoint, key: &str, value: String) -> Result<(), Error> {
    match key {
        "host" => endpoint.host = value,
        "port" => endpoint.port = parse_port(url, &value)?,
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

fn split_port(place: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    }
}

fn parse_port(url: &str, text: &str) -> Result<u16, Error> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| bad(url, "a port that is not 1 to 65535"))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
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
    fn another_database_of_the_same_server() {
        for (url, other) in [
            ("postgres://me:p%40ss@h:6543/shop?sslmode=require", "postgres://me:p%40ss@h:6543/check?sslmode=require"),
            ("postgres://me@h", "postgres://me@h/check"),
            ("postgresql://me@/shop?host=/run/pg", "postgresql://me@/check?host=/run/pg"),
        ] {
            assert_eq!(with_database(url, "check"), other);
        }
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
