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
}

const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Good, 0, "done; after SIGTERM: drained, committed, nothing lost"),
    (Exit::Unexpected, 1, "an error that should not be; starting again is safe"),
    (Exit::Usage, 2, "the command line or the configuration is wrong"),
    (Exit::Stopped, 3, "stopped, because going on would lose or invent data: a person must act"),
    (Exit::Fenced, 4, "another process with the same name has taken over"),
    (Exit::Problems, 5, "doctor found problems"),
];

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        TABLE.iter().find(|(exit, ..)| *exit == self).map_or(1, |(_, code, _)| *code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The section of `--help`.
pub fn help() -> String {
    let lines = TABLE.iter().map(|(_, code, meaning)| format!("  {code}  {meaning}"));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// The table for the documentation.
pub fn markdown() -> String {
    let lines = TABLE.iter().map(|(_, code, meaning)| format!("| {code} | {meaning} |\n"));
    format!("| code | meaning |\n|---|---|\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_promised() {
        let exits = [Exit::Good, Exit::Unexpected, Exit::Usage, Exit::Stopped, Exit::Fenced, Exit::Problems];
        assert_eq!(exits.map(Exit::code), [0, 1, 2, 3, 4, 5]);
        assert!(markdown().contains("| 4 | another process with the same name has taken over |"));
    }
}
