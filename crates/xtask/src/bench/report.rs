//! Results as JSON lines for programs, and as a table for people.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// The measurements of one command.
pub(super) struct Report {
    bench: String,
    rows: Vec<Map<String, Value>>,
}

impl Report {
    pub(super) fn new(bench: &str) -> Self {
        Self { bench: bench.to_owned(), rows: Vec::new() }
    }

    /// Prints one measurement as a JSON line and keeps it for the table.
    pub(super) fn add(&mut self, what: &str, values: &Value) {
        let mut row = Map::from_iter([("bench".to_owned(), json!(self.bench)), ("what".to_owned(), json!(what))]);
        row.extend(values.as_object().cloned().unwrap_or_default());
        crate::say(&Value::Object(row.clone()).to_string());
        self.rows.push(row);
    }

    /// Prints all of them below one another.
    pub(super) fn table(&self) {
        let mut columns: Vec<&String> = Vec::new();
        for name in self.rows.iter().flat_map(Map::keys).filter(|name| *name != "bench") {
            if !columns.contains(&name) {
                columns.push(name);
            }
        }
        let head = columns.iter().map(|name| (*name).clone()).collect();
        let body = self
            .rows
            .iter()
            .map(|row| columns.iter().map(|name| row.get(*name).map_or_else(String::new, show)).collect());
        let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        crate::say("");
        for line in &lines {
            let cells = line.iter().zip(&widths).enumerate();
            let cells = cells
                .map(|(at, (cell, width))| if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
            crate::say(&cells.collect::<Vec<_>>().join("  "));
        }
    }
}

fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The smallest sample that at least the given share of the samples does not exceed; `samples` need no order.
pub(super) fn quantile(samples: &[Duration], share: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort();
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

pub(super) fn milliseconds(duration: Duration) -> Value {
    rounded(duration.as_secs_f64() * 1e3, 2)
}

/// A number with so many digits after the point.
pub(super) fn rounded(number: f64, digits: i32) -> Value {
    let scale = 10f64.powi(digits);
    json!((number * scale).round() / scale)
}

pub(super) fn per_second(rows: u64, time: Duration) -> Value {
    json!((rows as f64 / time.as_secs_f64()).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&samples, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&samples, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
