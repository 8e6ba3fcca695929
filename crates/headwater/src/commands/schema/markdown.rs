//! The report as Markdown for a pull request, and as annotations of GitHub Actions.

use std::io::Write as _;
use std::path::Path;

use event_avro::compatibility::{Finding, Verdict};

use super::report::{Change, Report, SubjectReport, TableReport};
use crate::failure::Failure;
use crate::output::one_line;

/// A comment: one table for each table that changes.
pub(super) fn comment(report: &Report) -> String {
    let mut text = format!("## headwater schema check: {}\n\n{}.\n", report.verdict, report.summary());
    for table in &report.tables {
        text.push_str(&one_table(table));
    }
    if !report.not_checked.is_empty() {
        let names: Vec<String> = report.not_checked.iter().map(|name| code(name)).collect();
        text.push_str(&format!("\nNot looked at: {}.\n", names.join(", ")));
    }
    text
}

fn one_table(table: &TableReport) -> String {
    let change = match table.change {
        Change::Changed => "",
        Change::New => ", new",
        Change::Dropped => ", dropped",
    };
    let (name, verdict) = (code(&table.table), table.verdict);
    let mut text = format!("\n### {name}{change}: {verdict}\n\n{}\n", prose(&table.sentence, code));
    if !table.findings.is_empty() {
        text.push_str(
            "\n| verdict | column | what changes | a running consumer | a replaying consumer | what to do |\n\
             |---|---|---|---|---|---|\n",
        );
        table.findings.iter().for_each(|finding| text.push_str(&row(finding)));
    }
    if !table.subjects.is_empty() {
        text.push_str("\n| subject | level | the registry | our evaluation of its level |\n|---|---|---|---|\n");
        for SubjectReport { subject, level, local, registry } in &table.subjects {
            let subject = code_in_cell(subject);
            text.push_str(&format!("| {subject} | {level} | {} | {} |\n", registry.word(), local.word()));
        }
    }
    for note in &table.notes {
        text.push_str(&format!("\nNote: {}.\n", prose(note, code)));
    }
    text
}

fn row(finding: &Finding) -> String {
    let column = finding.column.as_deref().map(code_in_cell).unwrap_or_default();
    let cell = |text: &str| prose(text, code_in_cell);
    format!(
        "| **{}** | {column} | {} | {} | {} | {} |\n",
        finding.verdict,
        cell(&finding.what),
        cell(&finding.running),
        cell(&finding.replaying),
        cell(&finding.advice)
    )
}

/// Sentences of ours with other people's names in backticks. What stands between two backticks is shown as code, and all that
/// does not is taken literally: a name that has backticks of its own is shown in pieces, but none of them is Markdown.
fn prose(text: &str, code: fn(&str) -> String) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    let mut prose = String::with_capacity(text.len());
    for (index, piece) in pieces.iter().enumerate() {
        // Every second piece begins at a backtick; the last one may have no other to end it.
        match index % 2 {
            0 => prose.push_str(&literal(piece)),
            _ if index + 1 == pieces.len() => prose.push_str(&format!("\\`{}", literal(piece))),
            _ if piece.is_empty() => prose.push_str("\\`\\`"),
            _ => prose.push_str(&code(piece)),
        }
    }
    prose
}

/// Text that is no Markdown, in a cell of a table or elsewhere, and calls nobody (`@name`).
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '<' => literal.push_str("&lt;"),
            '&' => literal.push_str("&amp;"),
            '@' => literal.push_str("@\u{200b}"),
            '\\' | '|' | '*' | '_' | '[' | ']' | '~' | '#' | '!' => literal.extend(['\\', c]),
            c => literal.push(c),
        }
    }
    literal
}

/// A code span: a fence longer than any run of backticks in it, and the text as it is.
fn code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    // One blank at each end is taken off again.
    let blank = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// The same in a cell, where a bar is escaped even in code. A backslash in front of one would escape the escape, so it is
/// doubled, and shown twice.
fn code_in_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    let mut backslashes = 0;
    for c in code(text).chars() {
        if c == '|' {
            cell.push_str(&"\\".repeat(backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        cell.push(c);
    }
    cell
}

/// Workflow commands: an error for each finding that fails the check, a warning for the others that are not safe. `file`: the
/// migration, if it is one.
pub(super) fn annotations(report: &Report, file: Option<&Path>) -> String {
    let mut text = String::new();
    for table in &report.tables {
        for finding in table.findings.iter().filter(|finding| finding.verdict > Verdict::Safe) {
            let command = if finding.verdict >= report.fail_on { "error" } else { "warning" };
            let file = file.map(|file| format!("file={},", property(&file.display().to_string()))).unwrap_or_default();
            let title = property(&format!("{}: {}", table.table, finding.verdict));
            let message = format!(
                "{}\nrunning: {}\nreplaying: {}\nto do: {}",
                finding.what, finding.running, finding.replaying, finding.advice
            );
            text.push_str(&format!("::{command} {file}title={title}::{}\n", data(&message)));
        }
    }
    text.push_str(&format!("{}\n", report.summary()));
    text
}

/// What a workflow command's text has to escape.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The same for one of its properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Adds the comment to the job's summary, where GitHub says that there is one.
pub(super) fn summarise(report: &Report) -> Result<(), Failure> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    let text = format!("{}\n", comment(report));
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| {
        Failure::unexpected(format!("cannot write GITHUB_STEP_SUMMARY ({}): {error}", Path::new(&path).display()))
    })
}

