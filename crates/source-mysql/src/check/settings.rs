//! The server's settings: which of them the log needs, and which make it better.

use std::collections::BTreeMap;
use std::time::Duration;

use change::{Finding, bytes_in_words, time_in_words};

use super::{good, problem, warning};
use crate::catalog::Server;
use crate::flavour::Flavour;

/// What is asked beside [`Server`].
pub(super) const NAMES: [&str; 15] = [
    "server_id",
    "gtid_mode",
    "enforce_gtid_consistency",
    "gtid_strict_mode",
    "binlog_expire_logs_seconds",
    "binlog_expire_logs_auto_purge",
    "expire_logs_days",
    "max_binlog_total_size",
    "binlog_space_limit",
    "max_allowed_packet",
    "binlog_transaction_compression",
    "log_bin_compress",
    "log_replica_updates",
    "log_slave_updates",
    "gtid_slave_pos",
];

/// A pipeline that was down for a night or a long weekend should find its log: less than a day is too little.
const SHORTEST: u64 = 86_400;
/// What is proposed: a week.
const PROPOSED: u64 = 604_800;

/// Settings by name; one that the server does not have is missing.
pub(super) type Known = BTreeMap<String, String>;

pub(super) fn check(server: &Server, known: &Known) -> Vec<Finding> {
    let look = Look { server, known };
    let mut findings = vec![look.version(), look.log_bin(), look.server_id(), look.format()];
    findings.extend([look.image(), look.metadata(), look.numbers(), look.kept(), look.packet()]);
    findings.extend(look.limited());
    findings.extend(look.compression());
    findings
}

struct Look<'a> {
    server: &'a Server,
    known: &'a Known,
}

