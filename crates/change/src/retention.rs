//! How much log the database keeps for a pipeline, how long that can go on, and who else makes it keep log.
//!
//! A source finds this out and writes it into a [`Watched`]; whoever shows it (a log, a page, a metric) reads it there. All
//! of it is counted in bytes of log and in time, which every database with a log has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Severity;

/// A value that one thread replaces and others look at. Cloning shares it.
#[derive(Debug, Default)]
pub struct Watched<T>(Arc<Mutex<T>>);

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Clone> Watched<T> {
    /// A copy of the value now.
    pub fn look(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

/// The log that the database keeps for this pipeline, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// When the database was asked, microseconds since 1970.
    pub measured_at: i64,
    /// Who keeps it, as people call it: `slot shop`.
    pub keeper: String,
    pub status: LogStatus,
    /// Bytes of log between the oldest that is kept for us and its end.
    pub retained_bytes: u64,
    /// The part of it that we have not confirmed yet. The rest is kept for the sake of somebody else.
    pub unconfirmed_bytes: u64,
    /// Bytes that may still be written before the database may give the log up. Negative: it may do so now. `None`: it
    /// never does, however full its disk is.
    pub safe_bytes: Option<i64>,
    /// How fast the database writes its log, whoever writes.
    pub written_per_second: Option<f64>,
    /// Forecast: when the log is given up if what is kept goes on growing as lately. `None`: it does not grow, or never is.
    pub lost_in: Option<Duration>,
    /// When the log is given up if nothing were confirmed from now on: how long an outage may last.
    pub outage_in_hand: Option<Duration>,
    /// `None`: not known.
    pub disk: Option<LogDisk>,
    /// Age of the oldest open transaction that the log is kept for; `None`: there is none.
    pub oldest_transaction: Option<Duration>,
    pub holders: Vec<Holder>,
    /// `None`: all is well.
    pub concern: Option<Concern>,
}

/// Whether the database still keeps what we need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStatus {
    /// Kept, and within what the database keeps anyway.
    Reserved,
    /// Kept for us, beyond what the database keeps anyway.
    Extended,
    /// Still there, but no longer kept: the next clean-up of the database removes it.
    Unreserved,
    /// Gone.
    Lost,
}

impl LogStatus {
    pub const ALL: [Self; 4] = [Self::Reserved, Self::Extended, Self::Unreserved, Self::Lost];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Extended => "extended",
            Self::Unreserved => "unreserved",
            Self::Lost => "lost",
        }
    }
}

/// The room that the log has, as the configuration grants it.
#[derive(Clone, Debug, PartialEq)]
pub struct LogDisk {
    pub granted_bytes: u64,
    /// What the whole log takes now, whoever it is kept for.
    pub used_bytes: u64,
    /// Forecast: when the room is used up if the log goes on growing as lately. `None`: it does not grow.
    pub full_in: Option<Duration>,
}

impl LogDisk {
    /// Negative: more than granted is used.
    pub fn left_bytes(&self) -> i64 {
        i64::try_from(self.granted_bytes).unwrap_or(i64::MAX).saturating_sub_unsigned(self.used_bytes)
    }
}

/// Who makes the database keep log, or versions of rows that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// `slot`, `transaction`, `prepared transaction`, `standby`.
    pub kind: &'static str,
    /// The name of a slot, a prepared transaction or an application; may be empty.
    pub name: String,
    pub pid: Option<i32>,
    pub user: String,
    /// How long already; `None`: not known, or we may not see it.
    pub age: Option<Duration>,
    /// What it does, in the database's own words.
    pub state: String,
    /// The statement without its literals.
    pub query: String,
    /// It keeps log.
    pub holds_log: bool,
    /// It keeps vacuum, or purge, from removing old versions of rows.
    pub holds_rows: bool,
    /// Bytes of log that it keeps, where that is known.
    pub log_bytes: Option<u64>,
}

/// Why a person should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// A warning, or a problem: then it is too late to prevent it.
    pub severity: Severity,
    pub what: String,
    /// The exact next step.
    pub help: String,
}

/// `3 h 12 min`: the two largest units.
pub fn time_in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..600 => format!("{minutes} min {} s", seconds % 60),
        600..3_600 => format!("{minutes} min"),
        3_600..86_400 => format!("{hours} h {minutes} min"),
        86_400..864_000 => format!("{days} d {hours} h"),
        864_000..86_400_000 => format!("{days} days"),
        _ => "more than 1000 days".to_owned(),
    }
}

/// `43.1 GiB`
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units() {
        let words = |seconds| time_in_words(Duration::from_secs(seconds));
        assert_eq!([words(0), words(59), words(61), words(599)], ["0 s", "59 s", "1 min 1 s", "9 min 59 s"]);
        assert_eq!([words(3_599), words(11_520), words(90_000)], ["59 min", "3 h 12 min", "1 d 1 h"]);
        assert_eq!([words(864_000), words(u64::MAX)], ["10 days", "more than 1000 days"]);
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(
            [bytes_in_words(0), bytes_in_words(1023), bytes_in_words(1024)],
            ["0 bytes", "1023 bytes", "1.0 KiB"]
        );
        assert_eq!([bytes_in_words((1 << 20) - 1), bytes_in_words(46_278_272_615)], ["1.0 MiB", "43.1 GiB"]);
        assert_eq!(bytes_in_words(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn a_copy_sees_what_was_set() {
        let (one, other) = {
            let one = Watched::default();
            (one.clone(), one)
        };
        one.set(Some(7));
        assert_eq!(other.look(), Some(7));
    }

    #[test]
    fn more_than_granted_is_negative() {
        let disk = |granted_bytes, used_bytes| LogDisk { granted_bytes, used_bytes, full_in: None }.left_bytes();
        assert_eq!([disk(10, 3), disk(3, 10), disk(u64::MAX, 1)], [7, -7, i64::MAX - 1]);
    }
}
