//! The report as Markdown for a pull request, and as annotations of GitHub Actions.

use std::io::Write as _;
use std::path::Path;

use event_avro::compatibility::{Finding, Verdict};

use super::report::{Change, Report, SubjectReport, TableReport};
use crate::failure::Failure;

/// A comment: one table for each table that changes.
pub(super) fn comment(report: &Report) -> String {
    let mut text = format!("## headwater schema check: {}\n\n{}.\n", report.verdict, report.summary());
    for table in &report.tables {
        text.push_str(&one_table(table));
    }
    text
}

fn one_table(table: &TableReport) -> String {
    let change = match table.change {
        Change::Changed => "",
        Change::New => ", new",
        Change::Dropped => ", dropped",
    };
    let mut text = format!("\n### `{}`{change}: {}\n\n{}\n", table.table, table.verdict, cell(&table.sentence));
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
            text.push_str(&format!("| `{subject}` | {level} | {} | {} |\n", registry.word(), local.word()));
        }
    }
    for note in &table.notes {
        text.push_str(&format!("\nNote: {}.\n", cell(note)));
    }
    text
}

fn row(finding: &Finding) -> String {
    let column = finding.column.as_ref().map(|column| format!("`{}`", cell(column))).unwrap_or_default();
    format!(
        "| **{}** | {column} | {} | {} | {} | {} |\n",
        finding.verdict,
        cell(&finding.what),
        cell(&finding.running),
        cell(&finding.replaying),
        cell(&finding.advice)
    )
}

/// Text that ends neither a cell nor a line.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
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
    use crate::commands::schema::report::Answer;

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
    fn annotations_fail_where_the_check_does() {
        insta::assert_snapshot!(annotations(&report(), Some(Path::new("m/1,2.sql"))), @r#"
::error file=m/1%2C2.sql,title=public.t%3A corrupts-silently::`a|b` is worse%0Arunning: sees 100%25%0Aof it%0Areplaying: sees a|b%0Ato do: ask
::warning file=m/1%2C2.sql,title=public.t%3A safe-if-agreed::the table changes%0Arunning: sees 100%25%0Aof it%0Areplaying: sees a|b%0Ato do: ask
corrupts-silently: 1 of 2 tables change
"#);
    }
}