impl Look<'_> {
    fn text(&self, name: &str) -> &str {
        self.known.get(name).map_or("", String::as_str)
    }

    fn is_on(&self, name: &str) -> bool {
        matches!(self.text(name).to_ascii_uppercase().as_str(), "ON" | "1")
    }

    fn is_mysql(&self) -> bool {
        self.server.flavour == Flavour::MySql
    }

    /// The statement that changes a setting, so that it outlives the server's restart.
    fn set(&self, name: &str, value: &str) -> String {
        if self.is_mysql() {
            format!("SET PERSIST {name} = {value};")
        } else {
            format!("SET GLOBAL {name} = {value}; -- and {name} = {value} in the server's configuration file")
        }
    }

    fn version(&self) -> Finding {
        match self.server.too_old() {
            None => good("version", format!("{} {}", self.server.flavour, self.server.version)),
            Some(what) => problem("version", what, "upgrade the server"),
        }
    }

    fn log_bin(&self) -> Finding {
        if self.server.log_bin {
            return good("log_bin", "the log is on");
        }
        let help = "put log_bin = binlog under [mysqld] in the server's configuration file, and restart it";
        problem("log_bin", "is OFF: the server writes no log that changes could be read from", help)
    }

    fn server_id(&self) -> Finding {
        match self.text("server_id") {
            "0" => problem("server_id", "is 0: such a server lets nobody read its log", self.set("server_id", "1")),
            number => good("server_id", format!("the server's own is {number}")),
        }
    }

    fn format(&self) -> Finding {
        let format = &self.server.format;
        if format.eq_ignore_ascii_case("ROW") {
            return good(
                "binlog_format",
                "ROW; a session can choose another one for itself, which is seen in the log only",
            );
        }
        let what = format!("is {format}: statements are logged, not the rows that they change");
        let help = self.set("binlog_format", "'ROW'");
        let also = if help.contains(" -- ") { "; " } else { " -- " };
        problem(
            "binlog_format",
            what,
            format!("{help}{also}then let applications reconnect: open sessions keep the old one"),
        )
    }

    fn image(&self) -> Finding {
        let image = &self.server.image;
        if self.server.logs_whole_rows() {
            return good("binlog_row_image", format!("{image}: `before` and `after` are whole rows"));
        }
        let what =
            format!("is {image}: what an update leaves out of the log is null in its event, and listed in `absent`");
        warning("binlog_row_image", what, self.set("binlog_row_image", "'FULL'"))
    }

    fn metadata(&self) -> Finding {
        let metadata = &self.server.metadata;
        if metadata.eq_ignore_ascii_case("FULL") {
            return good("binlog_row_metadata", "FULL: the log says what its rows mean");
        }
        let what = if metadata.is_empty() {
            "is not known to this server".to_owned()
        } else {
            format!(
                "is {metadata}: names of columns are asked of the catalogue, which can be ahead of the log. While headwater is \
                 behind more than one ALTER TABLE of a table, rows can get newer names, or stop the pipeline"
            )
        };
        warning("binlog_row_metadata", what, self.set("binlog_row_metadata", "'FULL'"))
    }

    /// Whether positions are numbers of transactions, and good ones.
    fn numbers(&self) -> Finding {
        if !self.is_mysql() {
            return if self.is_on("gtid_strict_mode") {
                good("gtid_strict_mode", "ON")
            } else {
                let what = "is OFF: a transaction that somebody writes on a replica can have the number of another one, and \
                            positions are made of these numbers";
                warning("gtid_strict_mode", what, self.set("gtid_strict_mode", "ON"))
            };
        }
        if self.server.gtids {
            return good("gtid_mode", "ON: positions hold on every server of the topology");
        }
        let mode = self.text("gtid_mode").to_ascii_uppercase();
        let what = format!(
            "is {mode}: a position is a place in the files of this one server, and after a failover or a restored backup no \
             pipeline can go on; tables that are copied are locked against writers for moments"
        );
        warning("gtid_mode", what, self.steps(&mode))
    }

    /// The way to GTIDs, online, from where the server is on it.
    fn steps(&self, mode: &str) -> String {
        let consistency = self.text("enforce_gtid_consistency").to_ascii_uppercase();
        let mut steps = Vec::new();
        if !matches!(consistency.as_str(), "ON" | "1") {
            steps.push(
                "SET PERSIST enforce_gtid_consistency = WARN; -- for a day: the server's error log must stay without its warnings",
            );
            steps.push("SET PERSIST enforce_gtid_consistency = ON;");
        }
        if !matches!(mode, "OFF_PERMISSIVE" | "ON_PERMISSIVE") {
            steps.push("SET PERSIST gtid_mode = OFF_PERMISSIVE;");
        }
        if mode != "ON_PERMISSIVE" {
            steps.push(
                "SET PERSIST gtid_mode = ON_PERMISSIVE; -- until SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0",
            );
        }
        steps.push("SET PERSIST gtid_mode = ON; -- each step on every server of the topology before the next one");
        steps.join("\n")
    }

    /// How long an outage of the pipeline may last.
    fn kept(&self) -> Finding {
        const NAME: &str = "binlog_expire_logs_seconds";
        const AUTO: &str = "binlog_expire_logs_auto_purge";
        let number =
            |name: &str| self.text(name).parse::<f64>().ok().filter(|number| *number > 0.0).unwrap_or_default();
        // The older setting counts days, MariaDB's with fractions; a server has only one of the two in effect.
        let seconds = Duration::from_secs_f64(number(NAME).max(number("expire_logs_days") * 86_400.0));
        let auto = self.known.get(AUTO).is_none_or(|_| self.is_on(AUTO));
        if seconds.is_zero() || !auto {
            let what =
                "the log is never purged: no outage of headwater is too long, but the log fills the server's disk";
            let help = if auto { self.set(NAME, "2592000") } else { self.set(AUTO, "ON") };
            return warning(NAME, what, help);
        }
        let what = format!("the log is kept for {}: so long may an outage of headwater last", time_in_words(seconds));
        if seconds.as_secs() < SHORTEST {
            warning(NAME, what, self.set(NAME, &PROPOSED.to_string()))
        } else {
            good(NAME, what)
        }
    }

    /// A limit of the log's size ends what the limit of its age promises.
    fn limited(&self) -> Option<Finding> {
        ["max_binlog_total_size", "binlog_space_limit"].into_iter().find_map(|name| {
            let size: u64 = self.text(name).parse().ok().filter(|size| *size > 0)?;
            let what = format!("the log is purged above {}, however young it is", bytes_in_words(size));
            Some(warning(name, what, self.set(name, "0")))
        })
    }

    fn packet(&self) -> Finding {
        let Ok(bytes) = self.text("max_allowed_packet").parse() else {
            return good("max_allowed_packet", "is not told");
        };
        let bytes = bytes_in_words(bytes);
        good(
            "max_allowed_packet",
            format!("{bytes}: headwater holds one event in memory, whose rows can have twice that"),
        )
    }

    fn compression(&self) -> Option<Finding> {
        ["binlog_transaction_compression", "log_bin_compress"]
            .into_iter()
            .find(|name| self.is_on(name))
            .map(|name| good(name, "ON: compressed events are read"))
    }
}

