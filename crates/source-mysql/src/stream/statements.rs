//! DDL statements about captured tables, on their way out.
//!
//! A statement is a transaction of its own, which ends here: the position moves behind it when its last table is returned, and
//! not before. Where rows follow in the same transaction (`CREATE TABLE … SELECT`), the end of those is that of both; a cut
//! behind some of the rows has the statement behind it too, so it is not said again.

use std::collections::VecDeque;

use change::Statement;

use super::Running;
use crate::definition;
use crate::error::Error;
use crate::value::charset::charset;
use crate::wire::query::{Query, Session};

/// What was heard and not returned yet: one statement's tables, so at most those that it names.
#[derive(Default)]
pub(super) struct Statements {
    waiting: VecDeque<Statement>,
    said: Option<Statement>,
}

impl Statements {
    pub(super) fn wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The one that is being returned.
    pub(super) fn said(&self) -> Option<&Statement> {
        self.said.as_ref()
    }
}

impl Running {
    /// A statement that may define captured tables anew.
    pub(super) fn note_statement(&mut self, query: &Query<'_>) {
        if self.in_flight.as_ref().is_none_or(|flight| flight.skip > 0 || flight.unfinished_alter) {
            return;
        }
        // Rows do not depend on what is read here: if the settings are not understood, nothing is said of columns.
        let session = query.session().ok();
        let sql_mode = session.and_then(|session| session.sql_mode);
        let text = text(query.sql, session.as_ref());
        let mut heard = VecDeque::new();
        for definition in definition::definitions(&text, sql_mode.unwrap_or_default()) {
            let table = self.written(query.database, definition.table);
            if self.patterns.matches(&table) {
                // The log shows it as before: it is shown once more, so that somebody asks what the statement did to it.
                if !definition.generated.is_empty() {
                    let of_it = self.tables.all().filter(|known| known.table.name == table);
                    of_it.for_each(|known| known.announced = false);
                }
                heard.push_back(Statement {
                    table,
                    text: Statement::shortened(&definition::without_secrets(&text, sql_mode.unwrap_or_default())),
                    user: session.and_then(|session| session.invoker).map(|(user, host)| format!("{user}@{host}")),
                    generated: definition.generated,
                    moved: definition.moved.filter(|_| sql_mode.is_some()),
                });
            }
        }
        self.statements.waiting = heard;
    }

    /// Makes the next statement the one that is returned; `false`: none is left.
    pub(super) fn say(&mut self) -> Result<bool, Error> {
        let Some(next) = self.statements.waiting.pop_front() else { return Ok(false) };
        self.statements.said = Some(next);
        let is_all = self.in_flight.as_ref().is_some_and(|flight| flight.standalone);
        if is_all && !self.statements.wait() {
            self.commit()?;
        }
        Ok(true)
    }
}

/// A statement's text, which is in the character set of the session that ran it.
fn text(sql: &[u8], session: Option<&Session<'_>>) -> String {
    let set = session.and_then(|session| session.client_collation).and_then(charset);
    let decoded = set.and_then(|set| {
        let mut text = Vec::with_capacity(sql.len());
        set.append(sql, &mut text)?;
        String::from_utf8(text).ok()
    });
    decoded.unwrap_or_else(|| String::from_utf8_lossy(sql).into_owned())
}
