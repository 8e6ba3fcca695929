//! The guard's words and when they are said.

use std::time::Duration;

use change::{Holder, LogDisk, LogStatus, Retention, Severity};

use super::verdict::{Level, Say, Settings, Teller, concern, describe, level};

const GIB: u64 = 1 << 30;
const HOUR: u64 = 3600;

fn calm() -> Retention {
    Retention {
        measured_at: 1,
        keeper: "slot shop".into(),
        status: LogStatus::Reserved,
        retained_bytes: GIB,
        unconfirmed_bytes: GIB,
        safe_bytes: Some(99 << 30),
        written_per_second: Some(1e6),
        lost_in: None,
        outage_in_hand: Some(Duration::from_secs(1000)),
        disk: None,
        oldest_transaction: None,
        holders: Vec::new(),
        concern: None,
    }
}

fn growing(retained: u64, seconds: u64) -> Retention {
    let safe_bytes = Some(i64::try_from((100 - retained) * GIB).unwrap());
    Retention {
        retained_bytes: retained * GIB,
        unconfirmed_bytes: retained * GIB,
        safe_bytes,
        lost_in: Some(Duration::from_secs(seconds)),
        ..calm()
    }
}

fn said(retention: &Retention) -> (String, String) {
    let concern =
        concern(retention, &Settings { slot: "shop", limit: retention.safe_bytes.map(|_| 100 * GIB) }).unwrap();
    (concern.what, concern.help)
}

fn transaction() -> Holder {
    Holder {
        kind: "transaction",
        name: "billing".into(),
        pid: Some(4711),
        user: "app".into(),
        age: Some(Duration::from_secs(3 * HOUR + 720)),
        state: "idle in transaction, ClientRead".into(),
        query: "UPDATE orders SET note = ?".into(),
        holds_log: true,
        holds_rows: true,
        log_bytes: None,
    }
}

fn slot(name: &str, gib: u64) -> Holder {
    Holder {
        kind: "slot",
        name: name.into(),
        pid: None,
        user: String::new(),
        age: None,
        state: "not in use, reserved".into(),
        query: String::new(),
        log_bytes: Some(gib * GIB),
        ..transaction()
    }
}

#[test]
fn a_server_that_writes_much_is_no_concern_while_headwater_keeps_up() {
    let settings = Settings { slot: "shop", limit: Some(100 * GIB) };
    assert_eq!(concern(&calm(), &settings), None);
    assert_eq!(concern(&growing(20, 25 * HOUR), &settings), None);
    assert!(concern(&growing(20, 23 * HOUR), &settings).is_some());
}

#[test]
fn a_forecast_names_the_time_and_what_helps() {
    let (what, help) = said(&growing(43, 3 * HOUR + 720));
    assert_eq!(
        what,
        "slot shop keeps 43.0 GiB of log and may keep 57.0 GiB more: at this rate it is lost in 3 h 12 min; headwater has not \
         confirmed 43.0 GiB of it"
    );
    assert!(
        help.contains("/status") && help.contains("max_slot_wal_keep_size = '200GB'; SELECT pg_reload_conf();"),
        "{help}"
    );
}

#[test]
fn half_of_the_room_is_told_even_when_it_does_not_grow() {
    let half = Retention { lost_in: None, ..growing(50, 0) };
    let (what, _) = said(&half);
    assert!(what.contains("if nothing is confirmed any more it is lost in 16 min"), "{what}");
    let (what, _) = said(&Retention { outage_in_hand: None, ..half });
    assert!(what.contains("may keep 50.0 GiB more before it is lost;"), "{what}");
}

#[test]
fn each_status_of_the_slot_has_its_words() {
    let (what, help) = said(&Retention {
        status: LogStatus::Unreserved,
        safe_bytes: Some(-5),
        lost_in: Some(Duration::ZERO),
        ..growing(100, 0)
    });
    assert!(what.starts_with("slot shop is about to be lost: it needs 100.0 GiB of log"), "{what}");
    assert!(
        what.contains("max_slot_wal_keep_size (100.0 GiB) keeps, and the server's next checkpoint removes it"),
        "{what}"
    );
    assert!(help.contains("'200GB'"), "{help}");
    let (what, help) = said(&Retention { status: LogStatus::Extended, safe_bytes: None, ..calm() });
    assert!(what.contains("more than max_wal_size") && what.contains("sets no limit"), "{what}");
    assert!(!help.contains("ALTER SYSTEM"), "{help}");
    let lost = Retention { status: LogStatus::Lost, safe_bytes: None, ..calm() };
    let told = concern(&lost, &Settings { slot: "shop", limit: None }).unwrap();
    assert_eq!(told.severity, Severity::Problem);
    assert!(
        told.help.contains("pg_drop_replication_slot('shop')") && told.help.contains("headwater accept gap"),
        "{told:?}"
    );
}

