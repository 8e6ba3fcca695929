//! The only place that prints. What is data goes to standard output, what is for a person's eyes to standard error.

use std::io::{IsTerminal, Write};

/// Writes text to standard output. A reader that has gone away (`| head`) is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if written.is_err() {
        tracing::debug!("standard output is closed");
    }
}

/// Writes a message to standard error, in the way of `error: …`.
pub fn print_error(text: &str) {
    let mut out = std::io::stderr().lock();
    if writeln!(out, "{text}").is_err() {
        tracing::debug!("standard error is closed");
    }
}

/// Whether a person reads standard output.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether standard output shows colours: a terminal, and `NO_COLOR` is not set.
pub fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text with names of somebody else's in it as one line that does nothing: no escape of the terminal's, and no command of a
/// CI system that reads the output (`::error::`, `##[error]`).
pub fn one_line(text: &str) -> String {
    let shown = text.chars().map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    });
    shown.collect::<String>().replace("##", "# #")
}

/// A table of columns for a terminal, with two spaces between.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_begin_a_line_or_command_the_reader() {
        let evil = "x\n::stop-commands::t\r\u{1b}[2J ##[error]ü";
        assert_eq!(one_line(evil), "x ::stop-commands::t \u{fffd}[2J # #[error]ü");
    }
}
