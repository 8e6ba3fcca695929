//! Copies of tables, taken while the log streams, and why they are correct.
//!
//! A table is read in chunks, each in one short transaction with a snapshot S, and the rows are put into the stream of
//! changes between two transactions. No lock disturbs a writer, nothing is written, and a kill costs one chunk. The claim:
//! *whoever applies the stream in its order, a copied row like an insert that replaces, ends with the table.* For a row
//! with key k let P be the place in the stream at which its chunk is published. *Passed* means received in order.
//!
//! **What S sees is in the row; it must not come again behind it, or it would undo newer values for a while.** H is the
//! insert position of the log, read after S was taken. A transaction that S sees had its commit record in the log before
//! that, so before H; the chunk waits until the stream has passed H. So no transaction that S sees comes after P.
//!
//! **What S does not see, and was passed before P, is newer than the row: then the row is dropped.** Keys are recorded from
//! the moment the chunk is ordered (place L) until P, with the transaction that touched them ([`copying::Touched`]). A
//! transaction passed between L and P that S does not see drops the row. One passed *before* L is not recorded; therefore
//! S has to see all of those: the server is asked again until it does ([`Order::must_see`]). That this ends: L stays
//! fixed, and what is in the log becomes visible, unless it waits for a synchronous standby, however long.
//! If the newer change did not carry all values of the row (an unchanged TOAST value), the row is not only dropped but
//! read once more, by its key, as a chunk of its own under the same rules. So is a row that gets another key, with such a
//! value, at any time while its table is copied: its new place may lie behind what was read.
//!
//! **What was passed before this process began** is not in its memory. X0 is a transaction id taken after the table had
//! joined the stream (slot made, publication changed, this process connected). Whatever a predecessor passed, and whatever
//! wrote the table without being in this stream because it began before the join, has an id below X0. No chunk is used
//! until everything before X0 is over (`xmin(S) > X0`), so S sees all of it.
//!
//! **Progress is in the same Kafka transaction as the rows**, and a batch is never cut inside a chunk. So after a kill
//! either both are there or none; the next process goes on behind the last key, with the rows that were still to be read
//! once more. Keys that are inserted behind that point belong to the stream.
//!
//! **A table without a key** cannot be fenced row by row. It is copied whole, with one snapshot, while the stream stands
//! still at a place where S sees everything passed. So whatever was passed of the table before is in the copy, and what
//! is passed later and seen by S too: neither is returned as a change, the latter until H. A kill in the middle begins the copy anew: rows published before are then there twice.
//!
//! Keys are compared by the server's text. Two texts can be one key for its index (`1.0` and `1.00`); a change from one to
//! the other is an update of the key, and the log then carries both texts.

pub(crate) mod progress;
mod publishing;
mod tasks;
pub(crate) mod visibility;
mod worker;

pub(crate) use publishing::{Part, Publishing, Stage};
pub(crate) use tasks::{Joined, Snapshots};
