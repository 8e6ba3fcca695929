//! What the database keeps for the pipeline: its part of `/status`, and its sections of the page.

use std::time::Duration;

use change::{Holder, Retention, Severity, bytes_in_words, time_in_words};
use serde::Serialize;

use super::page::{escape, span};

/// `source.retention` of `/status`. Sizes are bytes, times are seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RetentionStatus {
    /// When the database was asked, since 1970. It does not move while the database cannot be asked.
    pub measured_at: u64,
    /// Who keeps the log: `slot shop`.
    pub keeper: String,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub status: &'static str,
    pub retained_bytes: u64,
    /// The part that is not confirmed; the rest is kept for somebody else's transaction.
    pub unconfirmed_bytes: u64,
    /// What may still be written before the slot may be lost; null without a limit.
    pub safe_bytes: Option<i64>,
    /// How fast the log is written.
    pub bytes_per_second: Option<f64>,
    /// Forecast, if what is kept goes on growing as lately; null if it does not grow.
    pub lost_in_seconds: Option<u64>,
    /// When the slot is lost if nothing were confirmed from now on.
    pub outage_in_hand_seconds: Option<u64>,
    pub disk: Option<DiskStatus>,
    pub oldest_transaction_seconds: Option<u64>,
    pub holders: Vec<HolderStatus>,
    pub concern: Option<ConcernStatus>,
}

/// The room that the configuration grants to the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    pub granted_bytes: u64,
    pub used_bytes: u64,
    pub full_in_seconds: Option<u64>,
}

/// Who holds log, or old versions of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HolderStatus {
    pub kind: &'static str,
    pub name: String,
    pub pid: Option<i32>,
    pub user: String,
    pub age_seconds: Option<u64>,
    pub state: String,
    /// Without its literals.
    pub query: String,
    pub holds_log: bool,
    pub holds_rows: bool,
    pub log_bytes: Option<u64>,
}

/// Why a person should look, and the exact next step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConcernStatus {
    /// `warning` or `problem`.
    pub severity: &'static str,
    pub what: String,
    pub help: String,
}

impl From<Retention> for RetentionStatus {
    fn from(retention: Retention) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
        Self {
            measured_at: u64::try_from(retention.measured_at / 1_000_000).unwrap_or(0),
            keeper: retention.keeper,
            status: retention.status.name(),
            retained_bytes: retention.retained_bytes,
            unconfirmed_bytes: retention.unconfirmed_bytes,
            safe_bytes: retention.safe_bytes,
            bytes_per_second: retention.written_per_second,
            lost_in_seconds: seconds(retention.lost_in),
            outage_in_hand_seconds: seconds(retention.outage_in_hand),
            disk: retention.disk.map(|disk| DiskStatus {
                granted_bytes: disk.granted_bytes,
                used_bytes: disk.used_bytes,
                full_in_seconds: seconds(disk.full_in),
            }),
            oldest_transaction_seconds: seconds(retention.oldest_transaction),
            holders: retention.holders.into_iter().map(HolderStatus::from).collect(),
            concern: retention.concern.map(|concern| ConcernStatus {
                severity: if concern.severity == Severity::Problem { "problem" } else { "warning" },
                what: concern.what,
                help: concern.help,
            }),
        }
    }
}

impl From<Holder> for HolderStatus {
    fn from(holder: Holder) -> Self {
        Self {
            kind: holder.kind,
            name: holder.name,
            pid: holder.pid,
            user: holder.user,
            age_seconds: holder.age.map(|age| age.as_secs()),
            state: holder.state,
            query: holder.query,
            holds_log: holder.holds_log,
            holds_rows: holder.holds_rows,
            log_bytes: holder.log_bytes,
        }
    }
}

/// What a person should know at once; nothing when all is well.
pub(super) fn trouble(retention: Option<&RetentionStatus>) -> String {
    let Some(concern) = retention.and_then(|retention| retention.concern.as_ref()) else { return String::new() };
    let kind = if concern.severity == "problem" { "stop" } else { "waiting" };
    let (what, help) = (escape(&concern.what), escape(&concern.help));
    format!(
        "<section class=\"trouble {kind}\">\n<h2>The database keeps log for us</h2>\n<p>{what}</p>\n<h3>What helps</h3>\n\
         <pre>{help}</pre>\n</section>\n"
    )
}

