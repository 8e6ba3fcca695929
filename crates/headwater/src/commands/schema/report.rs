//! What a check found, for programs. What people read is made of the same.

use event_avro::compatibility::level::Level;
use event_avro::compatibility::{Finding, Verdict};
use serde::Serialize;

use crate::exit::Exit;

/// The whole check.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The worst of the tables'.
    pub(super) verdict: Verdict,
    /// The mildest verdict that fails.
    pub(super) fail_on: Verdict,
    pub(super) exit_code: u8,
    /// Those that change, in the order of their names.
    pub(super) tables: Vec<TableReport>,
    /// Names of those that do not.
    pub(super) unchanged: Vec<String>,
    /// Names of registered ones that nobody looked at.
    pub(super) not_checked: Vec<String>,
}

/// What becomes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    Changed,
    /// Nothing is registered for it yet.
    New,
    /// Something is registered, and the table is not there.
    Dropped,
}

#[derive(Debug, Serialize)]
pub(super) struct TableReport {
    pub(super) table: String,
    pub(super) topic: String,
    pub(super) change: Change,
    pub(super) verdict: Verdict,
    /// What a reviewer has to know, in a sentence.
    pub(super) sentence: String,
    pub(super) findings: Vec<Finding>,
    /// Those that would get a new version.
    pub(super) subjects: Vec<SubjectReport>,
    pub(super) notes: Vec<String>,
}

/// What a registry says that looks at nothing but Avro types.
#[derive(Debug, Serialize)]
pub(super) struct SubjectReport {
    pub(super) subject: String,
    pub(super) level: Level,
    /// Evaluated here.
    pub(super) local: Answer,
    /// The registry's own.
    pub(super) registry: Answer,
}

#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) compatible: bool,
    pub(super) messages: Vec<String>,
}

impl Answer {
    pub(super) fn word(&self) -> &'static str {
        if self.compatible { "accepts" } else { "refuses" }
    }
}

impl Report {
    pub(super) fn new(
        fail_on: Verdict,
        tables: Vec<TableReport>,
        unchanged: Vec<String>,
        not_checked: Vec<String>,
    ) -> Self {
        let verdict = tables.iter().map(|table| table.verdict).max().unwrap_or(Verdict::Safe);
        let mut report = Self { verdict, fail_on, exit_code: 0, tables, unchanged, not_checked };
        report.exit_code = report.exit().code();
        report
    }

    /// How the command ends.
    pub(super) fn exit(&self) -> Exit {
        match self.verdict {
            verdict if verdict < self.fail_on => Exit::Good,
            Verdict::Safe => Exit::Good,
            Verdict::SafeIfAgreed => Exit::Agree,
            Verdict::BreaksReplay | Verdict::BreaksRunning => Exit::Breaks,
            Verdict::CorruptsSilently => Exit::Corrupts,
        }
    }

    /// The last line: how many tables, and the verdict.
    pub(super) fn summary(&self) -> String {
        let tables = |count: usize| if count == 1 { "1 table".to_owned() } else { format!("{count} tables") };
        let mut text = match self.tables.len() {
            0 => format!("{}: nothing changes", Verdict::Safe),
            count => format!("{}: {} of {} change", self.verdict, count, tables(count + self.unchanged.len())),
        };
        if !self.not_checked.is_empty() {
            text.push_str(&format!("; {} not looked at", tables(self.not_checked.len())));
        }
        text
    }
}

/// The sentence for the reviewer of a changed table.
pub(super) fn sentence(topic: &str, verdict: Verdict, findings: &[Finding]) -> String {
    let worst = findings.iter().filter(|finding| finding.verdict == verdict);
    let whats = worst.map(|finding| finding.what.as_str()).collect::<Vec<_>>().join("; ");
    match verdict {
        Verdict::Safe => format!("No consumer of {topic} can notice this."),
        Verdict::SafeIfAgreed => format!("Merge this when the consumers of {topic} have agreed: {whats}."),
        Verdict::BreaksReplay => {
            format!("Consumers that read {topic} again from before this change, with the new schema, fail: {whats}.")
        }
        Verdict::BreaksRunning => format!("Running consumers of {topic} fail at the first event after this: {whats}."),
        Verdict::CorruptsSilently => {
            format!("Do not merge this: consumers of {topic} would see wrong values, and no error: {whats}.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_begins_where_the_user_says() {
        let exit = |verdict, fail_on| {
            let table = TableReport {
                table: String::new(),
                topic: String::new(),
                change: Change::Changed,
                verdict,
                sentence: String::new(),
                findings: Vec::new(),
                subjects: Vec::new(),
                notes: Vec::new(),
            };
            Report::new(fail_on, vec![table], Vec::new(), Vec::new()).exit_code
        };
        let by = |fail_on| Verdict::ALL.map(|verdict| exit(verdict, fail_on));
        assert_eq!(by(Verdict::Safe), [0, 6, 7, 7, 8]);
        assert_eq!(by(Verdict::SafeIfAgreed), [0, 6, 7, 7, 8]);
        assert_eq!(by(Verdict::BreaksReplay), [0, 0, 7, 7, 8]);
        assert_eq!(by(Verdict::BreaksRunning), [0, 0, 0, 7, 8]);
        assert_eq!(by(Verdict::CorruptsSilently), [0, 0, 0, 0, 8]);
    }
}

/// A report in which everything that somebody else can name has one name.
#[cfg(test)]
pub(super) mod evil {
    use super::*;

    pub(in super::super) fn report(name: &str) -> Report {
        let told = |text: &str| format!("`{name}` {text}");
        let finding = Finding {
            rule: "rule",
            column: Some(name.to_owned()),
            verdict: Verdict::CorruptsSilently,
            what: told("is gone"),
            running: told("is read"),
            replaying: told("is read"),
            advice: told("stays"),
        };
        let answer = || Answer { compatible: false, messages: vec![told("is refused")] };
        let table = TableReport {
            table: name.to_owned(),
            topic: name.to_owned(),
            change: Change::Changed,
            verdict: finding.verdict,
            sentence: told("is gone."),
            findings: vec![finding],
            subjects: vec![SubjectReport {
                subject: name.to_owned(),
                level: Level::Full,
                local: answer(),
                registry: answer(),
            }],
            notes: vec![name.to_owned()],
        };
        Report::new(Verdict::BreaksReplay, vec![table], Vec::new(), vec![name.to_owned()])
    }
}
