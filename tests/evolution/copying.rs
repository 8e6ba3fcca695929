//! Tables that change while they are copied.