#[cfg(test)]
mod tests {
    use event_avro::compatibility::level::Level;

    use super::*;
    use crate::commands::schema::report::{Answer, evil};

    fn report() -> Report {
        let finding = |verdict, column: Option<&str>, what: &str| Finding {
            rule: "rule",
            column: column.map(str::to_owned),
            verdict,
            what: what.to_owned(),
            running: "sees 100%\nof it".to_owned(),
            replaying: "sees a|b".to_owned(),
            advice: "ask".to_owned(),
        };
        let findings = vec![
            finding(Verdict::CorruptsSilently, Some("a|b"), "`a|b` is worse"),
            finding(Verdict::SafeIfAgreed, None, "the table changes"),
            finding(Verdict::Safe, Some("c"), "`c` is new"),
        ];
        let answer = |compatible| Answer { compatible, messages: Vec::new() };
        let table = TableReport {
            table: "public.t".to_owned(),
            topic: "shop.public.t".to_owned(),
            change: Change::Changed,
            verdict: Verdict::CorruptsSilently,
            sentence: "Do not.".to_owned(),
            findings,
            subjects: vec![SubjectReport {
                subject: "shop.public.t-value".to_owned(),
                level: Level::Full,
                local: answer(true),
                registry: answer(false),
            }],
            notes: vec!["a note".to_owned()],
        };
        Report::new(Verdict::BreaksReplay, vec![table], vec!["public.u".to_owned()], Vec::new())
    }

    #[test]
    fn a_comment_has_a_table() {
        insta::assert_snapshot!(comment(&report()), @r#"
## headwater schema check: corrupts-silently

corrupts-silently: 1 of 2 tables change.

### `public.t`: corrupts-silently

Do not.

| verdict | column | what changes | a running consumer | a replaying consumer | what to do |
|---|---|---|---|---|---|
| **corrupts-silently** | `a\|b` | `a\|b` is worse | sees 100% of it | sees a\|b | ask |
| **safe-if-agreed** |  | the table changes | sees 100% of it | sees a\|b | ask |
| **safe** | `c` | `c` is new | sees 100% of it | sees a\|b | ask |

| subject | level | the registry | our evaluation of its level |
|---|---|---|---|
| `shop.public.t-value` | FULL | refuses | accepts |

Note: a note.
"#);
    }

    #[test]
    fn names_are_shown_as_they_are_and_are_no_markdown() {
        for (name, expected) in [
            ("a|b", "`a\\|b`"),
            ("a\\b", "`a\\b`"),
            ("a\\|b", "`a\\\\\\|b`"),
            ("a`b", "``a`b``"),
            ("``a", "``` ``a ```"),
            ("<b> *x* @all", "`<b> *x* @all`"),
            ("a\n\n# b", "`a  # b`"),
        ] {
            assert_eq!(code_in_cell(name), expected);
        }
        assert_eq!(code("a|b"), "`a|b`");
        for (text, expected) in [
            ("`a|b` is called `c\\d`", "`a|b` is called `c\\d`"),
            ("the label <b>a_b</b> | @all & [c](d)", "the label &lt;b>a\\_b&lt;/b> \\| @\u{200b}all &amp; \\[c\\](d)"),
            ("`a` @all `b` is gone", "`a` @\u{200b}all `b` is gone"),
            ("`a`<b>` is gone", "`a`&lt;b>\\` is gone"),
            ("``<b> is gone", "\\`\\`&lt;b> is gone"),
        ] {
            assert_eq!(prose(text, code), expected);
        }
        assert_eq!(prose("`a|b` | c", code_in_cell), "`a\\|b` \\| c");
    }

    #[test]
    fn no_name_leaves_its_place() {
        let lines = |name: &str| comment(&evil::report(name)).lines().count();
        for name in ["a|b", "a\n| b |", "a`\n\n<b>@all", "`|`", "\\|"] {
            assert_eq!(lines(name), lines("plain"), "{name}");
            let text = comment(&evil::report(name));
            assert!(text.contains(&format!("Not looked at: {}.", code(name))), "{text}");
        }
    }

    #[test]
    fn annotations_fail_where_the_check_does() {
        insta::assert_snapshot!(annotations(&report(), Some(Path::new("m/1,2.sql"))), @r#"
::error file=m/1%2C2.sql,title=public.t%3A corrupts-silently::`a|b` is worse%0Arunning: sees 100%25%0Aof it%0Areplaying: sees a|b%0Ato do: ask
::warning file=m/1%2C2.sql,title=public.t%3A safe-if-agreed::the table changes%0Arunning: sees 100%25%0Aof it%0Areplaying: sees a|b%0Ato do: ask
corrupts-silently: 1 of 2 tables change
"#);
    }
}
