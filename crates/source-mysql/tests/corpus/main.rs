//! Real binlogs, with the servers' own rendering of every row beside them: the database is the judge.
//!
//! `testdata/make.py` made the files; each `.sql` there says what is in them. Every event is read, every row decoded, and
//! every cell compared twice: as its typed value, and as the text that a key would have.

#![expect(clippy::unwrap_used, reason = "tests panic")]

mod charsets;
mod events;
mod log;
mod regressions;
mod rendering;
mod stream;
mod values;
