//! What `headwater doctor` says of the log that the server keeps: its limit, who holds it now, and what can be watched.

use std::time::Duration;

use change::{Finding, Holder, Severity, bytes_in_words};

use super::asking::{self, TRANSACTION};
use super::verdict::{describe, end_it};
use crate::catalog::{self, field, flag, number};
use crate::config::Config;
use crate::connection::Connection;
use crate::error::Error;
use crate::sql;

const LIMIT: &str = "max_slot_wal_keep_size";

/// A transaction that is open for longer is named: migrations and reports end sooner.
const LONG: Duration = Duration::from_secs(300);

/// Looks at the settings and at those who hold log.
pub(crate) fn check(control: &mut Connection, config: &Config) -> Result<Vec<Finding>, Error> {
    let doing = "reading the limits of the log";
    let rows = control.query(
        doing,
        "SELECT (SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'), \
         (SELECT setting::bigint FROM pg_settings WHERE name = 'max_wal_size'), \
         has_function_privilege('pg_catalog.pg_ls_waldir()', 'execute'), current_user, \
         coalesce(nullif(current_setting('idle_replication_slot_timeout', true), ''), '0')",
    )?;
    let row = rows.first().ok_or_else(|| catalog::strange(doing))?;
    let limit = u64::try_from(number::<i64>(row, 0, doing)?).ok();
    let mut findings = vec![judge_limit(limit, number(row, 1, doing)?, config.wal_disk)];
    findings.extend(judge_idle_timeout(field(row, 4, doing)?));
    if config.wal_disk.is_some() && !flag(row, 2) {
        findings.push(Finding {
            severity: Severity::Warning,
            subject: "source.wal_disk".to_owned(),
            what: "is set, but the role may not count the log's files: the disk is not watched".to_owned(),
            help: Some(format!("GRANT pg_monitor TO {};", sql::plain(field(row, 3, doing)?))),
        });
    }
    findings.extend(asking::holders(control, &config.slot)?.iter().filter_map(judge_holder));
    Ok(findings)
}

/// Sizes are in MiB, `wal_disk` in bytes.
fn judge_limit(limit: Option<u64>, max_wal_size: u64, wal_disk: Option<u64>) -> Finding {
    let set = |mebibytes: u64, remark: &str| {
        Some(format!("ALTER SYSTEM SET {LIMIT} = '{mebibytes}MB'; SELECT pg_reload_conf(); -- {remark}"))
    };
    // As much as is granted less what the server takes for itself; else a size that most disks bear.
    let fitting = wal_disk.map(|bytes| (bytes >> 20).saturating_sub(max_wal_size)).filter(|size| *size > max_wal_size);
    let shown = |mebibytes: u64| bytes_in_words(mebibytes.saturating_mul(1 << 20));
    let (severity, what, help) = match limit {
        None => (
            Severity::Warning,
            "is unlimited: while headwater is down, the log it needs can fill the disk, and then the server stops"
                .to_owned(),
            set(fitting.unwrap_or(51_200), "as the disk allows"),
        ),
        Some(limit) if limit < max_wal_size => (
            Severity::Warning,
            format!(
                "{}: less than max_wal_size ({}), which the server writes between two checkpoints; a standstill of minutes \
                 loses the slot",
                shown(limit),
                shown(max_wal_size)
            ),
            set(
                fitting.unwrap_or_else(|| max_wal_size.saturating_mul(4)),
                "several times max_wal_size, as the disk allows",
            ),
        ),
        Some(limit) => {
            (Severity::Good, format!("{}: a longer standstill loses the slot, not the disk", shown(limit)), None)
        }
    };
    Finding { severity, subject: LIMIT.to_owned(), what, help }
}

/// Since PostgreSQL 18 the server gives up slots that nobody reads for some time.
fn judge_idle_timeout(timeout: &str) -> Option<Finding> {
    (timeout != "0").then(|| Finding {
        severity: Severity::Warning,
        subject: "idle_replication_slot_timeout".to_owned(),
        what: format!("is {timeout}: the server gives the slot up when headwater is away for longer"),
        help: Some(
            "ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); -- max_slot_wal_keep_size guards \
             the disk"
                .to_owned(),
        ),
    })
}

fn judge_holder(holder: &Holder) -> Option<Finding> {
    let kept = holder.log_bytes.map_or_else(String::new, |bytes| format!(" {}", bytes_in_words(bytes)));
    let (what, help) = match holder.kind {
        "slot" if holder.holds_log => {
            let what = format!("{} keeps{kept} of log, more than ours", describe(holder));
            (what, format!("if nobody needs it: {}", sql::drop_slot(&holder.name)))
        }
        TRANSACTION | "prepared transaction" if holder.holds_log && holder.age.is_some_and(|age| age >= LONG) => {
            (format!("{}: the server keeps the log since it began", describe(holder)), end_it(holder))
        }
        _ => return None,
    };
    Some(Finding { severity: Severity::Warning, subject: "log".to_owned(), what, help: Some(help) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_neither_missing_nor_tiny() {
        let of = |limit, wal_disk| {
            let finding = judge_limit(limit, 1024, wal_disk);
            (finding.severity, finding.what, finding.help.unwrap_or_default())
        };
        let (severity, what, help) = of(None, None);
        assert_eq!(severity, Severity::Warning);
        assert!(
            what.contains("can fill the disk") && help.contains("= '51200MB'; SELECT pg_reload_conf();"),
            "{what} {help}"
        );
        assert!(of(None, Some(20 << 30)).2.contains("= '19456MB'"));
        assert!(of(None, Some(2 << 30)).2.contains("= '51200MB'"));
        let (severity, what, help) = of(Some(1023), None);
        assert_eq!(severity, Severity::Warning);
        assert!(
            what.starts_with("1023.0 MiB: less than max_wal_size (1.0 GiB)") && help.contains("'4096MB'"),
            "{what} {help}"
        );
        let (severity, what, help) = of(Some(1024), None);
        assert_eq!((severity, help.as_str()), (Severity::Good, ""));
        assert!(what.starts_with("1.0 GiB: "), "{what}");
    }

    #[test]
    fn slots_that_expire_are_named() {
        assert_eq!(judge_idle_timeout("0"), None);
        assert!(judge_idle_timeout("1d").unwrap().what.contains("is 1d"));
    }
}
