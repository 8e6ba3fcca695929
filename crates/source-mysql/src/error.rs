//! What can go wrong between us and the server, and who must act: nobody (try again) or a person (stop).

use std::io;

use change::SourceError;

use crate::wire::WireError;
use crate::wire::reader::Reader;

/// An error message of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// MySQL's own number.
    pub code: u16,
    /// Empty where the server refuses before it knows who speaks.
    pub sqlstate: String,
    pub message: String,
}

impl ServerError {
    /// What an error packet says: an answer, or what a stream of events ends with. `None`: it is no error packet.
    pub fn of_packet(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new("error packet", body);
        if reader.u8() != Ok(0xff) {
            return None;
        }
        let code = reader.u16().unwrap_or_default();
        let mut sqlstate = String::new();
        if reader.peek().first() == Some(&b'#') {
            sqlstate = reader.take(6).map(|state| text(state.get(1..).unwrap_or_default())).unwrap_or_default();
        }
        Some(Self { code, sqlstate, message: text(reader.rest()) })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (error {}", self.message, self.code)?;
        if !self.sqlstate.is_empty() {
            write!(f, ", SQLSTATE {}", self.sqlstate)?;
        }
        f.write_str(")")
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection, not what went over it.
    #[error("{doing}: {error}")]
    Network { doing: String, error: io::Error },
    #[error("{doing}: {error}")]
    Server { doing: String, error: ServerError },
    #[error("{doing}: the server sent something that this version does not understand: {error}")]
    Wire { doing: String, error: WireError },
    /// Trying again may help.
    #[error("{0}")]
    Retry(String),
    /// A person must act.
    #[error("{what}")]
    Stop { what: String, help: String },
}

impl From<transport::Refused> for Error {
    fn from(refused: transport::Refused) -> Self {
        Self::Stop { what: refused.what, help: refused.help }
    }
}

impl Error {
    pub fn stop(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Stop { what: what.into(), help: help.into() }
    }

    pub fn network(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Network { doing, error }
    }

    /// For `map_err` in the row path: the text is made only when there is an error.
    pub fn wire(doing: impl Into<String>) -> impl FnOnce(WireError) -> Self {
        move |error| Self::Wire { doing: doing.into(), error }
    }

    /// The server's number, if it was the server who complained.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Server { error, .. } => Some(error.code),
            _ => None,
        }
    }
}

/// What passes by itself, by MySQL's numbers; both servers share those below 1900.
fn passes(error: &ServerError) -> bool {
    match error.code {
        // No room: connections, threads, memory, disk (the server itself waits for that one), an account's own limits.
        1040 | 1203 | 1226 | 1021 | 1037 | 1038 | 1041 | 1135 | 1637
        // The server goes down, is not up yet, or is offline for all but administrators.
        | 1053 | 1079 | 3032 | 3168
        // The network, as the server sees it; a broken handshake.
        | 1042 | 1043 | 1152 | 1158..=1161 | 1184
        // Locks, and a table that was altered while it was read.
        | 1205 | 1213 | 1412
        // Somebody ended the query or the connection, or a time limit did.
        | 1317 | 1927 | 1969 | 3024 | 3169 | 4031
        // What clients say of a lost connection; proxies say it too.
        | 2002 | 2003 | 2006 | 2013 | 2055 => true,
        // A reader with our number has come: our own successor, or a stranger that the next start names.
        1236 | 4052 if same_number(&error.message) => true,
        1047 | 1129 | 1130 => false,
        _ => error.sqlstate.starts_with("08") || error.sqlstate == "40001",
    }
}

/// The server wants to know who we are by a certificate, and does not accept ours, or misses it.
pub(crate) const CERTIFICATE: &str = "set ssl-cert and ssl-key in `url` to a certificate that the server trusts (its ssl_ca), \
     and that the account's REQUIRE clause names";

fn help(error: &ServerError) -> String {
    let message = error.message.as_str();
    let help = match error.code {
        1044 | 1142 | 1143 | 1227 | 1370 => return grant(error),
        1045 | 1698 => {
            "check `password` and the user in `url`, and that the account may log in from here (select user, host, plugin from \
             mysql.user); an account that requires TLS needs ssl-mode=REQUIRED or stronger"
        }
        1046 | 1049 => "check the database in `url`, or leave it out: it is not needed",
        1129 => "run FLUSH HOSTS on the server, and see in its log why connections from here failed",
        1130 => "create the account for this host: CREATE USER 'user'@'host' IDENTIFIED BY …",
        1153 | 1301 => "raise max_allowed_packet on the server (SET GLOBAL max_allowed_packet = 1073741824)",
        1236 => return log_gone(message).to_owned(),
        1251 => "give the account another plugin: ALTER USER 'user'@'host' IDENTIFIED WITH caching_sha2_password BY …",
        1820 | 1862 => "set a new password for the account: ALTER USER 'user'@'host' IDENTIFIED BY …",
        3118 | 4151 => "unlock the account: ALTER USER 'user'@'host' ACCOUNT UNLOCK",
        3159 => "use ssl-mode=REQUIRED or stronger in `url`: the server refuses connections without TLS",
        _ => "see the server's own log for more",
    };
    help.to_owned()
}

