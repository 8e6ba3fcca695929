//! `mysql://user:password@host:port/database?key=value`, read strictly: what is not understood is refused by name.

use std::path::PathBuf;
use std::time::Duration;

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
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    pub(crate) fn is_unix(&self) -> bool {
        self.socket.is_some()
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

/// The same server and login without a database.
pub(crate) fn without_database(url: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let (scheme, rest) = place.split_once("://").unwrap_or(("mysql", place));
    let authority = rest.split('/').next().unwrap_or_default();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{authority}/{query}")
}

fn bad(url: &str, why: impl std::fmt::Display) -> Error {
    Error::stop(
        format!("url: {why} in {}", without_password(url)),
        "write mysql://user@host:3306/?ssl-mode=VERIFY_IDENTITY",
    )
}

pub(crate) fn parse(url: &str) -> Result<Endpoint, Error> {
    let rest = url
        .strip_prefix("mysql://")
        .or_else(|| url.strip_prefix("mariadb://"))
        .ok_or_else(|| bad(url, "no mysql:// or mariadb:// at the beginning"))?;
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
        port: port.map_or(Ok(PORT), |port| parse_port(url, port))?,
        socket: None,
        user,
        database: Some(decode(database, "database")?).filter(|name| !name.is_empty()),
        password,
        tls: Tls { mode: SslMode::Preferred, root: None, certificate: None, key: None },
        connect_timeout: None,
    };
    let mut mode = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| bad(url, "a parameter without a value"))?;
        set(url, &mut endpoint, &mut mode, key, decode(value, key)?)?;
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
        "port" => endpoint.port = parse_port(url, &value)?,
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
    fn the_server_without_a_database() {
        for (url, server) in [
            ("mysql://me:p%40ss@h:7/shop?ssl-mode=REQUIRED", "mysql://me:p%40ss@h:7/?ssl-mode=REQUIRED"),
            ("mariadb://me@h", "mariadb://me@h/"),
        ] {
            assert_eq!(without_database(url), server);
        }
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
