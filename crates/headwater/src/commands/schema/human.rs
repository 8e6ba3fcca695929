//! The report on a terminal.

use event_avro::compatibility::{Finding, Verdict};

use super::report::{Change, Report, SubjectReport, TableReport};
use crate::output::one_line;

/// Paints text where the terminal shows colours.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub(super) fn title(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn verdict(self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Safe => "32",
            Verdict::SafeIfAgreed => "33",
            Verdict::BreaksReplay | Verdict::BreaksRunning | Verdict::CorruptsSilently => "31",
        };
        self.with(code, text)
    }
}

/// The whole report.
pub(super) fn check(report: &Report, colours: bool) -> String {
    let paint = Paint(colours);
    let mut text = String::new();
    for table in &report.tables {
        text.push_str(&one_table(table, paint));
        text.push('\n');
    }
    if !report.not_checked.is_empty() {
        text.push_str(&format!("not looked at: {}\n\n", one_line(&report.not_checked.join(", "))));
    }
    text.push_str(&format!("{}\n", paint.verdict(report.verdict, &report.summary())));
    text
}

fn one_table(table: &TableReport, paint: Paint) -> String {
    let change = match table.change {
        Change::Changed => "",
        Change::New => " (new)",
        Change::Dropped => " (dropped)",
    };
    let verdict = paint.verdict(table.verdict, table.verdict.name());
    let mut text = format!("{}{change}: {verdict}\n", paint.title(&one_line(&table.table)));
    for found in &table.findings {
        text.push_str(&finding(found, paint));
    }
    for subject in &table.subjects {
        text.push_str(&one_subject(subject));
    }
    for note in &table.notes {
        text.push_str(&format!("  note: {}\n", one_line(note)));
    }
    text.push_str(&format!("  for the reviewer: {}\n", one_line(&table.sentence)));
    text
}

/// One finding, indented: what, what readers see, what to do.
pub(super) fn finding(found: &Finding, paint: Paint) -> String {
    let verdict = paint.verdict(found.verdict, found.verdict.name());
    let mut text = format!("  {verdict}  {}\n", one_line(&found.what));
    for (label, words) in [("running", &found.running), ("replaying", &found.replaying), ("to do", &found.advice)] {
        text.push_str(&format!("    {label:9}  {}\n", one_line(words)));
    }
    text
}

fn one_subject(subject: &SubjectReport) -> String {
    let SubjectReport { subject, level, local, registry } = subject;
    let mut text = format!(
        "  subject {}, level {level}: the registry {}, our evaluation of its level {}\n",
        one_line(subject),
        registry.word(),
        local.word()
    );
    let messages = if registry.messages.is_empty() { &local.messages } else { &registry.messages };
    for message in messages.iter().filter(|_| !(registry.compatible && local.compatible)) {
        text.push_str(&format!("    {}\n", one_line(message)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::report::evil;
    use super::*;

    #[test]
    fn names_stay_in_their_lines() {
        let text = check(&evil::report("x\n::stop-commands::t\u{1b}[2J"), false);
        assert!(!text.contains("\n::") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains("not looked at: x ::stop-commands::t"), "{text}");
    }
}
