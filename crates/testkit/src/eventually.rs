//! Waiting for something to become true, with a deadline and with what was last seen when it does not.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long to wait between two looks. Short enough not to matter in a test, long enough to leave the CPU to the servers.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks until `look` says yes; its error text is what was seen instead. The error of the whole names both.
pub fn eventually<T, E: std::fmt::Display>(
    deadline: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T> {
    let begin = Instant::now();
    loop {
        let seen = match look() {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if begin.elapsed() >= deadline {
            bail!("waited {deadline:?} for {what}; last seen: {seen:#}");
        }
        std::thread::sleep(INTERVAL);
    }
}
