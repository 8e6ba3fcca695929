//! How a request is tried again: doubled waits with jitter, and the registry's own `Retry-After` where it sends one.

use std::time::Duration;

/// A registry may ask for a longer wait than our own bound, but not for ever.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The waits between attempts. How long to go on is the caller's decision, by a deadline or by dropping the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Before the second attempt.
    pub first: Duration,
    /// Between later ones at most.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        // A restart of the registry takes seconds; a dead one is not asked more than every ten.
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// The wait after the `attempt`th failure (from 1): between half and the whole of the doubled time, so that many
    /// pipelines do not come back at once.
    pub fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let wait = doubled.min(self.longest).mul_f64(0.5 + fastrand::f64() / 2.0);
        wait.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }
}

/// One failed attempt that will be repeated; given to the callback of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// What was asked, without credentials.
    pub url: String,
    /// From 1.
    pub attempt: u32,
    pub wait: Duration,
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::RetryPolicy;
    use std::time::Duration;

    #[test]
    fn waits_double_up_to_the_bound() {
        let policy = RetryPolicy { first: Duration::from_millis(100), longest: Duration::from_secs(1) };
        for (attempt, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (40, 1000), (u32::MAX, 1000)] {
            let wait = policy.wait(attempt, None);
            assert!(
                wait <= Duration::from_millis(full) && wait >= Duration::from_millis(full / 2),
                "{attempt} {wait:?}"
            );
        }
    }

    #[test]
    fn the_registrys_own_wish_counts_within_reason() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(86_400))), Duration::from_secs(300));
    }
}
