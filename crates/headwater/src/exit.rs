//! Exit codes. They are an interface: supervisors decide by them, so a number never changes its meaning.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    Good,
    Unexpected,
    Usage,
    Stopped,
    Fenced,
    Problems,
    Agree,
    Breaks,
    Corrupts,
}

/// One line of the table: the number, what it means, and what a supervisor should do about it.
struct Line {
    exit: Exit,
    code: u8,
    meaning: &'static str,
    advice: &'static str,
}

const TABLE: &[Line] = &[
    Line {
        exit: Exit::Good,
        code: 0,
        meaning: "done; after SIGTERM: drained, committed, nothing lost",
        advice: "nothing",
    },
    Line {
        exit: Exit::Unexpected,
        code: 1,
        meaning: "an error that should not be; starting again is safe",
        advice: "start again",
    },
    Line {
        exit: Exit::Usage,
        code: 2,
        meaning: "the command line or the configuration is wrong",
        advice: "call a person",
    },
    Line {
        exit: Exit::Stopped,
        code: 3,
        meaning: "stopped, because going on would lose or invent data: a person must act",
        advice: "call a person",
    },
    Line {
        exit: Exit::Fenced,
        code: 4,
        meaning: "another process with the same name has taken over",
        advice: "nothing: the other one runs",
    },
    Line {
        exit: Exit::Problems,
        code: 5,
        meaning: "`doctor` found problems",
        advice: "do not start it; show what `doctor` says to a person",
    },
    Line {
        exit: Exit::Agree,
        code: 6,
        meaning: "`schema check`: consumers have to agree to the change (only with `--fail-on safe-if-agreed`)",
        advice: "hold the change until its reviewer has asked them",
    },
    Line {
        exit: Exit::Breaks,
        code: 7,
        meaning: "`schema check`: the change breaks consumers, at new events or at a replay",
        advice: "do not merge the change; do what the report says",
    },
    Line {
        exit: Exit::Corrupts,
        code: 8,
        meaning: "`schema check`: consumers would see wrong values without an error",
        advice: "do not merge the change; do what the report says",
    },
];

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        TABLE.iter().find(|line| line.exit == self).map_or(1, |line| line.code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The section of `--help`.
pub fn help() -> String {
    let lines = TABLE.iter().map(|Line { code, meaning, .. }| format!("  {code}  {}", meaning.replace('`', "")));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The table for the documentation.
pub fn markdown() -> String {
    let lines = TABLE.iter().map(|Line { code, meaning, advice, .. }| format!("| {code} | {meaning} | {advice} |\n"));
    format!("| code | meaning | what a supervisor should do |\n|---|---|---|\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_promised() {
        let exits = [Exit::Good, Exit::Unexpected, Exit::Usage, Exit::Stopped, Exit::Fenced, Exit::Problems];
        assert_eq!(exits.map(Exit::code), [0, 1, 2, 3, 4, 5]);
        assert_eq!([Exit::Agree, Exit::Breaks, Exit::Corrupts].map(Exit::code), [6, 7, 8]);
        assert!(
            markdown()
                .contains("| 4 | another process with the same name has taken over | nothing: the other one runs |")
        );
    }
}
