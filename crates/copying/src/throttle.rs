//! How fast copies may read: so many bytes a second, all tables together.

use std::time::{Duration, Instant};

/// Whoever has read pays with time. The clock is the caller's.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: Option<u64>,
    free_at: Option<Instant>,
}

impl Throttle {
    /// `None`: no limit.
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second: bytes_per_second.filter(|&rate| rate > 0), free_at: None }
    }

    /// So many bytes were read.
    pub fn spend(&mut self, bytes: usize, now: Instant) {
        let Some(rate) = self.bytes_per_second else { return };
        let price = Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free_at = self.free_at.unwrap_or(now).max(now).checked_add(price);
    }

    /// Whether something may be read now.
    pub fn allows(&self, now: Instant) -> bool {
        self.free_at.is_none_or(|free_at| free_at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_no_more_is_read_than_the_limit_allows() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut throttle = Throttle::new(Some(1000));
        let mut read = 0;
        for millis in 0..10_000 {
            if throttle.allows(at(millis)) {
                // Two workers at once.
                for bytes in [300, 500] {
                    throttle.spend(bytes, at(millis));
                    read += bytes;
                }
            }
        }
        assert!((10_000..=10_800).contains(&read), "{read} bytes in 10 s");
        let mut free = Throttle::new(None);
        free.spend(usize::MAX, begin);
        assert!(free.allows(begin));
    }
}
