//! `headwater snapshot`: asks the running process how far its copies are, and what a person wishes of them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Deserialize;

use super::process::Process;
use crate::admin::{Action, Command, SnapshotStatus};
use crate::cli::{Output, Snapshot};
use crate::config::Config;
use crate::failure::Failure;
use crate::output;

/// How often a copy that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Obeys the command line.
pub fn run(config: &Config, arguments: &Snapshot) -> Result<(), Failure> {
    let process = Process::new(config)?;
    let tables = || arguments.tables.iter().cloned().map(Some);
    let wishes: Vec<(Action, Option<String>)> = match (arguments.pause, arguments.resume) {
        (false, false) => tables().map(|table| (Action::Again, table)).collect(),
        (pause, _) => {
            let action = if pause { Action::Pause } else { Action::Resume };
            if arguments.tables.is_empty() {
                vec![(action, None)]
            } else {
                tables().map(|table| (action, table)).collect()
            }
        }
    };
    for (action, table) in &wishes {
        let condition = arguments.condition.clone();
        let done = process.command("/snapshot", &Command { action: *action, table: table.clone(), condition })?;
        output::print_error(&done);
    }
    if arguments.wait {
        return wait(&process, &arguments.tables);
    }
    if wishes.is_empty() {
        let copies = process.status::<Status>()?;
        match arguments.query.output.output {
            Output::Json => {
                let text = serde_json::to_string_pretty(&copies.snapshots)
                    .map_err(|error| Failure::unexpected(error.to_string()))?;
                output::print(&format!("{text}\n"));
            }
            Output::Human => output::print(&describe(&copies)),
        }
    }
    Ok(())
}

/// The part of `/status` that is about copies.
#[derive(Deserialize)]
struct Status {
    name: String,
    snapshots: Vec<SnapshotStatus>,
}

fn describe(status: &Status) -> String {
    if status.snapshots.is_empty() {
        return format!("pipeline {} copies no table\n", status.name);
    }
    let title = ["TABLE", "STATE", "ROWS", "OF ABOUT", "DONE", "ROWS/S", "LEFT"].map(str::to_owned).to_vec();
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    let rows = status.snapshots.iter().map(|copy| {
        vec![
            copy.table.clone(),
            copy.state.clone(),
            copy.rows.to_string(),
            number(copy.estimated_rows),
            copy.share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
            number(copy.rows_per_second.map(|rate| rate as u64)),
            copy.seconds_left.map_or_else(|| "-".to_owned(), |left| span(left as u64)),
        ]
    });
    output::columns(&std::iter::once(title).chain(rows).collect::<Vec<_>>())
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Shows bars until all these copies (none: all that there are) are complete. Leaving it stops no copy.
fn wait(process: &Process, tables: &[String]) -> Result<(), Failure> {
    let bars = MultiProgress::new();
    let mut shown: BTreeMap<String, ProgressBar> = BTreeMap::new();
    let mut said = Instant::now();
    loop {
        let status = process.status::<Status>()?;
        let meant = |copy: &&SnapshotStatus| tables.is_empty() || tables.contains(&copy.table);
        let open: Vec<&SnapshotStatus> =
            status.snapshots.iter().filter(meant).filter(|copy| copy.state != "complete").collect();
        for copy in status.snapshots.iter().filter(meant) {
            let is_open = copy.state != "complete";
            if is_open || shown.contains_key(&copy.table) {
                let bar = shown.entry(copy.table.clone()).or_insert_with(|| bars.add(bar(copy)));
                bar.set_position(copy.rows);
                bar.set_message(message(copy));
                if !is_open {
                    bar.finish();
                }
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        if bars.is_hidden() && said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            output::print_error(describe(&status).trim_end());
        }
        thread::sleep(LOOK);
    }
}

fn bar(copy: &SnapshotStatus) -> ProgressBar {
    let (bar, form) = match copy.estimated_rows {
        Some(rows) => (ProgressBar::new(rows), "{prefix:30} {bar:30} {human_pos}/{human_len} {msg}"),
        None => (ProgressBar::new_spinner(), "{prefix:30} {spinner} {human_pos} rows {msg}"),
    };
    let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_prefix(copy.table.clone())
}

fn message(copy: &SnapshotStatus) -> String {
    match (copy.state.as_str(), copy.seconds_left) {
        ("copying", Some(left)) => format!("{} left", span(left as u64)),
        ("copying", None) => String::new(),
        (state, _) => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_a_table_for_people() {
        let copy = |table: &str, state: &str, rows, estimated_rows| SnapshotStatus {
            table: table.to_owned(),
            state: state.to_owned(),
            rows,
            estimated_rows,
            ..SnapshotStatus::default()
        };
        let going = SnapshotStatus {
            share: Some(0.5),
            rows_per_second: Some(100.4),
            seconds_left: Some(121.0),
            ..copy("public.orders", "copying", 12_100, Some(24_200))
        };
        let snapshots = vec![going, copy("public.items", "waiting", 0, None)];
        insta::assert_snapshot!(describe(&Status { name: "shop".to_owned(), snapshots }), @r"
        TABLE          STATE    ROWS   OF ABOUT  DONE  ROWS/S  LEFT
        public.orders  copying  12100  24200     50 %  100     2 min
        public.items   waiting  0      -         -     -       -
        ");
        assert_eq!(
            describe(&Status { name: "shop".to_owned(), snapshots: Vec::new() }),
            "pipeline shop copies no table\n"
        );
    }
}
