//! The vocabulary that every other crate speaks: values, tables, changes, positions, and the contract of a source.
//!
//! Pure: no runtime, no socket, no clock, no database's crate. What is in here is what a PostgreSQL and a MySQL source
//! have in common, and nothing else.

mod array;
mod change;
mod copies;
mod position;
mod retention;
mod row;
pub mod script;
mod source;
mod statement;
mod table;
pub mod url;
mod value;

pub use array::{Array, ArrayWriter, Elements, NotAnElement};
pub use change::{Change, Kind, Transaction};
pub use copies::{Answer, Asked, Copies, CopyState, TableCopy, Wish};
pub use position::{Position, Sequence};
pub use retention::{Concern, Holder, LogDisk, LogStatus, Retention, Watched, bytes_in_words, time_in_words};
pub use row::{Row, ValueError};
pub use source::{Described, Finding, Resume, Severity, Source, SourceError, SourceInfo, Started, Step};
pub use statement::{Moved, Statement};
pub use table::{Column, ColumnType, Element, Identity, Table, TableName};
pub use value::{Absence, Reason, Value};
