//! From readings of the slot to how long it can go on. Pure: readings in, numbers out.
//!
//! **Two different questions.** *How long may an outage last?* What may still be written, divided by how fast the log is
//! written; a server under load has such a number however well headwater keeps up. *When is the slot lost?* Only if what
//! it keeps grows. The server moves `restart_lsn` in jumps (it notes where decoding could restart every 15 s, and at
//! checkpoints), so on a healthy server what is kept is a saw: it grows, falls, grows. Two neighbouring readings on a
//! rising tooth would announce a loss that never comes. The lowest points of a saw do not rise, those of a true growth do:
//! so the lowest of the newer readings is compared with the lowest of the older ones. For a steady growth both are the
//! first of their half, and the result is exact. And below a tenth of the room nothing is forecast: a start, or a
//! transaction of a minute, is no trend.
//!
//! **The disk** is judged likewise, but only beyond `max_wal_size`: up to there the server's log grows and shrinks between
//! checkpoints by itself.

use std::collections::VecDeque;
use std::time::Duration;

use change::{LogDisk, LogStatus};

use crate::lsn::Lsn;

/// How many readings are older and how many newer. With one every 10 s a half is a minute: longer than the 15 s between
/// the server's jumps, short enough that a stall is forecast two minutes after it began.
pub(crate) const HALF: usize = 6;

/// The part of the room below which nothing is forecast. A server that writes much is always within hours of its limit.
const NOTABLE: f64 = 0.1;

/// How much of a room is used; infinite when nothing is left of it.
pub(super) fn part(used: u64, left: i64) -> f64 {
    if left <= 0 { f64::INFINITY } else { used as f64 / (used as f64 + left as f64) }
}

/// The slot and the log at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// On a clock that never jumps.
    pub(crate) at: Duration,
    /// The end of the log.
    pub(crate) end: Lsn,
    /// `None`: the slot has lost it.
    pub(crate) restart: Option<Lsn>,
    pub(crate) confirmed: Option<Lsn>,
    pub(crate) status: LogStatus,
    /// `safe_wal_size` of `pg_replication_slots`; null without a limit, and for a lost slot.
    pub(crate) safe: Option<i64>,
    /// `max_slot_wal_keep_size` in bytes; `None`: no limit.
    pub(crate) limit: Option<u64>,
    /// `max_wal_size` in bytes.
    pub(crate) max_wal_size: u64,
    /// The sum of `pg_ls_waldir()`, where it may be asked and matters.
    pub(crate) log_files: Option<u64>,
}

impl Reading {
    pub(crate) fn retained(&self) -> u64 {
        self.restart.map_or(0, |restart| self.end.0.saturating_sub(restart.0))
    }

    /// Never more than what is retained: a slot that is made begins after the log that it keeps.
    pub(crate) fn unconfirmed(&self) -> u64 {
        let confirmed =
            self.confirmed.map_or_else(|| self.retained(), |confirmed| self.end.0.saturating_sub(confirmed.0));
        confirmed.min(self.retained())
    }
}

/// The last readings, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(VecDeque<Reading>);

impl History {
    pub(crate) fn push(&mut self, reading: Reading) {
        // A log that ends earlier than before is another log: a restored backup, another server behind the same name.
        if self.0.back().is_some_and(|last| reading.end < last.end || reading.at <= last.at) {
            self.0.clear();
        }
        if self.0.len() == 2 * HALF {
            self.0.pop_front();
        }
        self.0.push_back(reading);
    }

    pub(crate) fn last(&self) -> Option<&Reading> {
        self.0.back()
    }

