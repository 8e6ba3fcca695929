//! The page for people: rendered here, refreshed by a few lines that fetch it again. Nothing comes from elsewhere.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{Html, IntoResponse};

use super::{Admin, SnapshotStatus, State, Status, TableStatus, retention, schema};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

/// `GET /`
pub(super) async fn page(Extract(admin): Extract<Admin>) -> impl IntoResponse {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (headers, Html(render(&(admin.status)(), now)))
}

/// The whole page.
fn render(status: &Status, now: u64) -> String {
    let name = escape(&status.name);
    let state = if status.alive { status.state.as_str() } else { "dead" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} · {state}</title>\n<style>\n{STYLE}</style>\n\
         <noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>\n</head>\n<body>\n<main>\n\
         {}{}{}{}{}{}{}{}</main>\n<footer>{}</footer>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        head(status, state, now),
        trouble(status),
        schema::trouble(&status.held),
        retention::trouble(status.source.retention.as_ref()),
        facts(status, now),
        retention::section(status.source.retention.as_ref(), now),
        snapshots(&status.snapshots),
        tables(&status.tables),
        footer(status),
    )
}

fn head(status: &Status, state: &str, now: u64) -> String {
    let source = Some(status.source.connector.as_str()).filter(|connector| !connector.is_empty()).unwrap_or("database");
    let from = status
        .source
        .database
        .as_ref()
        .map_or_else(|| escape(source), |database| format!("{} <b>{}</b>", escape(source), escape(database)));
    let since = if status.since == 0 { String::new() } else { format!("for {}", span(now, status.since)) };
    format!(
        "<header>\n<div><h1>{}</h1>\n<p class=\"road\">{from} <i>→</i> Avro <i>→</i> Kafka <b>{}</b></p></div>\n\
         <div class=\"state {state}\"><span class=\"dot\"></span><b>{state}</b> <span>{since}</span></div>\n</header>\n",
        escape(&status.name),
        escape(&status.kafka.brokers.split(',').map(str::trim).collect::<Vec<_>>().join(", ")),
    )
}

/// What is wrong and what mends it; nothing when nothing is.
fn trouble(status: &Status) -> String {
    if status.alive && status.reason.is_none() && status.help.is_none() {
        return String::new();
    }
    let dead = "the engine has ended; restart the process".to_owned();
    let reason = status.reason.clone().or_else(|| (!status.alive).then_some(dead)).unwrap_or_default();
    let kind = if status.alive && status.state != State::Stopped { "waiting" } else { "stop" };
    let title = if kind == "stop" { "It needs you" } else { "It goes on by itself" };
    let help = status
        .help
        .as_ref()
        .map_or_else(String::new, |help| format!("<h3>What mends it</h3>\n<pre>{}</pre>\n", escape(help)));
    format!("<section class=\"trouble {kind}\">\n<h2>{title}</h2>\n<p>{}</p>\n{help}</section>\n", escape(&reason))
}

fn facts(status: &Status, now: u64) -> String {
    let source = &status.source;
    let nothing = || "–".to_owned();
    let lag = source.lag_seconds.map_or_else(nothing, duration);
    let rate = status.rows_per_second.map_or_else(nothing, |rate| group(rate.round() as u64));
    let commit = source.last_commit_time.map_or_else(nothing, |time| format!("{} ago", span(now, time)));
    let big = [
        ("Lag", lag, "from commit to durable event"),
        ("Rows per second", rate, "durable, lately"),
        ("Kafka transactions", group(status.kafka.transactions_committed), "committed since the start"),
        ("Last commit", commit, "in the database, as published"),
    ];
    let mut text = String::from("<section class=\"facts\">\n");
    for (title, value, note) in big {
        text.push_str(&format!(
            "<div><h2>{title}</h2><p class=\"value\">{}</p><p class=\"note\">{note}</p></div>\n",
            escape(&value)
        ));
    }
    text.push_str("</section>\n<section class=\"positions\">\n<dl>\n");
    let shown = |value: &Option<String>| value.as_deref().map_or_else(nothing, escape);
    for (title, value) in [
        ("Received", shown(&source.received_position)),
        ("Durable in Kafka", shown(&source.durable_position)),
        ("Server", shown(&source.server_identity)),
        ("Delivery", escape(&status.kafka.delivery)),
    ] {
        text.push_str(&format!("<div><dt>{title}</dt><dd>{value}</dd></div>\n"));
    }
    text.push_str("</dl>\n</section>\n");
    text
}

