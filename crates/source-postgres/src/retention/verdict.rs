//! When a person should look, and what they are told: how long it will last, who holds the log, and the statement that
//! helps. Pure: numbers in, words out.

use std::time::Duration;

use change::{Concern, Holder, LogStatus, Retention, Severity, bytes_in_words, time_in_words};

use super::asking::TRANSACTION;
use super::forecast::{HALF, part};
use crate::sql;

/// A loss that is forecast within this time is told: a night and a working day to act.
const SOON: Duration = Duration::from_secs(24 * 3600);
/// Told again when less than this is left. Each is about an eighth of the one before.
const AGAIN: [Duration; 3] = [Duration::from_secs(3 * 3600), Duration::from_secs(20 * 60), Duration::from_secs(150)];
/// A part of the room from which on it is told even if nothing grows any more.
const MUCH: f64 = 0.5;

/// What the words need beside the numbers.
pub(super) struct Settings<'a> {
    pub(super) slot: &'a str,
    /// `max_slot_wal_keep_size`.
    pub(super) limit: Option<u64>,
}

/// How bad it is, in two respects, each 0 when all is well: the slot's status, and the time that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    status: u8,
    time: u8,
}

pub(super) fn level(retention: &Retention) -> Level {
    let status = match retention.status {
        LogStatus::Reserved => 0,
        LogStatus::Extended => 1,
        LogStatus::Unreserved => 2,
        LogStatus::Lost => 3,
    };
    Level { status, time: slot_time(retention).max(disk_time(retention)) }
}

fn slot_time(retention: &Retention) -> u8 {
    let Some(safe) = retention.safe_bytes else { return 0 };
    rung(part(retention.retained_bytes, safe), retention.lost_in)
}

fn disk_time(retention: &Retention) -> u8 {
    let Some(disk) = &retention.disk else { return 0 };
    rung(part(disk.used_bytes, disk.left_bytes()), disk.full_in)
}

fn rung(part: f64, left: Option<Duration>) -> u8 {
    let much = u8::from(part >= MUCH);
    let Some(left) = left.filter(|left| *left < SOON) else { return much };
    1 + AGAIN.iter().map(|again| u8::from(left < *again)).sum::<u8>()
}

/// What is said now, if anything.
pub(super) fn concern(retention: &Retention, settings: &Settings<'_>) -> Option<Concern> {
    let level = level(retention);
    if level == Level::default() {
        return None;
    }
    let slot = settings.slot;
    if retention.status == LogStatus::Lost {
        return Some(Concern {
            severity: Severity::Problem,
            what: format!("slot {slot} is lost: the server has given up log that it still needed"),
            help: format!(
                "{} {} then `headwater accept gap` says what is lost and goes on",
                sql::drop_slot(slot),
                sql::create_slot(slot)
            ),
        });
    }
    let mut said = Vec::new();
    if level.status > 0 || slot_time(retention) > 0 {
        said.push(about_slot(retention, settings));
    }
    if disk_time(retention) > 0 {
        said.extend(about_disk(retention));
    }
    let (why, help) = reason(retention, settings);
    said.push(why);
    Some(Concern { severity: Severity::Warning, what: said.join("; "), help })
}

fn about_slot(retention: &Retention, settings: &Settings<'_>) -> String {
    let slot = settings.slot;
    let kept = bytes_in_words(retention.retained_bytes);
    let limit = settings.limit.map_or_else(String::new, |limit| format!(" ({})", bytes_in_words(limit)));
    if retention.status == LogStatus::Unreserved {
        return format!(
            "slot {slot} is about to be lost: it needs {kept} of log, more than max_slot_wal_keep_size{limit} keeps, and the \
             server's next checkpoint removes it"
        );
    }
    let Some(safe) = retention.safe_bytes else {
        return format!(
            "slot {slot} keeps {kept} of log, more than max_wal_size, and max_slot_wal_keep_size sets no limit to it: the \
             disk can fill"
        );
    };
    let left = bytes_in_words(u64::try_from(safe).unwrap_or(0));
    match (retention.lost_in, retention.outage_in_hand) {
        (Some(time), _) => format!(
            "slot {slot} keeps {kept} of log and may keep {left} more: at this rate it is lost in {}",
            time_in_words(time)
        ),
        (None, Some(time)) => format!(
            "slot {slot} keeps {kept} of log and may keep {left} more: if nothing is confirmed any more it is lost in {}",
            time_in_words(time)
        ),
        (None, None) => format!("slot {slot} keeps {kept} of log and may keep {left} more before it is lost"),
    }
}