#[cfg(test)]
mod tests {
    use change::Severity;

    use super::*;

    fn server(flavour: Flavour, version: &str) -> Server {
        let text = |text: &str| text.to_owned();
        Server {
            flavour,
            version: text(version),
            identity: text("1"),
            gtids: false,
            log_bin: true,
            format: text("ROW"),
            image: text("FULL"),
            metadata: text("FULL"),
            folds_names: false,
        }
    }

    fn of(flavour: Flavour, version: &str, settings: &[(&str, &str)], subject: &str) -> Finding {
        let known = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let findings = check(&server(flavour, version), &known);
        findings.into_iter().find(|finding| finding.subject == subject).unwrap()
    }

    #[test]
    fn versions() {
        for (flavour, version, severity) in [
            (Flavour::MySql, "8.0.44-0ubuntu0.22.04.1", Severity::Good),
            (Flavour::MySql, "5.7.44", Severity::Problem),
            (Flavour::MariaDb, "10.6.1-MariaDB", Severity::Good),
            (Flavour::MariaDb, "10.5.29-MariaDB", Severity::Problem),
            (Flavour::MariaDb, "12.0.2-MariaDB", Severity::Good),
        ] {
            assert_eq!(of(flavour, version, &[], "version").severity, severity, "{version}");
        }
    }

    #[test]
    fn the_steps_to_gtids_begin_where_the_server_is() {
        for (mode, consistency, steps) in
            [("OFF", "OFF", 5), ("OFF", "ON", 3), ("OFF_PERMISSIVE", "ON", 2), ("ON_PERMISSIVE", "ON", 1)]
        {
            let settings = [("gtid_mode", mode), ("enforce_gtid_consistency", consistency)];
            let found = of(Flavour::MySql, "8.4.7", &settings, "gtid_mode");
            assert_eq!(found.severity, Severity::Warning);
            assert_eq!(found.help.unwrap().lines().count(), steps, "{mode} {consistency}");
        }
    }

    #[test]
    fn how_long_the_log_is_kept() {
        const NAME: &str = "binlog_expire_logs_seconds";
        for (settings, severity, says) in [
            (&[(NAME, "2592000"), ("binlog_expire_logs_auto_purge", "ON")][..], Severity::Good, "30 days"),
            (&[(NAME, "2592000"), ("binlog_expire_logs_auto_purge", "OFF")], Severity::Warning, "never"),
            (&[(NAME, "3600")], Severity::Warning, "1 h 0 min"),
            (&[(NAME, "0"), ("expire_logs_days", "0.500000")], Severity::Warning, "12 h"),
            (&[(NAME, "0"), ("expire_logs_days", "10")], Severity::Good, "10 days"),
            (&[(NAME, "0"), ("expire_logs_days", "0.000000")], Severity::Warning, "never"),
        ] {
            let found = of(Flavour::MySql, "8.0.44", settings, NAME);
            assert_eq!(found.severity, severity, "{settings:?}");
            assert!(found.what.contains(says), "{}", found.what);
        }
    }
}
