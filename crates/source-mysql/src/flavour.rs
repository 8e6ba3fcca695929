//! Which of the two servers speaks. Whatever differs between them asks here.

use std::fmt;

/// MySQL or MariaDB: one binlog format until 2012, two since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    MySql,
    MariaDb,
}

impl Flavour {
    /// What a server's version string tells: `10.11.19-MariaDB-log`, `5.5.5-10.11.19-MariaDB`, `9.7.4`. MariaDB has had its
    /// name in it since its first release (`sql/mysqld.cc`, `set_server_version`).
    pub fn of_version(version: &str) -> Self {
        if version.to_ascii_lowercase().contains("mariadb") { Self::MariaDb } else { Self::MySql }
    }

    /// The `connector` field of every event.
    pub const fn connector(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::MariaDb => "mariadb",
        }
    }

    /// Whether there are the types UUID, INET4 and INET6, which are BINARY(16) and BINARY(4) in the log. MySQL has no
    /// types of these names, and never will have stored them so.
    pub const fn has_fixed_types(self) -> bool {
        matches!(self, Self::MariaDb)
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Flavour;

    #[test]
    fn versions() {
        for version in ["10.11.19-MariaDB-0+deb12u1-log", "5.5.5-10.6.1-MARIADB", "11.8.9-MariaDB-4 from Debian"] {
            assert_eq!(Flavour::of_version(version), Flavour::MariaDb);
        }
        for version in ["9.7.4-2", "8.0.44-0ubuntu0.22.04.1", "8.4.7-7 Percona Server"] {
            assert_eq!(Flavour::of_version(version), Flavour::MySql);
        }
    }
}
