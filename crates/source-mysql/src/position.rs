//! The text of a position: a place between two transactions, or a cut inside one.
//!
//! `mysql=3e11fa47-…:1-77` and `mariadb=0-1-77` say which transactions were received, on whatever server; `file=bin.000003:154`
//! says up to where in one server's files, where the server does not number transactions. Behind it,
//! `;server=…;begin=bin.000003:1204;rows=17` says that of the next transaction, which begins there on that very server, the
//! first 17 rows of captured tables were received too. `;anew` stands behind a place that a person has chosen.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::gtid::{mariadb, mysql};

/// A position, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The transactions that were received whole.
    pub passed: Passed,
    /// How much of the next one was.
    pub cut: Option<Cut>,
    /// A person has put the pipeline here, over what lay between: what was noted of tables before holds no longer.
    pub anew: bool,
}

/// Transactions that were received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    MySql(mysql::GtidSet),
    MariaDb(mariadb::GtidSet),
    /// All that end at or before this place.
    File(FilePlace),
}

/// A place in the files of one server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FilePlace {
    pub file: String,
    /// Bytes from the file's beginning, where an event begins.
    pub offset: u64,
}

/// A place inside a transaction. Files are one server's own, so it means nothing to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which server: its `server_uuid`, or MariaDB's `server_id`.
    pub server: String,
    /// Where the transaction begins.
    pub begin: FilePlace,
    /// Rows of captured tables that were received, at least one.
    pub rows: u64,
}

impl FilePlace {
    /// Files are numbered by their extension, which grows from six digits to more.
    fn rank(&self) -> (u64, &str, u64) {
        let number = self.file.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        (number.unwrap_or(0), &self.file, self.offset)
    }
}

impl Ord for FilePlace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for FilePlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => write!(f, "mysql={set}"),
            Self::MariaDb(set) => write!(f, "mariadb={set}"),
            Self::File(place) => write!(f, "file={place}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.passed)?;
        if let Some(Cut { server, begin, rows }) = &self.cut {
            write!(f, ";server={server};begin={begin};rows={rows}")?;
        }
        if self.anew {
            f.write_str(";anew")?;
        }
        Ok(())
    }
}

/// A text that is no position of this source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position in a binlog (expected mysql=UUID:1-5, mariadb=0-1-5 or file=NAME:OFFSET)")]
pub struct ParsePlaceError(pub String);

impl FromStr for Place {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParsePlaceError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Place> {
    let mut parts = text.split(';');
    let passed = match parts.next()?.split_once('=')? {
        ("mysql", set) => Passed::MySql(set.parse().ok()?),
        ("mariadb", set) => Passed::MariaDb(set.parse().ok()?),
        ("file", place) => Passed::File(place.parse().ok()?),
        _ => return None,
    };
    let server = match parts.next() {
        None => return Some(Place { passed, cut: None, anew: false }),
        Some("anew") => return parts.next().is_none().then_some(Place { passed, cut: None, anew: true }),
        Some(server) => server,
    };
    let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=');
    let cut = Cut {
        server: server.strip_prefix("server=")?.to_owned(),
        begin: part("begin")?.parse().ok()?,
        rows: part("rows")?.parse().ok()?,
    };
    let whole = parts.next().is_none() && cut.rows > 0 && !cut.server.is_empty();
    whole.then_some(Place { passed, cut: Some(cut), anew: false })
}

impl FromStr for FilePlace {
    type Err = ParsePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParsePlaceError(text.to_owned());
        let (file, offset) = text.rsplit_once(':').ok_or_else(error)?;
        let digits = !offset.is_empty() && offset.bytes().all(|byte| byte.is_ascii_digit());
        match offset.parse() {
            Ok(offset) if digits && !file.is_empty() => Ok(Self { file: file.to_owned(), offset }),
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_strict() {
        for bad in [
            "",
            "mysql",
            "mysql=x",
            "mariadb=0-1",
            "file=a",
            "file=:4",
            "file=a:",
            "file=a:+4",
            "other=1",
            "file=a:4;server=x",
            "file=a:4;server=x;begin=a:4;rows=0",
            "file=a:4;server=;begin=a:4;rows=1",
            "file=a:4;server=x;begin=a:4;rows=1;",
            "file=a:4;anew;",
        ] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_are_in_the_order_of_their_numbers() {
        let place = |text: &str| text.parse::<FilePlace>().unwrap();
        let order = ["bin.000002:900", "bin.000010:4", "bin.000010:154", "bin.999999:4", "bin.1000000:4"].map(place);
        assert!(order.is_sorted());
    }

    #[test]
    fn round_trips() {
        for good in [
            "mysql=",
            "mysql=3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7",
            "mariadb=",
            "mariadb=0-1-77,1-2-3",
            "file=bin.000001:4",
            "file=C:bin.000001:4294967296",
            "mysql=;anew",
            "mariadb=0-1-77;server=1;begin=bin.000003:1204;rows=17",
        ] {
            assert_eq!(good.parse::<Place>().unwrap().to_string(), good);
        }
    }
}
