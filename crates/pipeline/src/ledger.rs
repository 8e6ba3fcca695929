//! Decides what is safe.
//!
//! # Why a position is never ahead of its events
//!
//! A position leaves this file only inside a [`Safe`], a `Safe` is made only from a [`Sent`], and a `Sent` only by
//! [`Ledger::close`]. The argument has three steps.
//!
//! 1. *Everything up to the position was sent.* The engine calls [`Ledger::sent`] for a change before it asks the source
//!    for the next one, and closes with the source's position after the last step. A batch can be closed only outside a
//!    database transaction, or by an explicit [`Cut`], which is a position inside the transaction that the source itself
//!    can continue from. So no change lies between the last one sent and the position.
//! 2. *Everything sent is in Kafka when the position is.* With exactly-once delivery the position travels in the same
//!    Kafka transaction as the records: either all are committed, or none ([`Proof::SameTransaction`]). With
//!    at-least-once delivery the position is written after every record has been acknowledged ([`Proof::Acknowledged`],
//!    which counts them).
//! 3. *Order is kept.* There is one batch at a time: a second one cannot be opened while the first is neither durable
//!    nor abandoned, so a later position cannot overtake an earlier batch.
//!
//! A failure does not need a rule here: the session ends, its ledger is dropped, and the next one begins from what is
//! durable.

use change::{Position, Sequence};

/// A batch whose records have all been handed to the producer.
#[derive(Debug)]
#[must_use = "a closed batch has to become durable"]
pub struct Sent {
    sequence: Sequence,
    position: Position,
    records: u64,
}

impl Sent {
    /// How many records were handed over.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// A batch whose position may be written: no crash can make the position true and the records absent.
#[derive(Debug)]
#[must_use = "a safe batch has to become durable"]
pub struct Safe {
    sequence: Sequence,
    position: Position,
}

impl Safe {
    pub fn position(&self) -> &Position {
        &self.position
    }

    pub fn sequence(&self) -> Sequence {
        self.sequence
    }
}

/// Why a batch's position may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The position is in the same Kafka transaction as the records.
    SameTransaction,
    /// The broker has acknowledged so many records of this batch.
    Acknowledged(u64),
}

/// Permission to close a batch inside a database transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The batch ends where a database transaction ends.
    AtTransactionEnd,
    /// The database transaction is too large, too slow, or needs a schema first; the source can continue inside it.
    InsideTransaction,
}

/// What must not happen. Each variant is a bug in the engine, and stops it before anything false is written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("a transaction began inside another one")]
    NestedBegin,
    #[error("a change or an end came outside a transaction")]
    OutsideTransaction,
    #[error("a batch was closed inside a transaction without a cut")]
    UncutTransaction,
    #[error("batch {0} was closed before the one before it was durable")]
    Overtaking(u64),
    #[error("{sent} records were sent and {acknowledged} acknowledged")]
    Unacknowledged { sent: u64, acknowledged: u64 },
}

/// The books of one session: what was sent, and which batch is under way.
#[derive(Debug)]
pub struct Ledger {
    next: Sequence,
    in_transaction: bool,
    records: u64,
    bytes: u64,
    closed: Option<Sequence>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { next: Sequence::FIRST, in_transaction: false, records: 0, bytes: 0, closed: None }
    }
}

impl Ledger {
    /// A database transaction begins.
    pub fn begin(&mut self) -> Result<(), LedgerError> {
        if self.in_transaction {
            return Err(LedgerError::NestedBegin);
        }
        self.in_transaction = true;
        Ok(())
    }

    /// A change of the open transaction was handed to the producer as so many records and bytes.
    pub fn sent(&mut self, records: u64, bytes: u64) -> Result<(), LedgerError> {
        if !self.in_transaction {
            return Err(LedgerError::OutsideTransaction);
        }
        self.records += records;
        self.bytes += bytes;
        Ok(())
    }

    /// Records that no change of the open transaction stands for were handed to the producer: parked events that return, or
    /// words about a table.
    pub fn besides(&mut self, records: u64, bytes: u64) {
        self.records += records;
        self.bytes += bytes;
    }

    /// The database transaction is complete.
    pub fn end(&mut self) -> Result<(), LedgerError> {
        if !self.in_transaction {
            return Err(LedgerError::OutsideTransaction);
        }
        self.in_transaction = false;
        Ok(())
    }

