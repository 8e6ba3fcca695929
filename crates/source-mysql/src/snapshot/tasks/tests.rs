//! The copies' bookkeeping without a server: what workers would answer is put in by hand.