/// The statement that gives the right which the message misses.
fn grant(error: &ServerError) -> String {
    let message = error.message.as_str();
    let quoted =
        |name: &str| name.split('.').map(|part| format!("`{}`", part.trim_matches(['\'', '`']))).collect::<Vec<_>>();
    let right = match error.code {
        // Access denied for user 'u'@'h' to database 'd'
        1044 => between(message, "to database '", "'").map(|name| format!("SELECT ON `{name}`.*")),
        // SELECT command denied to user 'u'@'h' for table `d`.`t`, or 't' alone
        1142 => message.split_once(" command denied").and_then(|(right, rest)| {
            let table = quoted(rest.split_once("for table ")?.1);
            // MySQL does not tell the database.
            let database = if table.len() == 1 { "…." } else { "" };
            Some(format!("{right} ON {database}{}", table.join(".")))
        }),
        // Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation
        1227 => between(message, "(at least one of) the ", " privilege(s)")
            .and_then(|rights| rights.split(", ").flat_map(|part| part.split(" or ")).find(|right| *right != "SUPER"))
            .map(|right| format!("{right} ON *.*")),
        _ => None,
    };
    match right {
        Some(right) => format!("run: GRANT {right} TO the account (its name: SELECT CURRENT_USER())"),
        None => "grant the right that the message names to the account (its name: SELECT CURRENT_USER())".to_owned(),
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

fn same_number(message: &str) -> bool {
    ["same server_uuid", "same server_id"].iter().any(|words| message.contains(words))
}

/// The server has one number for everything that ends its reading of the log, and tells the cause in words (MySQL's
/// `sql/rpl_binlog_sender.cc`, MariaDB's `sql/sql_repl.cc`).
fn log_gone(message: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "purged",
        "Could not find first log file",
        "not in any binlog",
        "any binlog files",
        "not in the master's binlog",
    ]) {
        "the log that the position needs is gone. Connect to a server that still has it, or `headwater accept gap` goes on with \
         the oldest that is there; binlog_expire_logs_seconds says how long the log is kept"
    } else if says(&["anonymous transaction"]) {
        "it was written before GTIDs were on, and the server sends it to nobody now: SET GLOBAL gtid_mode = ON_PERMISSIVE until \
         the pipeline has read the log to its end, then ON again"
    } else if says(&["Binary log is not open", "binary logging is not enabled"]) {
        "turn the log on: log_bin in the server's configuration"
    } else if says(&["max_allowed_packet", "slave_max_allowed_packet"]) {
        "raise max_allowed_packet on the server (SET GLOBAL max_allowed_packet = 1073741824)"
    } else {
        "see the server's own log for more; if its binary log is damaged, connect to a replica"
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        match error {
            Error::Network { .. } | Error::Retry(_) => Self::Retry { what },
            Error::Server { error, .. } if passes(&error) => Self::Retry { what },
            Error::Server { error, .. } => Self::Stop { what, help: help(&error) },
            Error::Wire { .. } => Self::Stop {
                what,
                help: "please report this with the server's version; nothing was skipped and nothing is lost"
                    .to_owned(),
            },
            Error::Stop { what, help } => Self::Stop { what, help },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: u16, sqlstate: &str, message: &str) -> SourceError {
        let (sqlstate, message) = (sqlstate.to_owned(), message.to_owned());
        SourceError::from(Error::Server {
            doing: "connecting".to_owned(),
            error: ServerError { code, sqlstate, message },
        })
    }

    #[test]
    fn who_must_act() {
        for (code, state) in
            [(1040, "08004"), (1053, "08S01"), (1205, "HY000"), (1927, "70100"), (4031, "HY000"), (9999, "08S01")]
        {
            assert!(matches!(of(code, state, ""), SourceError::Retry { .. }), "{code}");
        }
        for (code, state) in [(1045, "28000"), (1049, "42000"), (1047, "08S01"), (1236, "HY000"), (1227, "42000")] {
            assert!(matches!(of(code, state, ""), SourceError::Stop { .. }), "{code}");
        }
    }

    #[test]
    fn the_missing_right_is_written_out() {
        for (code, message, expected) in [
            (1044, "Access denied for user 'hw'@'%' to database 'shop'", "GRANT SELECT ON `shop`.* TO"),
            (
                1142,
                "SELECT command denied to user 'hw'@'localhost' for table `shop`.`orders`",
                "GRANT SELECT ON `shop`.`orders` TO",
            ),
            (
                1142,
                "SELECT command denied to user 'hw'@'localhost' for table 'orders'",
                "GRANT SELECT ON ….`orders` TO",
            ),
            (
                1227,
                "Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation",
                "GRANT REPLICATION CLIENT ON *.* TO",
            ),
            (1227, "something else", "grant the right that the message names"),
        ] {
            let SourceError::Stop { help, .. } = of(code, "42000", message) else { panic!("{code}") };
            assert!(help.contains(expected), "{help}");
        }
    }

    #[test]
    fn packets() {
        let error = ServerError::of_packet(b"\xff\x15\x04#28000Access denied").unwrap();
        assert_eq!((error.code, error.sqlstate.as_str(), error.message.as_str()), (1045, "28000", "Access denied"));
        let early = ServerError::of_packet(b"\xff\x10\x04Too many connections").unwrap();
        assert_eq!((early.code, early.to_string().as_str()), (1040, "Too many connections (error 1040)"));
        assert_eq!(ServerError::of_packet(b"\x00"), None);
        assert_eq!(ServerError::of_packet(b""), None);
        assert!(ServerError::of_packet(b"\xff\x01").is_some());
        assert!(ServerError::of_packet(b"\xff\x01\x01#12").is_some());
    }
}
