//! What copies of tables have in common, whichever database the tables are in: what the log has touched meanwhile, how fast
//! may be read, and how wishes from outside become durable. What a transaction is called and what a snapshot sees is each
//! source's own; so is the argument why its copies are right (`snapshot/mod.rs` there).

mod outside;
mod throttle;
mod touched;

pub use outside::{Note, Outside};
pub use throttle::Throttle;
pub use touched::{Sees, Touched, Verdict};

/// Whether tables are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snapshot {
    /// Each table once, when it joins.
    Initial,
    /// Only changes are published.
    #[default]
    Never,
}