    /// Bytes handed over since the last batch was closed.
    pub fn open_bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether anything was handed over since the last batch was closed.
    pub fn has_records(&self) -> bool {
        self.records > 0
    }

    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Closes the batch at `position`, the source's place after its last step.
    pub fn close(&mut self, position: Position, cut: Cut) -> Result<Sent, LedgerError> {
        if self.in_transaction && cut == Cut::AtTransactionEnd {
            return Err(LedgerError::UncutTransaction);
        }
        if self.closed.is_some() {
            return Err(LedgerError::Overtaking(self.next.number()));
        }
        let sent = Sent { sequence: self.next, position, records: self.records };
        self.closed = Some(self.next);
        self.next = self.next.next();
        self.records = 0;
        self.bytes = 0;
        Ok(sent)
    }

    /// The batch's position may be written, for this reason.
    pub fn safe(&mut self, sent: Sent, proof: Proof) -> Result<Safe, LedgerError> {
        if let Proof::Acknowledged(acknowledged) = proof
            && acknowledged != sent.records
        {
            return Err(LedgerError::Unacknowledged { sent: sent.records, acknowledged });
        }
        Ok(Safe { sequence: sent.sequence, position: sent.position })
    }

    /// The batch is durable: the next one may be closed.
    pub fn settled(&mut self, sequence: Sequence) {
        if self.closed == Some(sequence) {
            self.closed = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Position {
        Position::new(text)
    }

    #[test]
    fn a_batch_is_not_closed_inside_a_transaction_by_accident() {
        let mut ledger = Ledger::default();
        ledger.begin().unwrap();
        ledger.sent(1, 10).unwrap();
        assert_eq!(ledger.close(at("a"), Cut::AtTransactionEnd).unwrap_err(), LedgerError::UncutTransaction);
        assert_eq!(ledger.close(at("a"), Cut::InsideTransaction).unwrap().records(), 1);
    }

    #[test]
    fn a_batch_does_not_overtake_the_one_before() {
        let mut ledger = Ledger::default();
        let first = ledger.close(at("a"), Cut::AtTransactionEnd).unwrap();
        assert_eq!(ledger.close(at("b"), Cut::AtTransactionEnd).unwrap_err(), LedgerError::Overtaking(2));
        let safe = ledger.safe(first, Proof::SameTransaction).unwrap();
        ledger.settled(safe.sequence());
        assert!(ledger.close(at("b"), Cut::AtTransactionEnd).is_ok());
    }

    #[test]
    fn a_missing_acknowledgement_is_not_safe() {
        let mut ledger = Ledger::default();
        ledger.begin().unwrap();
        ledger.sent(3, 30).unwrap();
        ledger.end().unwrap();
        let sent = ledger.close(at("a"), Cut::AtTransactionEnd).unwrap();
        let error = ledger.safe(sent, Proof::Acknowledged(2)).unwrap_err();
        assert_eq!(error, LedgerError::Unacknowledged { sent: 3, acknowledged: 2 });
    }

    #[test]
    fn changes_belong_to_transactions() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.sent(1, 1).unwrap_err(), LedgerError::OutsideTransaction);
        assert_eq!(ledger.end().unwrap_err(), LedgerError::OutsideTransaction);
        ledger.begin().unwrap();
        assert_eq!(ledger.begin().unwrap_err(), LedgerError::NestedBegin);
    }

    proptest! {
        /// Whatever the order of steps: the position of a safe batch is the one after the last change sent before it,
        /// and every change is in exactly one batch.
        #[test]
        fn flush_lsn_never_passes_durable(steps in proptest::collection::vec(0_u8..5, 1..200)) {
            let mut ledger = Ledger::default();
            let (mut sent_total, mut safe_total, mut place) = (0_u64, 0_u64, 0_u64);
            for step in steps {
                match step {
                    0 => { let _refused = ledger.begin().is_err(); }
                    1 | 2 => if ledger.sent(1, 7).is_ok() { sent_total += 1; place += 1; },
                    3 => { let _refused = ledger.end().is_err(); }
                    _ => {
                        let cut = if ledger.in_transaction() { Cut::InsideTransaction } else { Cut::AtTransactionEnd };
                        let sent = ledger.close(at(&place.to_string()), cut).unwrap();
                        let records = sent.records();
                        let safe = ledger.safe(sent, Proof::Acknowledged(records)).unwrap();
                        safe_total += records;
                        prop_assert_eq!(safe.position().as_str(), &safe_total.to_string());
                        prop_assert_eq!(sent_total, safe_total);
                        ledger.settled(safe.sequence());
                    }
                }
            }
        }
    }
}
