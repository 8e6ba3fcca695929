//! URLs of databases, `scheme://user:password@host:port/database?key=value`, read strictly: what is not understood is
//! refused, and nothing that may be a password is ever shown.

/// A URL's parts, without their escapes. There is no `Debug`: one of them is a password.
pub struct DatabaseUrl {
    pub user: String,
    pub password: Option<String>,
    /// Empty where the URL names none.
    pub host: String,
    pub port: Option<u16>,
    /// Empty where the URL names none.
    pub database: String,
    /// What follows `?`, in its order.
    pub parameters: Vec<(String, String)>,
}

/// Why a URL is refused. The URL itself is not in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUrl(String);

impl DatabaseUrl {
    /// Takes a URL apart that begins with one of `schemes`.
    ///
    /// # Errors
    ///
    /// It is none.
    pub fn parse(url: &str, schemes: &[&str]) -> Result<Self, BadUrl> {
        let rest = url.split_once("://").filter(|(scheme, _)| schemes.contains(scheme));
        let Some((_, rest)) = rest else {
            return Err(BadUrl(format!("no {}:// at the beginning", schemes.join(":// or "))));
        };
        let (authority, path, query) = cut(rest);
        // A password that was cut in two would be taken for a host and a database.
        if path.contains('@') || query.contains('@') {
            return Err(BadUrl(
                "an @ behind a / or ? (write %2F and %3F in a password, %40 behind the host)".to_owned(),
            ));
        }
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(decode(password, "password")?)),
            None => (login, None),
        };
        if user.is_empty() {
            return Err(BadUrl("no user".to_owned()));
        }
        let (host, number) = split_port(place);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let parameter = |pair: &str| match pair.split_once('=') {
            Some((key, value)) => Ok((key.to_owned(), decode(value, key)?)),
            None => Err(BadUrl("a parameter without a value".to_owned())),
        };
        Ok(Self {
            user: decode(user, "user")?,
            password,
            host: decode(host, "host")?,
            port: number.map(port).transpose()?,
            database: decode(path, "database")?,
            parameters: pairs.map(parameter).collect::<Result<_, _>>()?,
        })
    }
}

/// Who and where, which database, and the parameters. A `/` or `?` ends what is before it, in a password too.
fn cut(rest: &str) -> (&str, &str, &str) {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    (authority, path, query)
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

/// # Errors
///
/// No port has this number.
pub fn port(text: &str) -> Result<u16, BadUrl> {
    let number = text.parse().ok().filter(|port| *port > 0);
    number.ok_or_else(|| BadUrl("a port that is not 1 to 65535".to_owned()))
}

fn decode(text: &str, what: &str) -> Result<String, BadUrl> {
    unescape(text).ok_or_else(|| BadUrl(format!("a bad % escape in the {what}")))
}

fn unescape(text: &str) -> Option<String> {
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

/// The URL without password and parameters, for messages, whatever is wrong with it: what may be a password ends at the
/// last `@`, also where a `/` or `?` in it would end it for [`DatabaseUrl::parse`].
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".to_owned() };
    let (login, place) = rest.rsplit_once('@').map_or(("", rest), |(login, place)| (login, place));
    let user = login.split([':', '/', '?']).next().unwrap_or_default();
    let at = if place.len() < rest.len() { "@" } else { "" };
    let place = place.split('?').next().unwrap_or_default();
    format!("{scheme}://{user}{at}{place}")
}

/// The same server and login for another database, whose name needs no escape; an empty one is none.
pub fn with_database(url: &str, database: &str) -> String {
    let (place, query) =
        url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
    let (scheme, rest) = place.split_once("://").unwrap_or(("", place));
    format!("{scheme}://{}/{database}{query}", cut(rest).0)
}

/// `host:port`, as people write it.
pub fn place(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMES: [&str; 2] = ["db", "database"];

    fn why(url: &str) -> String {
        DatabaseUrl::parse(url, &SCHEMES).err().unwrap_or_else(|| panic!("{url}")).to_string()
    }

    #[test]
    fn every_part() {
        let url = DatabaseUrl::parse("database://m%65:p%40:s%2Fs@h:65/a%20b?x=%3F&&y=", &SCHEMES).unwrap();
        assert_eq!((url.user.as_str(), url.password.as_deref()), ("me", Some("p@:s/s")));
        assert_eq!((url.host.as_str(), url.port, url.database.as_str()), ("h", Some(65), "a b"));
        assert_eq!(url.parameters, [("x".to_owned(), "?".to_owned()), ("y".to_owned(), String::new())]);
        let url = DatabaseUrl::parse("db://a@b@[::1]", &SCHEMES).unwrap();
        assert_eq!((url.user.as_str(), url.host.as_str(), url.port), ("a@b", "::1", None));
        assert!(url.password.is_none() && url.database.is_empty() && url.parameters.is_empty());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (url, reason) in [
            ("other://a@b/c", "no db:// or database:// at the beginning"),
            ("a@b/c", "no db:// or database:// at the beginning"),
            ("db://h/d", "no user"),
            ("db://:p@h/d", "no user"),
            ("db://a@h:0/d", "a port that is not 1 to 65535"),
            ("db://a@h:/d", "a port that is not 1 to 65535"),
            ("db://a:%zz@h/d", "a bad % escape in the password"),
            ("db://a@h/d?key=%", "a bad % escape in the key"),
            ("db://a%00@h/d", "a bad % escape in the user"),
            ("db://a@h/d?x", "a parameter without a value"),
        ] {
            assert_eq!(why(url), reason, "{url}");
        }
    }

    /// Whatever a password is made of, it is in no message.
    #[test]
    fn no_password_is_shown() {
        for password in
            ["s3/cret", "s3?cret", "s3@cret", "s3:cret", "s3#cret", "/s3", "?s3=x&y", "12/s3", "@/s3?", "s3/x@y"]
        {
            let url = format!("db://me:{password}@h:7/d?password=s3");
            assert_eq!(without_password(&url), "db://me@h:7/d", "{url}");
            let refusal = DatabaseUrl::parse(&url, &SCHEMES).err().map(|bad| bad.to_string());
            let cut = password.contains(['/', '?']);
            assert_eq!(refusal.is_some_and(|text| text.contains("%2F") && !text.contains("s3")), cut, "{url}");
        }
        for (url, shown) in [
            ("db://me@h?password=s3@", "db://me@h@"),
            ("db://me@h/d?password=s3", "db://me@h/d"),
            ("db://h:7/d", "db://h:7/d"),
            ("db://me@", "db://me@"),
            ("me:s3@h", "(not a URL)"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn another_database_of_the_same_server() {
        for (url, other) in [
            ("db://me:p%40ss@h:6543/shop?mode=on", "db://me:p%40ss@h:6543/check?mode=on"),
            ("db://me@h", "db://me@h/check"),
            ("db://me@/shop?host=/run/db", "db://me@/check?host=/run/db"),
        ] {
            assert_eq!(with_database(url, "check"), other);
        }
        assert_eq!(with_database("db://me@h/shop?a=b", ""), "db://me@h/?a=b");
    }
}