/// The copies that are not complete; nothing when there are none.
fn snapshots(copies: &[SnapshotStatus]) -> String {
    let open: Vec<&SnapshotStatus> = copies.iter().filter(|copy| copy.state != "complete").collect();
    if open.is_empty() {
        return String::new();
    }
    let complete = copies.len() - open.len();
    let mut text = format!(
        "<section class=\"snapshots\">\n<h2>Snapshots <span>{complete} of {} complete</span></h2>\n",
        copies.len()
    );
    for copy in open {
        // A bar without a value moves, as if something went on.
        let share = copy.share.or_else(|| (copy.state != "copying").then_some(0.0));
        let share = share.map_or_else(String::new, |share| format!(" value=\"{share:.3}\""));
        let of = copy.estimated_rows.map_or_else(String::new, |rows| format!(" of about {}", group(rows)));
        let rate = copy.rows_per_second.filter(|&rate| rate >= 1.0 && copy.state == "copying");
        let rate = rate.map_or_else(String::new, |rate| format!(" · {} rows/s", group(rate as u64)));
        let left = copy.seconds_left.map_or_else(String::new, |left| format!(" · {} left", duration(left)));
        text.push_str(&format!(
            "<div class=\"{0}\"><b>{1}</b> <progress{share}></progress> <span>{0} · {2}{of} rows{rate}{left}</span></div>\n",
            escape(&copy.state),
            escape(&copy.table),
            group(copy.rows),
        ));
    }
    text.push_str("</section>\n");
    text
}

fn tables(tables: &[TableStatus]) -> String {
    if tables.is_empty() {
        return "<section class=\"tables empty\"><p>No change of any table has been published since the start.</p></section>\n"
            .into();
    }
    let mut text = String::from(
        "<section class=\"tables\">\n<table>\n<thead><tr><th>Table</th><th>Topic</th><th>Inserts</th><th>Updates</th>\
         <th>Deletes</th><th>Truncates</th><th>Copied</th></tr></thead>\n<tbody>\n",
    );
    for table in tables {
        text.push_str(&format!("<tr><td>{}</td><td>{}</td>", escape(&table.name), escape(&table.topic)));
        for count in [table.inserts, table.updates, table.deletes, table.truncates, table.reads] {
            let class = if count == 0 { " class=\"zero\"" } else { "" };
            text.push_str(&format!("<td{class}>{}</td>", group(count)));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

fn footer(status: &Status) -> String {
    format!(
        "headwater {} · <a href=\"/status\">status</a> · <a href=\"/metrics\">metrics</a> · \
         <a href=\"/healthz\">health</a> · <a href=\"/readyz\">readiness</a><span id=\"lost\"></span>",
        escape(&status.version)
    )
}

/// Text that cannot become markup.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `1 234 567`, with thin spaces.
fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1.0 => format!("{:.0} ms", (seconds * 1000.0).max(0.0)),
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        _ => span(seconds as u64, 0),
    }
}

pub(super) fn span(now: u64, then: u64) -> String {
    let seconds = now.saturating_sub(then);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        let evil = "<script>alert('x')</script>\"&".to_owned();
        let status = Status {
            name: evil.clone(),
            version: evil.clone(),
            reason: Some(evil.clone()),
            help: Some(evil.clone()),
            tables: vec![TableStatus { name: evil.clone(), topic: evil.clone(), ..TableStatus::default() }],
            snapshots: vec![SnapshotStatus { table: evil.clone(), state: evil, ..SnapshotStatus::default() }],
            ..Status::default()
        };
        let page = render(&status, 10);
        assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(group(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(group(123), "123");
        assert_eq!(
            [duration(0.0421), duration(2.34), duration(75.0), duration(-3.0)],
            ["42 ms", "2.3 s", "75 s", "0 ms"]
        );
        assert_eq!(
            [span(10, 0), span(600, 0), span(90_000, 0), span(400_000, 0), span(1, 5)],
            ["10 s", "10 min", "25 h", "4 days", "0 s"]
        );
    }
}
