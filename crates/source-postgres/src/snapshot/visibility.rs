//! Which transactions a snapshot sees: `pg_current_snapshot()` in its text form, `xmin:xmax:xip,xip,…`
//! (`src/backend/utils/adt/xid8funcs.c`).

use std::fmt;
use std::str::FromStr;

use copying::Sees;

/// A snapshot of the server, by full (64-bit) transaction ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visibility {
    /// Everything before it is over.
    pub(crate) xmin: u64,
    /// Everything from here on had not begun.
    xmax: u64,
    /// Running between the two, in ascending order.
    running: Vec<u64>,
}

impl Visibility {
    /// Whether a transaction that has *committed*, as the log tells, had done so when the snapshot was taken. The log
    /// names it by the lower half of its id.
    pub(crate) fn sees(&self, xid: u32) -> bool {
        let full = self.full(xid);
        full < self.xmin || (full < self.xmax && self.running.binary_search(&full).is_err())
    }

    /// The id with these lower 32 bits that is nearest to the snapshot: transactions that are 2^31 apart never coexist.
    fn full(&self, xid: u32) -> u64 {
        let low = u32::try_from(self.xmax & u64::from(u32::MAX)).unwrap_or(0);
        let ahead = xid.wrapping_sub(low).cast_signed();
        self.xmax.wrapping_add_signed(i64::from(ahead))
    }
}

impl Sees<u32> for Visibility {
    fn sees(&self, transaction: &u32) -> bool {
        Self::sees(self, *transaction)
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        write!(f, "{}:{}:{}", self.xmin, self.xmax, running.join(","))
    }
}

/// A text that is no snapshot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a snapshot (expected xmin:xmax:xip,…)")]
pub(crate) struct ParseVisibilityError(String);

impl FromStr for Visibility {
    type Err = ParseVisibilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.splitn(3, ':');
            let (xmin, xmax) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let list = parts.next()?;
            let running = if list.is_empty() { Ok(Vec::new()) } else { list.split(',').map(str::parse).collect() };
            let mut running: Vec<u64> = running.ok()?;
            running.sort_unstable();
            Some(Self { xmin, xmax, running })
        };
        parse().ok_or_else(|| ParseVisibilityError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Visibility {
        text.parse().unwrap()
    }

    #[test]
    fn what_runs_or_has_not_begun_is_not_seen() {
        let snapshot = snapshot("10:15:10,12");
        let seen: Vec<u32> = (8..18).filter(|xid| snapshot.sees(*xid)).collect();
        assert_eq!(seen, [8, 9, 11, 13, 14]);
    }

    #[test]
    fn ids_wrap_around_every_four_billion() {
        let epoch = 1u64 << 32;
        let snapshot = snapshot(&format!("{}:{}:{}", epoch - 2, epoch + 3, epoch - 2));
        assert!(!snapshot.sees(u32::MAX - 1));
        for seen in [u32::MAX - 5, u32::MAX, 0, 2] {
            assert!(snapshot.sees(seen), "{seen}");
        }
        assert!(!snapshot.sees(3));
        assert!(!snapshot.sees(1000));
    }

    #[test]
    fn the_text_is_strict_and_comes_back() {
        for good in ["3:3:", "10:15:10,12"] {
            assert_eq!(snapshot(good).to_string(), good);
        }
        for bad in ["", "1", "1:2", "1:2:x", "a:b:", "1:2:3:4"] {
            assert!(bad.parse::<Visibility>().is_err(), "{bad}");
        }
    }
}
