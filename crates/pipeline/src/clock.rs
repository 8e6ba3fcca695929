//! The only place where the engine reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic reading, for durations.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970-01-01T00:00:00Z, for timestamps that people and events see.
pub(crate) fn unix_micros() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}
