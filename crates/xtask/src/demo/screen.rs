//! What the demonstration looks like: colours and a spinner on a terminal, plain lines otherwise.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::verdict::Verdict;

/// Where the demonstration is shown.
pub(super) struct Screen {
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal: std::io::stdout().is_terminal() && wanted }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.terminal { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Shows that something is under way until it is done.
    pub(super) fn during<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begin = Instant::now();
        let spinner = self.terminal.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
            spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        let result = work();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        let mark = if result.is_ok() { self.paint("32", "✓") } else { self.paint("31", "✗") };
        crate::say(&format!("{mark} {what} ({:.1} s)", begin.elapsed().as_secs_f64()));
        result
    }

    pub(super) fn title(&self, text: &str) {
        crate::say(&format!("\n{}\n", self.paint("1", text)));
    }

    pub(super) fn note(&self, text: &str) {
        crate::say(&self.paint("1;36", &format!("  ── {text}")));
    }

    pub(super) fn alarm(&self, text: &str) {
        crate::say(&self.paint("1;31", &format!("  ── {text}")));
    }

    /// One event: operation, table, key, what the row holds.
    pub(super) fn event(&self, op: &str, table: &str, row: &str) {
        let (word, code) = match op {
            "c" => ("insert", "32"),
            "u" => ("update", "33"),
            "d" => ("delete", "31"),
            _ => ("other", "35"),
        };
        crate::say(&format!("  {} {table:<10} {row}", self.paint(code, word)));
    }

    pub(super) fn verdict(&self, verdict: &Verdict, exit_code: i32) {
        for table in &verdict.tables {
            let line = format!(
                "{:<10} {:>5} rows in the table, {:>5} in the topic, {:>5} changes, {:>5} events, {} lost, {} duplicated, {} different",
                table.name,
                table.rows,
                table.topic_rows,
                table.changes,
                table.events,
                table.lost(),
                table.duplicated,
                table.different
            );
            crate::say(&format!("  {line}"));
        }
        crate::say(&format!("  headwater ended with exit code {exit_code} after SIGTERM"));
        let holds = verdict.holds() && exit_code == 0;
        let text =
            if holds { "exactly the tables' rows: 0 lost, 0 duplicated" } else { "THE TOPICS DIFFER FROM THE TABLES" };
        crate::say(&format!("\n{}\n", self.paint(if holds { "1;32" } else { "1;31" }, text)));
    }
}
