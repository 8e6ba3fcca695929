//! `headwater doctor`: how findings are shown.

use change::{Finding, Severity};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::exit::Exit;
use crate::output;

/// The findings about one of the systems: source, Kafka, registry.
#[derive(Clone, Debug)]
pub struct Group {
    pub title: String,
    pub findings: Vec<Finding>,
}

/// Prints the report; the exit code tells whether there is a problem.
pub fn present(groups: &[Group], format: Output) -> Exit {
    output::print(&match format {
        Output::Human => human(groups, output::has_colours()),
        Output::Json => format!("{}\n", report(groups)),
    });
    verdict(groups)
}

/// Warnings do not fail: a script that waits for health must not wait for perfection.
pub fn verdict(groups: &[Group]) -> Exit {
    if count(groups, Severity::Problem) > 0 { Exit::Problems } else { Exit::Good }
}

fn count(groups: &[Group], severity: Severity) -> usize {
    groups.iter().flat_map(|group| &group.findings).filter(|finding| finding.severity == severity).count()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Good => "good",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

/// The report for a terminal.
pub fn human(groups: &[Group], colours: bool) -> String {
    let paint = |code: &str, text: &str| {
        if colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("{}\n", paint("1", &group.title)));
        let width = group.findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
        for finding in &group.findings {
            let mark = match finding.severity {
                Severity::Good => paint("32", "✓"),
                Severity::Warning => paint("33", "!"),
                Severity::Problem => paint("31", "✗"),
            };
            let what = finding.what.replace('\n', &format!("\n    {:width$}  ", ""));
            text.push_str(&format!("  {mark} {:width$}  {what}\n", finding.subject));
            for (index, line) in finding.help.iter().flat_map(|help| help.lines()).enumerate() {
                let arrow = if index == 0 { "→" } else { " " };
                text.push_str(&format!("    {:width$}  {} {}\n", "", paint("36", arrow), paint("36", line)));
            }
        }
        text.push('\n');
    }
    let (problems, warnings) = (count(groups, Severity::Problem), count(groups, Severity::Warning));
    let summary = match (problems, warnings) {
        (0, 0) => paint("32", "all is well"),
        (0, _) => paint("33", &format!("fit to run, with {}", number(warnings, "warning"))),
        (_, 0) => paint("31", &number(problems, "problem")),
        _ => paint("31", &format!("{} and {}", number(problems, "problem"), number(warnings, "warning"))),
    };
    text.push_str(&format!("{summary}\n"));
    text
}

fn number(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

/// The report for a program.
pub fn report(groups: &[Group]) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "severity": word(finding.severity),
            "subject": finding.subject,
            "what": finding.what,
            "help": finding.help,
        })
    };
    let group = |group: &Group| json!({ "title": group.title, "findings": group.findings.iter().map(finding).collect::<Vec<_>>() });
    json!({
        "problems": count(groups, Severity::Problem),
        "warnings": count(groups, Severity::Warning),
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, subject: &str, what: &str, help: Option<&str>) -> Finding {
        Finding { severity, subject: subject.into(), what: what.into(), help: help.map(Into::into) }
    }

    fn groups() -> Vec<Group> {
        vec![
            Group {
                title: "source".into(),
                findings: vec![
                    finding(
                        Severity::Problem,
                        "wal_level",
                        "is replica, logical is needed",
                        Some("alter system set wal_level = logical;\n-- then restart the server"),
                    ),
                    finding(Severity::Good, "slot shop", "is there, and free", None),
                ],
            },
            Group {
                title: "kafka".into(),
                findings: vec![finding(Severity::Warning, "topic shop.public.a", "has one replica", None)],
            },
        ]
    }

    #[test]
    fn a_report_for_people() {
        insta::assert_snapshot!(human(&groups(), false), @r###"
source
  ✗ wal_level  is replica, logical is needed
               → alter system set wal_level = logical;
                 -- then restart the server
  ✓ slot shop  is there, and free

kafka
  ! topic shop.public.a  has one replica

1 problem and 1 warning
"###);
        assert!(human(&groups(), true).contains("\u{1b}[31m✗\u{1b}[0m"));
        insta::assert_snapshot!(human(&groups()[1..], false), @r###"
kafka
  ! topic shop.public.a  has one replica

fit to run, with 1 warning
"###);
    }

    #[test]
    fn a_report_for_programs() {
        insta::assert_snapshot!(report(&groups()[1..]), @r#"{"problems":0,"warnings":1,"groups":[{"title":"kafka","findings":[{"severity":"warning","subject":"topic shop.public.a","what":"has one replica","help":null}]}]}"#);
    }

    #[test]
    fn only_problems_fail() {
        assert_eq!(verdict(&groups()), Exit::Problems);
        assert_eq!(verdict(&groups()[1..]), Exit::Good);
    }
}
