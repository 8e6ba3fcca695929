//! Serves the status page with made-up data, to look at it: `cargo run -p headwater --example status_page -- stopped`.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater::admin::{
    Admin, Bound, ConcernStatus, DiskStatus, HeldStatus, HolderStatus, KafkaStatus, RetentionStatus, SnapshotStatus,
    SourceStatus, State, Status, TableStatus,
};
use headwater::output;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let state = match std::env::args().nth(1).as_deref() {
        Some("stopped") => State::Stopped,
        Some("retrying") => State::Retrying,
        _ => State::Streaming,
    };
    let bound = Bound::bind("127.0.0.1:9809".parse()?).await?;
    output::print(&format!("http://{}\n", bound.address()));
    let admin = Admin {
        status: Arc::new(move || sample(state)),
        metrics: Arc::new(String::new),
        copies: change::Copies::default(),
        releases: pipeline::Releases::default(),
        token: None,
    };
    bound.serve(admin, std::future::pending()).await?;
    Ok(())
}

fn copy(table: &str, state: &str, rows: u64, estimated_rows: Option<u64>) -> SnapshotStatus {
    let rate = Some(81_400.0).filter(|_| state == "copying");
    let left = |all: u64| (all - rows) as f64;
    SnapshotStatus {
        table: table.into(),
        state: state.into(),
        rows,
        estimated_rows,
        share: estimated_rows.map(|all| rows as f64 / all as f64),
        rows_per_second: rate,
        seconds_left: rate.zip(estimated_rows).map(|(rate, all)| left(all) / rate),
    }
}

fn sample(state: State) -> Status {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let (reason, help) = match state {
        State::Stopped => (
            "the slot `shop` has lost write-ahead log that was not read yet (wal_status = lost): changes after \
             0/5D2A7F18 are gone from the server",
            "headwater accept gap -c shop.toml         # says what is lost\nheadwater accept gap -c shop.toml --yes   # goes on from now",
        ),
        State::Retrying => ("cannot reach kafka1:9092: connection refused; next attempt in 8 s", ""),
        _ => ("", ""),
    };
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let table = |name: &str, inserts, updates, deletes, truncates| TableStatus {
        name: name.into(),
        topic: format!("shop.{name}"),
        inserts,
        updates,
        deletes,
        truncates,
        ..TableStatus::default()
    };
    Status {
        name: "shop".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        state,
        since: now - 15_000,
        reason: given(reason),
        help: given(help),
        alive: true,
        source: SourceStatus {
            connector: "postgresql".into(),
            database: Some("shop".into()),
            server_identity: Some("7412893320118427734".into()),
            received_position: Some("0/5D2A8118".into()),
            durable_position: Some("0/5D2A7F18".into()),
            lag_seconds: Some(0.042),
            last_commit_time: Some(now - 1),
            retention: Some(kept(now, state)),
        },
        kafka: KafkaStatus {
            delivery: "exactly-once".into(),
            brokers: "kafka1:9092,kafka2:9092".into(),
            transactions_committed: 128_440,
        },
        rows_per_second: Some(18_234.0),
        tables: vec![
            table("public.customers", 48_120, 9_310, 44, 0),
            table("public.order_items", 9_204_551, 120_881, 3_902, 0),
            table("public.orders", 2_301_447, 4_602_190, 1_208, 1),
            table("public.products", 1_204, 88_310, 0, 0),
        ],
        snapshots: vec![
            copy("public.customers", "complete", 48_000, Some(48_000)),
            copy("public.order_items", "copying", 3_811_204, Some(9_100_000)),
            copy("public.orders", "paused", 801_447, Some(2_300_000)),
            copy("public.products", "waiting", 0, None),
        ],
        held: vec![held(now)],
    }
}

fn held(now: u64) -> HeldStatus {
    HeldStatus {
        table: "public.orders".into(),
        topic: "shop.public.orders.parked".into(),
        since: now - 600,
        verdict: "corrupts-silently".into(),
        reason: "`note` is called `remark` (corrupts-silently)".into(),
        help: "`headwater schema release public.orders --accept` lets its events go on in their topic under the new schema, \
               `--new-version` in a new topic"
            .into(),
        returning: false,
    }
}

/// While it waits for Kafka the slot falls behind.
fn kept(now: u64, state: State) -> RetentionStatus {
    let concern = ConcernStatus {
        severity: "warning",
        what: "slot shop keeps 43.1 GiB of log and may keep 6.9 GiB more: at this rate it is lost in 3 h 12 min; headwater has \
               not confirmed 43.1 GiB of it"
            .into(),
        help: "see `state` and `reason` at /status: log is let go as soon as its events are in Kafka.".into(),
    };
    let holder = HolderStatus {
        kind: "transaction",
        name: "billing".into(),
        pid: Some(4711),
        user: "app".into(),
        age_seconds: Some(34_800),
        state: "idle in transaction, ClientRead".into(),
        query: "UPDATE orders SET note = ? WHERE id = ?".into(),
        holds_log: true,
        holds_rows: true,
        log_bytes: None,
    };
    let waiting = state == State::Retrying;
    RetentionStatus {
        measured_at: now - 4,
        keeper: "slot shop".into(),
        status: "reserved",
        retained_bytes: if waiting { 46_278_272_615 } else { 48_234_496 },
        unconfirmed_bytes: if waiting { 46_278_272_615 } else { 1_204 },
        safe_bytes: Some(if waiting { 7_408_818_585 } else { 53_638_856_704 }),
        bytes_per_second: Some(643_000.0),
        lost_in_seconds: waiting.then_some(11_520),
        outage_in_hand_seconds: Some(if waiting { 11_520 } else { 83_419 }),
        disk: Some(DiskStatus { granted_bytes: 64 << 30, used_bytes: 46 << 30, full_in_seconds: None }),
        oldest_transaction_seconds: Some(34_800),
        holders: vec![holder],
        concern: waiting.then_some(concern),
    }
}