    /// Bytes a second that the server writes.
    pub(crate) fn written(&self) -> Option<f64> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let time = last.at.checked_sub(first.at).filter(|time| !time.is_zero())?;
        Some((last.end.0 - first.end.0) as f64 / time.as_secs_f64())
    }

    /// Bytes a second by which the lowest points rise; `None` if they do not, or while there are too few readings.
    fn growth(&self, value: impl Fn(&Reading) -> Option<u64>) -> Option<f64> {
        if self.0.len() < 2 * HALF {
            return None;
        }
        let lowest = |from: usize| {
            let values: Option<Vec<u64>> = self.0.range(from..from + HALF).map(&value).collect();
            values?.into_iter().min()
        };
        let (older, newer) = (lowest(0)?, lowest(HALF)?);
        let time = self.0.get(HALF)?.at.checked_sub(self.0.front()?.at)?;
        let rise = newer.checked_sub(older).filter(|rise| *rise > 0)?;
        Some(rise as f64 / time.as_secs_f64())
    }

    /// When the slot is lost if what it keeps goes on growing.
    pub(crate) fn lost_in(&self) -> Option<Duration> {
        let last = self.last()?;
        if last.status >= LogStatus::Unreserved {
            return Some(Duration::ZERO);
        }
        let safe = last.safe.filter(|safe| part(last.retained(), *safe) >= NOTABLE)?;
        until(safe, self.growth(|reading| Some(reading.retained()))?)
    }

    /// When the slot is lost if nothing is confirmed from now on.
    pub(crate) fn outage_in_hand(&self) -> Option<Duration> {
        until(self.last()?.safe?, self.written()?)
    }

    /// The room of the log, if a size was granted and the files could be counted.
    pub(crate) fn disk(&self, granted: Option<u64>) -> Option<LogDisk> {
        let last = self.last()?;
        let mut disk = LogDisk { granted_bytes: granted?, used_bytes: last.log_files?, full_in: None };
        disk.full_in = if disk.left_bytes() <= 0 {
            Some(Duration::ZERO)
        } else if disk.used_bytes > last.max_wal_size && part(disk.used_bytes, disk.left_bytes()) >= NOTABLE {
            self.growth(|reading| reading.log_files).and_then(|growth| until(disk.left_bytes(), growth))
        } else {
            None
        };
        Some(disk)
    }
}