#[test]
fn the_one_who_holds_is_named() {
    let held = |holders| Retention { unconfirmed_bytes: 0, holders, ..growing(43, HOUR) };
    let (what, help) = said(&held(vec![slot("other", 50), transaction()]));
    assert!(
        what.ends_with(
            "an open transaction keeps it: pid 4711 (application \"billing\", user app, idle in transaction, ClientRead, for 3 h \
             12 min): UPDATE orders SET note = ?"
        ),
        "{what}"
    );
    assert_eq!(help, "commit it, or end it: SELECT pg_terminate_backend(4711);");
    let prepared = Holder {
        kind: "prepared transaction",
        name: "it's".into(),
        pid: None,
        state: String::new(),
        query: String::new(),
        ..transaction()
    };
    let (what, help) = said(&held(vec![prepared]));
    assert!(what.ends_with("prepared transaction it's (user app, for 3 h 12 min) keeps it"), "{what}");
    assert_eq!(help, "COMMIT PREPARED 'it''s'; or ROLLBACK PREPARED 'it''s';");
    let reader = Holder { holds_log: false, ..transaction() };
    let (what, help) = said(&held(vec![reader]));
    assert!(what.contains("no open transaction is seen") && help.contains("CHECKPOINT;"), "{what} {help}");
    assert_eq!(describe(&Holder { pid: Some(3), ..slot("other", 1) }), "slot other (pid 3, not in use, reserved)");
}

#[test]
fn a_full_disk_is_forecast_with_the_slot_that_fills_it() {
    let disk = |used: u64, full_in| Retention {
        disk: Some(LogDisk { granted_bytes: 50 * GIB, used_bytes: used * GIB, full_in }),
        ..calm()
    };
    let settings = Settings { slot: "shop", limit: None };
    assert_eq!(concern(&disk(20, None), &settings), None);
    let filling = disk(40, Some(Duration::from_secs(5 * HOUR)));
    let (what, _) = said(&filling);
    assert_eq!(
        what,
        "the server's log takes 40.0 GiB of the 50.0 GiB that source.wal_disk grants it: at this rate it is full in 5 h 0 min; \
         headwater has not confirmed 1.0 GiB of it"
    );
    let (what, help) = said(&Retention { holders: vec![slot("other", 39)], ..filling });
    assert!(what.ends_with("slot other (not in use, reserved) keeps 39.0 GiB"), "{what}");
    assert_eq!(help, "if nobody needs it: SELECT pg_drop_replication_slot('other');");
    let (what, _) = said(&disk(51, Some(Duration::ZERO)));
    assert!(what.contains("nothing is left"), "{what}");
}

#[test]
fn the_same_is_said_once_and_again_only_when_little_is_left() {
    let mut teller = Teller::default();
    let mut hear = |seconds: u64| teller.hear(level(&growing(50, seconds)));
    assert_eq!([hear(23 * HOUR), hear(22 * HOUR), hear(4 * HOUR)], [Say::Worse, Say::Nothing, Say::Nothing]);
    assert_eq!([hear(3 * HOUR - 1), hear(5 * HOUR), hear(2 * HOUR)], [Say::Worse, Say::Nothing, Say::Nothing]);
    assert_eq!([hear(1199), hear(149), hear(0)], [Say::Worse, Say::Worse, Say::Nothing]);
    let unreserved = level(&Retention { status: LogStatus::Unreserved, ..growing(50, 0) });
    assert_eq!([teller.hear(unreserved), teller.hear(unreserved)], [Say::Worse, Say::Nothing]);
    // Over after six looks at which all was well, told once; then it begins anew.
    for _ in 0..5 {
        assert_eq!(teller.hear(Level::default()), Say::Nothing);
    }
    assert_eq!([teller.hear(Level::default()), teller.hear(Level::default())], [Say::Over, Say::Nothing]);
    assert_eq!(teller.hear(level(&growing(50, 23 * HOUR))), Say::Worse);
}
