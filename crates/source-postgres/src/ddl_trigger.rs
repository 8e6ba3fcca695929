//! The optional event trigger that reports DDL statements as logical messages, which have their place in the log.
//!
//! Nothing depends on it: shapes come from the log in any case. It says which statement made them, and who ran it.

use change::{Finding, Severity};
use serde::Deserialize;

use crate::connection::Connection;
use crate::error::Error;

/// A script that makes the trigger and says how to remove it.
pub const DDL_TRIGGER: &str = include_str!("ddl_trigger.sql");

/// What its messages are called. Nobody can ask for them as for other messages.
pub(crate) const PREFIX: &str = "headwater.ddl";

const NAME: &str = "headwater_ddl";

/// What a message of the trigger says.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Report {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) oid: u32,
    pub(crate) statement: String,
    pub(crate) user: String,
}

impl Report {
    /// # Errors
    ///
    /// Somebody else's message: everybody may write one.
    pub(crate) fn read(content: &[u8]) -> Result<Self, NotOurs> {
        let report: Self = serde_json::from_slice(content)?;
        // The statement is cut where it is kept; what else is kept has to be as short as the server makes it.
        let names = [&report.schema, &report.table, &report.user];
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        if longest > LONGEST_NAME { Err(NotOurs::Name(longest)) } else { Ok(report) }
    }
}

/// The server has so many bytes for a name, in the database's encoding, so there are no more letters (`NAMEDATALEN`).
const LONGEST_NAME: usize = 63;

/// Why a message is none of the trigger's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotOurs {
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    #[error("a name of {0} letters, and none has more than {LONGEST_NAME}")]
    Name(usize),
}

/// Whether the trigger is there, and whether it is enabled. `None`: it is not there.
fn state(control: &mut Connection) -> Result<Option<bool>, Error> {
    let rows = control.query(
        "looking for an event trigger",
        &format!("SELECT evtenabled IN ('O', 'A') FROM pg_event_trigger WHERE evtname = '{NAME}'"),
    )?;
    Ok(rows.first().map(|row| crate::catalog::flag(row, 0)))
}

/// Whether statements are reported.
pub(crate) fn reports(control: &mut Connection) -> Result<bool, Error> {
    Ok(state(control)? == Some(true))
}

/// What `headwater doctor` says of it.
pub(crate) fn check(control: &mut Connection) -> Result<Finding, Error> {
    let (severity, what, help) = match state(control)? {
        Some(true) => (Severity::Good, "are reported by an event trigger", None),
        Some(false) => (
            Severity::Warning,
            "are not reported: the event trigger is disabled",
            Some(format!("ALTER EVENT TRIGGER {NAME} ENABLE; ALTER EVENT TRIGGER {NAME}_drop ENABLE;")),
        ),
        None => (
            Severity::Good,
            "are not reported; `headwater doctor --print-ddl-trigger` prints an event trigger that does it",
            None,
        ),
    };
    Ok(Finding { severity, subject: "DDL statements".to_owned(), what: what.to_owned(), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_says_what_is_looked_for() {
        assert!(DDL_TRIGGER.contains(&format!("CREATE EVENT TRIGGER {NAME} ON")));
        assert!(DDL_TRIGGER.contains(&format!("CREATE EVENT TRIGGER {NAME}_drop ON")));
        assert_eq!(DDL_TRIGGER.matches(&format!("'{PREFIX}'")).count(), 3);
    }

    #[test]
    fn messages_of_others_are_no_reports() {
        for content in
            [&b""[..], b"x", b"{}", b"[]", br#"{"schema":1,"table":"t","oid":1,"statement":"","user":""}"#, b"\xff"]
        {
            assert!(Report::read(content).is_err());
        }
    }

    #[test]
    fn names_are_as_short_as_the_server_makes_them() {
        let report = |schema: usize, table: usize, user: usize| {
            let text = |length: usize| "é".repeat(length);
            let report = serde_json::json!({
                "schema": text(schema), "table": text(table), "user": text(user), "oid": 1, "statement": text(9999),
            });
            Report::read(report.to_string().as_bytes())
        };
        assert!(report(63, 63, 63).is_ok());
        for (schema, table, user) in [(64, 1, 1), (1, 64, 1), (1, 1, 64)] {
            assert!(report(schema, table, user).unwrap_err().to_string().contains("64 letters"));
        }
    }
}