/// Until so many bytes are written at this speed; `None` if that is never, or beyond all reckoning.
fn until(bytes: i64, per_second: f64) -> Option<Duration> {
    if bytes <= 0 {
        return Some(Duration::ZERO);
    }
    (per_second > 0.0).then(|| Duration::try_from_secs_f64(bytes as f64 / per_second).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Every ten seconds; the log's end and the slot's start in MiB, and a limit of 1000 MiB.
    fn reading(number: u64, end: u64, restart: u64) -> Reading {
        let retained = end - restart;
        Reading {
            at: Duration::from_secs(number * 10),
            end: Lsn(end * MIB),
            restart: Some(Lsn(restart * MIB)),
            confirmed: Some(Lsn(restart * MIB)),
            status: LogStatus::Reserved,
            safe: Some((1000 - i64::try_from(retained).unwrap()) * (1 << 20)),
            limit: Some(1000 * MIB),
            max_wal_size: 100 * MIB,
            log_files: None,
        }
    }

    fn history(readings: impl IntoIterator<Item = Reading>) -> History {
        let mut history = History::default();
        readings.into_iter().for_each(|reading| history.push(reading));
        history
    }

    #[test]
    fn a_slot_that_stands_still_is_lost_when_its_limit_is_written() {
        // 5 MiB/s are written, nothing is confirmed: at the 12th reading 550 MiB are kept, 450 are left.
        let history = history((0..12).map(|n| reading(n, 100 + n * 50, 100)));
        assert_eq!(history.last().unwrap().retained(), 550 * MIB);
        assert_eq!(history.written(), Some(5.0 * MIB as f64));
        assert_eq!(history.lost_in(), Some(Duration::from_secs(90)));
        assert_eq!(history.outage_in_hand(), Some(Duration::from_secs(90)));
    }

    #[test]
    fn a_slot_that_follows_slowly_is_lost_later_than_in_an_outage() {
        // 5 MiB/s are written, 4 MiB/s confirmed: 110 MiB are kept, 890 left, at 1 MiB/s and at 5 MiB/s.
        let history = history((0..12).map(|n| reading(n, 100 + n * 50, 100 + n * 40)));
        assert_eq!(history.lost_in(), Some(Duration::from_secs(890)));
        assert_eq!(history.outage_in_hand(), Some(Duration::from_secs(178)));
    }

    #[test]
    fn a_saw_is_no_growth() {
        // The slot jumps to the log's end with every third reading.
        let history = history((0..12).map(|n| reading(n, 100 + n * 50, 100 + n / 3 * 150)));
        assert_eq!(history.last().unwrap().retained(), 100 * MIB);
        assert_eq!(history.lost_in(), None);
        assert_eq!(history.outage_in_hand(), Some(Duration::from_secs(180)));
    }

    #[test]
    fn below_a_tenth_of_the_room_nothing_is_forecast() {
        let at_the_end = |kept: u64| history((0..12).map(|n| reading(n, 100 + kept - 11 + n, 100))).lost_in();
        assert_eq!((at_the_end(99), at_the_end(100)), (None, Some(Duration::from_secs(9_000))));
    }

    #[test]
    fn a_forecast_needs_readings_and_an_outage_only_two() {
        let mut history = history((0..11).map(|n| reading(n, 100 + n * 50, 100)));
        assert_eq!(history.lost_in(), None);
        history.push(reading(11, 650, 100));
        assert!(history.lost_in().is_some());
        let mut fresh = History::default();
        assert_eq!((fresh.written(), fresh.outage_in_hand(), fresh.last()), (None, None, None));
        fresh.push(reading(0, 100, 100));
        assert_eq!((fresh.written(), fresh.outage_in_hand()), (None, None));
        fresh.push(reading(1, 200, 100));
        assert_eq!(fresh.outage_in_hand(), Some(Duration::from_secs(90)));
    }

    #[test]
    fn an_idle_server_loses_nothing() {
        let history = history((0..12).map(|n| reading(n, 500, 100)));
        assert_eq!((history.lost_in(), history.outage_in_hand(), history.written()), (None, None, Some(0.0)));
    }

    #[test]
    fn without_a_limit_nothing_is_lost() {
        let unlimited = |n| Reading { safe: None, limit: None, ..reading(n, 100 + n * 50, 100) };
        let history = history((0..12).map(unlimited));
        assert_eq!((history.lost_in(), history.outage_in_hand()), (None, None));
    }

    #[test]
    fn what_may_be_removed_now_has_no_time_left() {
        let mut history = history([reading(0, 1200, 100)]);
        assert_eq!(history.last().unwrap().safe, Some(-100 * (1 << 20)));
        history.push(Reading { status: LogStatus::Unreserved, ..reading(1, 1200, 100) });
        assert_eq!((history.lost_in(), history.outage_in_hand()), (Some(Duration::ZERO), Some(Duration::ZERO)));
        history.push(Reading { status: LogStatus::Lost, restart: None, safe: None, ..reading(2, 1200, 100) });
        assert_eq!((history.lost_in(), history.outage_in_hand()), (Some(Duration::ZERO), None));
        assert_eq!(history.last().unwrap().retained(), 0);
    }

    #[test]
    fn another_log_begins_a_new_history() {
        let mut history = history((0..12).map(|n| reading(n, 100 + n * 50, 100)));
        history.push(reading(12, 90, 50));
        assert_eq!((history.written(), history.lost_in()), (None, None));
    }

    #[test]
    fn the_disk_is_full_when_its_files_have_grown_to_what_is_granted() {
        let files = |n: u64, mib: u64| Reading { log_files: Some(mib * MIB), ..reading(n, 100 + n * 50, 100) };
        // 1 MiB/s: 310 MiB of 400 after the last.
        let growing = history((0..12).map(|n| files(n, 200 + n * 10)));
        let disk = growing.disk(Some(400 * MIB)).unwrap();
        assert_eq!((disk.used_bytes, disk.left_bytes()), (310 * MIB, 90 << 20));
        assert_eq!(disk.full_in, Some(Duration::from_secs(90)));
        assert_eq!(growing.disk(Some(300 * MIB)).unwrap().full_in, Some(Duration::ZERO));
        assert_eq!(growing.disk(None), None);
        // As far as max_wal_size the server does that by itself.
        let breathing = history((0..12).map(|n| files(n, 10 + n * 5)));
        assert_eq!(breathing.disk(Some(400 * MIB)).unwrap().full_in, None);
        assert_eq!(growing.disk(Some(3101 * MIB)).unwrap().full_in, None);
        assert!(growing.disk(Some(3100 * MIB)).unwrap().full_in.is_some());
        let unknown = history((0..12).map(|n| reading(n, 100 + n * 50, 100)));
        assert_eq!(unknown.disk(Some(400 * MIB)), None);
    }

    #[test]
    fn what_is_not_confirmed_is_a_part_of_what_is_kept() {
        let of = |confirmed| Reading { confirmed, ..reading(0, 500, 100) }.unconfirmed() / MIB;
        assert_eq!(
            [of(Some(Lsn(450 * MIB))), of(None), of(Some(Lsn(50 * MIB))), of(Some(Lsn(501 * MIB)))],
            [50, 400, 400, 0]
        );
    }
}
