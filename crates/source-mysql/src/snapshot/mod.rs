//! Copies of tables, taken while the log streams, and why they are correct.
//!
//! A table is read in chunks, each in one short transaction with a snapshot S, and the rows are put into the stream of
//! changes between two transactions. No lock disturbs a writer, nothing is written, and a kill costs one chunk. The claim:
//! *whoever applies the stream in its order, a copied row like an insert that replaces, ends with the table.* For a row
//! with key k let X be the place in the stream at which its chunk is published. *Passed* means received in order.
//!
//! **What S shows is in the row; it must not come again behind it, or it would undo newer values for a while.** P is a place
//! in the server's files, read after S was taken: the log's end on MySQL, the snapshot's own place on MariaDB
//! (`binlog_snapshot_position`). Both servers write a transaction into the log before they commit it in the engine, so
//! whatever S shows ends before P, and the chunk waits until the stream has passed P. Events of others move the stream's
//! place too, and while nothing happens heartbeats do ([`stream::events`](crate::stream)): it always gets there.
//!
//! **What S does not show, and was passed before X, is newer than the row: then the row is dropped.** Keys are recorded from
//! the moment the chunk is ordered (place L) until X, with the transaction that touched them ([`copying::Touched`]). Which
//! of these S shows:
//! - *MySQL*: E is `gtid_executed`, read before S was taken. A transaction joins it after its commit in the engine, so S
//!   shows all of E. One outside E may be shown or not, and its keys are dropped: if S shows it, the stream has given its rows
//!   already, as it was passed before X.
//! - *MySQL, where transactions have no numbers, or the position is not made of them yet*: the table is locked against writers
//!   for the moment between two commands in which S and P are taken. Whoever has written it has committed then, in the log
//!   and in the engine, so of this table S shows what begins before P, and nothing else.
//! - *MariaDB*: S shows what ends at or before P, and nothing else, as both are taken under one lock. Transactions lie in the
//!   files one behind the other, and P lies between two, so these are the ones that *begin* before P.
//!
//! A transaction passed *before* L is not recorded; therefore S has to show all of those. A locked table has none that S
//! does not show. Else on MySQL the server is asked again until E has them, on MariaDB until P is not before L. That this
//! ends: L stays fixed, and what is in the log is committed, unless it waits for a replica to acknowledge it, however long.
//! If the newer change did not carry all values of the row (`binlog_row_image`, partial JSON), the row is not only dropped but
//! read once more, by its key, as a chunk of its own under the same rules. So is a row that gets another key, with such a
//! value, at any time while its table is copied: its new place may lie behind what was read.
//!
//! **What was passed before this process began** is in its position: on MySQL the set says which transactions. On MariaDB L
//! is at least the end of the log at the time of the start, before which lies all that a predecessor can have passed.
//!
//! **Two keys that are equal by collation** (`a` and `A`) are one key for the server and two for us: keys are compared by the
//! bytes of the row as it is stored ([`key`]). No change gets lost by that: whatever makes the row with the bytes `a` cease
//! to be, an update to `A`, a delete that said `A`, a replace, has the row as it was stored in its old image, so it touches
//! `a`; and the row that it makes, if it does, touches `A`.
//!
//! **The table is the one that is meant**: the lock on its name is taken before the snapshot ([`worker`]), so no DDL comes
//! between the two, and columns and key are asked for while it is held. A key of other columns begins the copy anew.
//!
//! **Progress is in the same Kafka transaction as the rows**, and a batch is never cut inside a chunk. So after a kill
//! either both are there or none; the next process goes on behind the last key, with the rows that were still to be read
//! once more. Keys that are inserted behind that point belong to the stream.
//!
//! **A table without a key** cannot be fenced row by row. It is copied whole, with one snapshot, while the stream stands
//! still. Its changes are no events while it waits for that: they are left to the copy, which has to show them, or another
//! snapshot is taken. What the copy shows has to be known exactly. MariaDB's snapshot says it; on MySQL the table is locked
//! against writers for that moment, as above. Changes that come later in the stream and begin before P are in the copy
//! too, and no events. A kill in the middle begins the copy anew: rows published before are then there twice.
//!
//! Tables of engines without transactions (MyISAM) have no snapshot: a copied row may be newer than the stream, which then
//! shows the changes in between once more; in the end both are the same.

pub(crate) mod fence;
pub(crate) mod key;
pub(crate) mod progress;
mod publishing;
mod select;
mod tasks;
mod worker;

pub(crate) use fence::Mark;
pub(crate) use publishing::{Part, Publishing, Stage};
pub(crate) use tasks::{Joined, Snapshots};