/// What is kept, how long that can go on, and who holds it.
pub(super) fn section(retention: Option<&RetentionStatus>, now: u64) -> String {
    let Some(retention) = retention else { return String::new() };
    let time = |seconds: Option<u64>| seconds.map_or_else(|| "–".to_owned(), |s| time_in_words(Duration::from_secs(s)));
    let safe = match retention.safe_bytes {
        Some(bytes) => bytes_in_words(u64::try_from(bytes).unwrap_or(0)),
        None => "no limit is set".to_owned(),
    };
    let mut facts = vec![
        ("Log kept for us", format!("{} ({})", bytes_in_words(retention.retained_bytes), retention.status)),
        ("May grow by", safe),
        ("Lost in, as it grows now", time(retention.lost_in_seconds)),
        ("An outage may last", time(retention.outage_in_hand_seconds)),
    ];
    if let Some(disk) = &retention.disk {
        let (used, granted) = (bytes_in_words(disk.used_bytes), bytes_in_words(disk.granted_bytes));
        facts.push(("The server's log", format!("{used} of {granted}")));
        facts.push(("Its room is full in", time(disk.full_in_seconds)));
    }
    facts.push(("Looked at", format!("{} ago", span(now, retention.measured_at))));
    let mut text = String::from("<section class=\"positions\">\n<dl>\n");
    for (title, value) in facts {
        text.push_str(&format!("<div><dt>{title}</dt><dd>{}</dd></div>\n", escape(&value)));
    }
    text.push_str("</dl>\n</section>\n");
    text + &holders(&retention.holders)
}

fn holders(holders: &[HolderStatus]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "<section class=\"tables\">\n<table>\n<thead><tr><th>Holds log or old rows</th><th>Statement</th><th>State</th>\
         <th>For</th><th>Holds</th></tr></thead>\n<tbody>\n",
    );
    for holder in holders {
        let pid = holder.pid.map_or_else(String::new, |pid| format!(" · pid {pid}"));
        let user = if holder.user.is_empty() { String::new() } else { format!(" · {}", holder.user) };
        let who = format!("{} {}{pid}{user}", holder.kind, holder.name);
        let age = holder.age_seconds.map_or_else(|| "–".to_owned(), |s| time_in_words(Duration::from_secs(s)));
        let log = holder.log_bytes.map_or_else(|| "log".to_owned(), bytes_in_words);
        let what = match (holder.holds_log, holder.holds_rows) {
            (true, true) => format!("{log}, rows"),
            (true, false) => log,
            (false, _) => "rows".to_owned(),
        };
        text.push_str("<tr>");
        for value in [&who, &holder.query, &holder.state, &age, &what] {
            text.push_str(&format!("<td>{}</td>", escape(value)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evil() -> RetentionStatus {
        let text = || "<b>&".to_owned();
        let holder = HolderStatus {
            name: text(),
            user: text(),
            state: text(),
            query: text(),
            holds_log: true,
            ..HolderStatus::default()
        };
        RetentionStatus {
            measured_at: 4,
            status: "reserved",
            retained_bytes: 3 << 30,
            safe_bytes: Some(-1),
            outage_in_hand_seconds: Some(11_520),
            disk: Some(DiskStatus { granted_bytes: 4 << 30, used_bytes: 1 << 30, full_in_seconds: Some(60) }),
            holders: vec![holder],
            concern: Some(ConcernStatus { severity: "problem", what: text(), help: text() }),
            ..RetentionStatus::default()
        }
    }

    #[test]
    fn the_page_has_words_and_no_foreign_markup() {
        let retention = evil();
        let page = trouble(Some(&retention)) + &section(Some(&retention), 10);
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;&amp;"), "{page}");
        for words in ["3.0 GiB (reserved)", "3 h 12 min", "1.0 GiB of 4.0 GiB", "6 s ago", "trouble stop", "0 bytes"] {
            assert!(page.contains(words), "{words} is missing in {page}");
        }
    }

    #[test]
    fn nothing_is_shown_of_nothing() {
        assert_eq!(trouble(None) + &section(None, 10), "");
        assert_eq!(trouble(Some(&RetentionStatus::default())), "");
    }
}
