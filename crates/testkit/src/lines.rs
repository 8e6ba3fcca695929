//! What a source returns, as readable lines: `1/1 insert t - (1,one)`, `commit`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use change::{Identity, Kind, Moved, Position, Row, Source, SourceError, Statement, Step, Table, Value};

/// One step, and the place behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub text: String,
    pub position: Position,
}

/// How long a source may be silent before nothing more is expected of it.
const SILENCE: u32 = 4;
const WAIT: Duration = Duration::from_millis(50);
/// So many of the last lines are shown when what was waited for does not come.
const SHOWN: usize = 20;

/// Reads until `enough` says so.
pub fn read_until(
    source: &mut dyn Source,
    patience: Duration,
    mut enough: impl FnMut(&[Line]) -> bool,
) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    let begin = Instant::now();
    while !enough(&lines) {
        let last = &lines[lines.len().saturating_sub(SHOWN)..];
        ensure!(begin.elapsed() < patience, "only {} lines, the last are {last:#?}", lines.len());
        if let Some(text) = next(source)? {
            lines.push(Line { text, position: source.position() });
        }
    }
    Ok(lines)
}

/// Reads until nothing comes for a while.
pub fn read_silence(source: &mut dyn Source) -> Result<Vec<Line>> {
    let (mut lines, mut silent) = (Vec::new(), 0);
    while silent < SILENCE {
        match next(source)? {
            Some(text) => {
                silent = 0;
                lines.push(Line { text, position: source.position() });
            }
            None => silent += 1,
        }
    }
    Ok(lines)
}

/// So many transactions have ended.
pub fn commits(count: usize) -> impl FnMut(&[Line]) -> bool {
    move |lines| lines.iter().filter(|line| line.text == "commit").count() >= count
}

/// The texts of the lines that are changes.
pub fn changes(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).filter(|text| text.contains('/')).collect()
}

/// The next step as text; `None` when idle.
pub fn next(source: &mut dyn Source) -> Result<Option<String>, SourceError> {
    Ok(match source.next(WAIT)? {
        Step::Idle => None,
        Step::Begin(_) => Some("begin".to_owned()),
        Step::Chunk(_) => Some("chunk".to_owned()),
        Step::Progress { key, text } => Some(format!("progress {key} {text}")),
        Step::Commit { .. } => Some("commit".to_owned()),
        Step::Statement(Statement { table, text, moved, .. }) => {
            let one = |Moved { from, to }: &Moved| format!("{from}→{}", to.as_deref().unwrap_or_default());
            let moved = moved.as_ref().map(|moved| moved.iter().map(one).collect::<Vec<_>>().join(" "));
            Some(format!("statement {} [{}] {text}", table.table, moved.as_deref().unwrap_or("?")))
        }
        Step::Table(table) if table.identity == Identity::Index => {
            let key: Vec<&str> = table.key.iter().map(|&at| table.columns[at].name.as_str()).collect();
            Some(format!("table {} by {}", table.name, key.join(", ")))
        }
        Step::Table(table) => Some(format!("table {}", table.name)),
        Step::Change(change) => {
            let kind = match change.kind {
                Kind::Insert => "insert",
                Kind::Update => "update",
                Kind::Delete => "delete",
                Kind::Truncate => "truncate",
                Kind::Read => "read",
                Kind::Message => "message",
            };
            let key_only = if change.before_is_key_only { " key" } else { "" };
            Some(format!(
                "{}/{} {kind} {} {}{key_only} {}",
                change.total_order,
                change.table_order,
                change.table.name.table,
                show(change.before, change.table),
                show(change.after, change.table)
            ))
        }
    })
}

fn show(row: Option<&dyn Row>, table: &Table) -> String {
    let Some(row) = row else { return "-".to_owned() };
    let mut scratch = Vec::new();
    let columns: Vec<String> = (0..table.columns.len())
        .map(|index| {
            let text = row.text(index).map(str::to_owned);
            match row.value(index, &mut scratch) {
                Err(error) => format!("<{error}>"),
                Ok(Value::Null) => "null".to_owned(),
                Ok(Value::Absent(absence)) => format!("<{}>", absence.reason.name()),
                Ok(Value::Text(text)) => text.to_owned(),
                // What came in binary form has no text.
                Ok(Value::Long(number)) => text.unwrap_or_else(|| number.to_string()),
                Ok(_) => text.unwrap_or_else(|| "?".to_owned()),
            }
        })
        .collect();
    format!("({})", columns.join(","))
}
