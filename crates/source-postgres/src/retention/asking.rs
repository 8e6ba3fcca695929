//! What the server is asked about the slot and about those who hold log or old rows.
//!
//! `pg_replication_slots` keeps log for a slot from its `restart_lsn` on. That is where decoding would have to restart: before
//! the first record of the oldest transaction that was still open at what the slot has confirmed. So one open transaction that
//! has written anything, anywhere on the server, holds our log however fast we read. `pg_stat_activity` names it by its
//! `backend_xid`; without membership in `pg_monitor` (or `pg_read_all_stats`) pid and ids are seen, but not what it does.

use std::time::Duration;

use change::{Holder, LogStatus};

use super::forecast::Reading;
use super::masking;
use crate::catalog::{self, field, flag, number};
use crate::connection::{Connection, Row};
use crate::error::Error;
use crate::sql;

/// The log's end; on a standby that of what it has replayed.
const END: &str = "(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)";

/// A transaction that ends sooner holds nothing worth a name.
const SHORTEST: &str = "interval '5 s'";

/// What one look found.
pub(super) struct Seen {
    pub(super) reading: Reading,
    /// Whether `pg_ls_waldir()` may be called.
    pub(super) may_list: bool,
}

/// The slot now; `None`: there is none. `at` is the caller's clock.
pub(super) fn slot(control: &mut Connection, name: &str, at: Duration) -> Result<Option<Seen>, Error> {
    let doing = format!("asking what slot {name} keeps");
    let rows = control.query(
        &doing,
        &format!(
            "SELECT {END}, s.restart_lsn, s.confirmed_flush_lsn, coalesce(s.wal_status, ''), s.safe_wal_size, \
             (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
             (SELECT setting FROM pg_settings WHERE name = 'max_wal_size'), \
             has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute') \
             FROM pg_replication_slots s WHERE s.slot_name = {}",
            sql::literal(name)
        ),
    )?;
    let Some(row) = rows.first() else { return Ok(None) };
    let reading = Reading {
        at,
        end: number(row, 0, &doing)?,
        restart: optional(row, 1, &doing)?,
        confirmed: optional(row, 2, &doing)?,
        status: match field(row, 3, &doing)? {
            "extended" => LogStatus::Extended,
            "unreserved" => LogStatus::Unreserved,
            "lost" => LogStatus::Lost,
            _ => LogStatus::Reserved,
        },
        safe: optional(row, 4, &doing)?,
        limit: u64::try_from(number::<i64>(row, 5, &doing)?).ok().map(mebibytes),
        max_wal_size: mebibytes(number(row, 6, &doing)?),
        log_files: None,
    };
    Ok(Some(Seen { reading, may_list: flag(row, 7) }))
}

/// Both settings are counted in MiB.
fn mebibytes(number: u64) -> u64 {
    number.saturating_mul(1 << 20)
}

fn optional<T: std::str::FromStr>(row: &Row, index: usize, doing: &str) -> Result<Option<T>, Error> {
    match row.get(index) {
        Some(Some(text)) => text.parse().map(Some).map_err(|_| catalog::strange(doing)),
        _ => Ok(None),
    }
}

/// What all files of the log take.
pub(super) fn log_files(control: &mut Connection) -> Result<u64, Error> {
    let doing = "summing up the log's files";
    let rows = control.query(doing, "SELECT coalesce(sum(size), 0)::bigint FROM pg_ls_waldir()")?;
    number(rows.first().ok_or_else(|| catalog::strange(doing))?, 0, doing)
}

/// Those who hold most, by kind; our own slot is not among them.
pub(super) fn holders(control: &mut Connection, slot: &str) -> Result<Vec<Holder>, Error> {
    let doing = "asking who holds log or old rows";
    let rows = control.query(doing, &holders_sql(slot))?;
    let mut holders = Vec::new();
    for row in &rows {
        let kind = field(row, 0, doing)?;
        // Without a right to see it the server writes a notice in its place.
        let query = field(row, 9, doing)?;
        holders.push(Holder {
            kind: ["slot", "prepared transaction", "standby"]
                .into_iter()
                .find(|known| *known == kind)
                .unwrap_or(TRANSACTION),
            name: field(row, 1, doing)?.to_owned(),
            pid: optional(row, 2, doing)?,
            user: field(row, 3, doing)?.to_owned(),
            state: field(row, 4, doing)?.to_owned(),
            age: optional::<i64>(row, 5, doing)?
                .map(|seconds| Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            holds_log: flag(row, 6),
            holds_rows: flag(row, 7),
            log_bytes: optional(row, 8, doing)?,
            query: if query.starts_with("<insufficient privilege>") { String::new() } else { masking::masked(query) },
        });
    }
    Ok(holders)
}

/// The kind of a transaction in `pg_stat_activity`.
pub(super) const TRANSACTION: &str = "transaction";

/// One statement, so that all are seen at one moment. Autovacuum's own transactions hold nothing back; senders to
/// standbys are listed as what they are.
fn holders_sql(slot: &str) -> String {
    let transactions = format!(
        "SELECT '{TRANSACTION}', coalesce(a.application_name, ''), a.pid, coalesce(a.usename, ''), \
         concat_ws(', ', a.state, a.wait_event), extract(epoch FROM now() - a.xact_start)::bigint, \
         a.backend_xid IS NOT NULL, true, NULL::bigint, coalesce(left(a.query, 1000), '') FROM pg_stat_activity a \
         WHERE a.pid <> pg_backend_pid() AND a.leader_pid IS NULL \
         AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender') \
         AND (a.xact_start IS NULL OR a.xact_start < now() - {SHORTEST})"
    );
    let own = format!("(SELECT * FROM pg_replication_slots WHERE slot_name = {})", sql::literal(slot));
    format!(
        "({transactions} AND a.backend_xid IS NOT NULL ORDER BY age(a.backend_xid) DESC LIMIT 2) \
         UNION ({transactions} AND a.backend_xmin IS NOT NULL ORDER BY age(a.backend_xmin) DESC LIMIT 1) \
         UNION ALL (SELECT 'prepared transaction', p.gid, NULL, p.owner, '', \
         extract(epoch FROM now() - p.prepared)::bigint, true, true, NULL, '' FROM pg_prepared_xacts p \
         ORDER BY age(p.transaction) DESC LIMIT 2) \
         UNION ALL (SELECT 'slot', s.slot_name, s.active_pid, '', \
         CASE WHEN s.active THEN 'in use' ELSE 'not in use' END || coalesce(', ' || s.wal_status, ''), NULL, \
         coalesce(s.restart_lsn < own.restart_lsn, false), s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL, \
         pg_wal_lsn_diff({END}, s.restart_lsn)::bigint, '' FROM pg_replication_slots s LEFT JOIN {own} own ON true \
         WHERE s.slot_name IS DISTINCT FROM own.slot_name AND (coalesce(s.restart_lsn < own.restart_lsn, own IS NULL) \
         OR coalesce(greatest(age(s.xmin), age(s.catalog_xmin)) > age(own.catalog_xmin), false)) \
         ORDER BY s.restart_lsn LIMIT 3) \
         UNION ALL (SELECT 'standby', coalesce(r.application_name, ''), r.pid, coalesce(r.usename, ''), \
         coalesce(r.state, ''), NULL, false, true, NULL, '' FROM pg_stat_replication r \
         WHERE r.backend_xmin IS NOT NULL ORDER BY age(r.backend_xmin) DESC LIMIT 1)"
    )
}