fn about_disk(retention: &Retention) -> Option<String> {
    let disk = retention.disk.as_ref()?;
    let (used, granted) = (bytes_in_words(disk.used_bytes), bytes_in_words(disk.granted_bytes));
    let when = match disk.full_in {
        Some(Duration::ZERO) => ": nothing is left".to_owned(),
        Some(time) => format!(": at this rate it is full in {}", time_in_words(time)),
        None => String::new(),
    };
    Some(format!("the server's log takes {used} of the {granted} that source.wal_disk grants it{when}"))
}

/// Who keeps the log, and what that one can do.
fn reason(retention: &Retention, settings: &Settings<'_>) -> (String, String) {
    // A slot that keeps more than ours decides over the disk, whatever we do.
    let other = retention.holders.iter().find(|holder| holder.kind == "slot" && holder.holds_log);
    if let Some(other) = other
        && slot_time(retention) == 0
        && disk_time(retention) > 0
    {
        let kept = other.log_bytes.map_or_else(String::new, |bytes| format!(" {}", bytes_in_words(bytes)));
        let what = format!("{} keeps{kept}", describe(other));
        return (what, format!("if nobody needs it: {}", sql::drop_slot(&other.name)));
    }
    if retention.unconfirmed_bytes >= retention.retained_bytes / 2 {
        let what = format!("headwater has not confirmed {} of it", bytes_in_words(retention.unconfirmed_bytes));
        return (
            what,
            format!(
                "see `state` and `reason` at /status: log is let go as soon as its events are in Kafka.{}",
                more_room(settings)
            ),
        );
    }
    let transaction = |kind| move |holder: &&Holder| holder.kind == kind && holder.holds_log;
    if let Some(holder) = retention.holders.iter().find(transaction(TRANSACTION)) {
        return (format!("an open transaction keeps it: {}", describe(holder)), end_it(holder));
    }
    if let Some(holder) = retention.holders.iter().find(transaction("prepared transaction")) {
        return (format!("{} keeps it", describe(holder)), end_it(holder));
    }
    let what = "headwater has confirmed nearly all of it, and no open transaction is seen that keeps it";
    (
        what.to_owned(),
        "the server lets it go when it has noted a later place to restart: CHECKPOINT; makes it do so".to_owned(),
    )
}

/// How a transaction ends. Whether its work is wanted, only a person knows.
pub(super) fn end_it(holder: &Holder) -> String {
    match holder.pid {
        Some(pid) => format!("commit it, or end it: SELECT pg_terminate_backend({pid});"),
        None => {
            let name = sql::literal(&holder.name);
            let name = name.trim_start();
            format!("COMMIT PREPARED {name}; or ROLLBACK PREPARED {name};")
        }
    }
}

/// The statement that wins time.
fn more_room(settings: &Settings<'_>) -> String {
    settings.limit.map_or_else(String::new, |limit| {
        let gigabytes = limit.saturating_mul(2).div_ceil(1 << 30);
        format!(
            " To win time, if the disk bears it: ALTER SYSTEM SET max_slot_wal_keep_size = '{gigabytes}GB'; SELECT \
             pg_reload_conf();"
        )
    })
}

/// `pid 4711 (app "billing", user app, idle in transaction, for 3 h 12 min): UPDATE …`
pub(super) fn describe(holder: &Holder) -> String {
    let named = |kind: &str| format!("{kind} {}", holder.name);
    let pid = holder.pid.map(|pid| format!("pid {pid}"));
    let is_transaction = holder.kind == TRANSACTION;
    let subject = match &pid {
        Some(pid) if is_transaction => pid.clone(),
        _ => named(holder.kind),
    };
    let facts: Vec<String> = [
        (is_transaction && !holder.name.is_empty()).then(|| format!("application {:?}", holder.name)),
        pid.filter(|_| !is_transaction),
        (!holder.user.is_empty()).then(|| format!("user {}", holder.user)),
        Some(holder.state.clone()).filter(|state| !state.is_empty()),
        holder.age.map(|age| format!("for {}", time_in_words(age))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let query = if holder.query.is_empty() { String::new() } else { format!(": {}", holder.query) };
    format!("{subject}{facts}{query}")
}

/// What the log says after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Nothing,
    /// It is worse than what was said last.
    Worse,
    /// It has been well for a while.
    Over,
}

/// Remembers what was said, so that it is said once.
#[derive(Debug, Default)]
pub(super) struct Teller {
    said: Level,
    well: usize,
}

impl Teller {
    pub(super) fn hear(&mut self, level: Level) -> Say {
        if level == Level::default() {
            self.well += 1;
            // A saw touches the ground between its teeth.
            if self.said == level || self.well < HALF {
                return Say::Nothing;
            }
            self.said = level;
            return Say::Over;
        }
        self.well = 0;
        let worse = level.status > self.said.status || level.time > self.said.time;
        self.said = Level { status: self.said.status.max(level.status), time: self.said.time.max(level.time) };
        if worse { Say::Worse } else { Say::Nothing }
    }
}
