//! DDL statements, as the event trigger reports them ([`ddl_trigger`](crate::ddl_trigger)).
//!
//! A report is a transactional message, and numbered like one, so that a position can lie behind it. It is no change:
//! `total_order` does not know of it, and it is never published as a message.

use std::sync::Once;

use change::{Statement, Step, TableName};

use super::{Event, Running};
use crate::ddl_trigger::Report;
use crate::error::Error;
use crate::lsn::Lsn;

impl Running {
    /// A report was received.
    pub(super) fn learn_statement(&mut self, lsn: Lsn, content: &[u8]) -> Result<Event, Error> {
        // The trigger's last message is empty: it keeps the next row behind the others.
        if !self.pass(lsn, true)? || content.is_empty() {
            return Ok(Event::Nothing);
        }
        let report = match Report::read(content) {
            Ok(report) => report,
            Err(error) => {
                // Anybody may write them, and as many as they like.
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    tracing::warn!(%lsn, %error, "a logical message has the prefix of headwater's event trigger, and is not its own: it is left out, and so are others like it");
                });
                return Ok(Event::Nothing);
            }
        };
        let Some(table) = self.captured_name(&report) else { return Ok(Event::Nothing) };
        self.statement = Some(Statement {
            table,
            text: Statement::shortened(&report.statement),
            user: Some(report.user),
            // Columns keep their numbers, which prove more than a text.
            moved: None,
            generated: Vec::new(),
        });
        Ok(Event::Statement)
    }

    /// The table's name, if it is captured: the one that it has now, or the one that the log knows it by.
    fn captured_name(&self, report: &Report) -> Option<TableName> {
        let now = TableName::new(&report.schema, &report.table);
        if self.patterns.matches(&now) {
            return Some(now);
        }
        let known = self.relations.get(&report.oid).filter(|known| known.shape.captured);
        known.map(|known| known.shape.table.name.clone())
    }

    pub(super) fn statement_step(&self) -> Option<Step<'_>> {
        self.statement.as_ref().map(Step::Statement)
    }
}
