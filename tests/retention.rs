//! The log that the server keeps for the slot: how long that can go on is told before it is too late, and who is to blame.

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Headwater, Kafka, Postgres, StopMode, eventually, shared};

use crate::support::{Neighbours, PATIENCE, Scene, command, insert_journaled, wait_status};

/// What the slot may keep in these tests.
const LIMIT: &str = "256MB";
const MIB: u64 = 1 << 20;

/// A server on which only the test writes, and so on which nothing is removed before the test asks for a checkpoint.
fn server() -> Result<Postgres> {
    Postgres::builder().set("max_slot_wal_keep_size", LIMIT).set("max_prepared_transactions", "5").start()
}

/// A scene on that server, with a table beside the captured one. The slot is looked at every second.
fn scene(label: &str, postgres: &Postgres, brokers: String) -> Result<Scene> {
    let database = postgres.create_database()?;
    let neighbours = Neighbours { brokers, registry: shared::registry().url(), url: database.url() };
    let mut scene = Scene::journaled_on(label, database, neighbours)?;
    scene.source = "table_refresh = \"1s\"".to_owned();
    scene
        .database
        .execute("create table busy (id bigint, body text); alter table busy alter body set storage external")?;
    Ok(scene)
}

/// Writes so much log in one transaction, in a table that nobody captures.
fn write(scene: &Scene, kibibytes: u64) -> Result<()> {
    scene.database.execute(&format!(
        "insert into busy select i, repeat('x', 8000) from generate_series(1, {}) i",
        kibibytes.div_ceil(8)
    ))
}

fn slot(scene: &Scene, column: &str) -> Result<String> {
    scene.database.value(&format!("select {column} from pg_replication_slots where slot_name = '{}'", scene.name))
}

/// Waits until what is kept looks so.
fn wait_kept(headwater: &Headwater, what: &str, look: impl Fn(&Json) -> bool) -> Result<Json> {
    let status = wait_status(headwater, what, |status| look(&status["source"]["retention"]))?;
    Ok(status["source"]["retention"].clone())
}

fn concern(kept: &Json) -> &str {
    kept["concern"]["what"].as_str().unwrap_or_default()
}

fn wait_log(headwater: &Headwater, words: &[&str]) -> Result<()> {
    eventually(PATIENCE, "a line of the log", || {
        let output = headwater.output();
        let found = output.lines().any(|line| words.iter().all(|word| line.contains(word)));
        ensure!(found, "no line has all of {words:?} in\n{output}");
        Ok(())
    })
}

fn wait_metric(headwater: &Headwater, name: &str, good: impl Fn(Option<f64>) -> bool) -> Result<()> {
    eventually(PATIENCE, name, || {
        let text = headwater.metrics()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        ensure!(good(value), "{name} is {value:?} in\n{text}");
        Ok(())
    })
}

/// Kafka is away and the application goes on writing: a forecast first, then the last warning, and only then the loss.
#[test]
fn the_loss_of_the_slot_is_told_before_it_happens() -> Result<()> {
    let postgres = server()?;
    let kafka = Kafka::builder().proxied().start()?;
    let scene = scene("danger", &postgres, kafka.proxied_bootstrap())?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    let kept = wait_kept(&headwater, "the slot to be looked at", |kept| kept["status"] == "reserved")?;
    ensure!(kept["safe_bytes"].as_u64() > Some(200 * MIB) && kept["concern"].is_null(), "{kept}");
    kafka.proxy().refuse()?;
    // Not yet a quarter of the limit, but it grows.
    write(&scene, 48 << 10)?;
    let kept = wait_kept(&headwater, "a forecast", |kept| {
        write(&scene, 64).is_ok() && concern(kept).contains("at this rate it is lost in")
    })?;
    ensure!(kept["lost_in_seconds"].as_u64().is_some() && kept["outage_in_hand_seconds"].as_u64().is_some(), "{kept}");
    ensure!(concern(&kept).contains("headwater has not confirmed"), "{kept}");
    wait_log(&headwater, &["\"WARN\"", "at this rate it is lost in", "pg_reload_conf()"])?;
    wait_metric(&headwater, "headwater_source_lost_in_seconds", |value| write(&scene, 64).is_ok() && value.is_some())?;
    // All that may be kept is written: the next checkpoint removes it, but there is none yet.
    eventually(PATIENCE, "the slot to be unreserved", || {
        write(&scene, 16 << 10)?;
        let status = slot(&scene, "wal_status")?;
        ensure!(status == "unreserved", "wal_status is {status}");
        Ok(())
    })?;
    wait_log(&headwater, &["\"WARN\"", "is about to be lost", "next checkpoint removes it"])?;
    wait_metric(&headwater, "headwater_source_log_status{status=\"unreserved\"}", |value| value == Some(1.0))?;
    wait_metric(&headwater, "headwater_source_lost_in_seconds", |value| value == Some(0.0))?;
    ensure!(headwater.get("/")?.contains("is about to be lost"), "the page does not say it");
    assert_eq!(slot(&scene, "wal_status")?, "unreserved", "it was told before the loss");
    // In time: Kafka comes back, and nothing is lost.
    kafka.proxy().resume()?;
    let line = format!("slot {} is out of danger", scene.name);
    wait_log(&headwater, &["\"INFO\"", &line])?;
    wait_metric(&headwater, "headwater_source_lost_in_seconds", |value| value.is_none())?;
    ensure!(wait_kept(&headwater, "calm", |kept| kept["concern"].is_null())?["status"] == "reserved");
    insert_journaled(&scene.database, 100, 3)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// Too late: the log that was needed is gone, and the guard says so although no session can begin.
#[test]
fn a_slot_that_is_lost_meanwhile_is_told_with_the_way_on() -> Result<()> {
    let postgres = server()?;
    let mut scene = scene("late", &postgres, shared::kafka().bootstrap())?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    // No broker answers, so that no session ever asks for the slot.
    scene.neighbours.brokers = "127.0.0.1:1".to_owned();
    let headwater = scene.launch()?;
    eventually(PATIENCE, "the slot to be lost", || {
        write(&scene, 32 << 10)?;
        scene.database.execute("checkpoint")?;
        let status = slot(&scene, "wal_status")?;
        ensure!(status == "lost", "wal_status is {status}");
        Ok(())
    })?;
    let name = &scene.name;
    wait_log(&headwater, &["\"ERROR\"", &format!("slot {name} is lost"), "headwater accept gap"])?;
    let kept = wait_kept(&headwater, "the loss", |kept| kept["status"] == "lost")?;
    assert_eq!(kept["concern"]["severity"], "problem", "{kept}");
    wait_metric(&headwater, "headwater_source_log_status{status=\"lost\"}", |value| value == Some(1.0))
}

/// One open transaction keeps the log however fast headwater reads; another slot keeps the disk's.
#[test]
fn those_who_hold_the_log_are_named() -> Result<()> {
    let postgres = server()?;
    let scene = scene("held", &postgres, shared::kafka().bootstrap())?;
    scene.database.execute("select pg_create_physical_replication_slot('left_behind', true)")?;
    write(&scene, 64)?;
    let headwater = scene.start()?;
    let client = scene.database.connect_sync()?;
    let pid = testkit::wait(async move {
        client.batch_execute("begin; insert into busy values (4711, 'hunter2')").await?;
        let pid: i32 = client.query_one("select pg_backend_pid() as \"of /* this\", 'hunter2'", &[]).await?.get(0);
        anyhow::Ok((client, pid))
    });
    let (client, pid) = pid?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    write(&scene, 180 << 10)?;
    let kept = wait_kept(&headwater, "the transaction to be blamed", |kept| {
        concern(kept).contains(&format!("an open transaction keeps it: pid {pid} "))
    })?;
    let help = kept["concern"]["help"].as_str().unwrap_or_default();
    ensure!(help.contains(&format!("SELECT pg_terminate_backend({pid});")), "{kept}");
    let of = |kind: &str| {
        let all = kept["holders"].as_array().into_iter().flatten();
        all.filter(|holder| holder["kind"] == kind)
            .find(|holder| holder["holds_log"] == true)
            .cloned()
            .unwrap_or_default()
    };
    let (transaction, other) = (of("transaction"), of("slot"));
    assert_eq!(transaction["pid"], pid, "{kept}");
    assert_eq!(transaction["query"], "select pg_backend_pid() as \"of /* this\", ?", "{kept}");
    ensure!(transaction["state"].as_str().unwrap_or_default().contains("idle in transaction"), "{kept}");
    ensure!(kept["oldest_transaction_seconds"].as_u64() >= Some(5), "{kept}");
    assert_eq!(other["name"], "left_behind", "{kept}");
    ensure!(other["log_bytes"].as_u64() > kept["retained_bytes"].as_u64(), "{kept}");
    wait_log(&headwater, &["\"WARN\"", &format!("pid {pid} "), "pg_terminate_backend"])?;
    wait_metric(&headwater, "headwater_source_oldest_transaction_seconds", |value| value >= Some(5.0))?;
    ensure!(headwater.get("/")?.contains(&format!("pid {pid}")), "the page does not name it");
    ensure!(!headwater.output().contains("hunter2"), "a literal was shown:\n{}", headwater.output());
    let (code, report) = command(&["doctor", "-c", &headwater.config().display().to_string()])?;
    assert_eq!(code, 0, "{report}");
    for word in
        ["slot left_behind (not in use", "SELECT pg_drop_replication_slot('left_behind');", "less than max_wal_size"]
    {
        ensure!(report.contains(word), "{word} is missing in\n{report}");
    }
    // A prepared one holds it as well, and has no pid.
    testkit::wait(async move { client.batch_execute("prepare transaction 'forgotten'").await })?;
    wait_kept(&headwater, "the prepared transaction to be blamed", |kept| {
        concern(kept).contains("prepared transaction forgotten")
            && kept["concern"]["help"].as_str().unwrap_or_default().contains("ROLLBACK PREPARED 'forgotten'")
    })?;
    scene.database.execute("rollback prepared 'forgotten'")?;
    wait_log(&headwater, &["\"INFO\"", "is out of danger"])?;
    scene.database.execute("select pg_drop_replication_slot('left_behind')")?;
    wait_kept(&headwater, "nobody to be left", |kept| kept["holders"].as_array().is_some_and(Vec::is_empty))?;
    Ok(())
}

/// The room that is granted to the log is counted by a role that may; one that may not is told so once, and all else goes on.
#[test]
fn the_log_s_room_is_watched() -> Result<()> {
    let postgres = server()?;
    let mut scene = scene("room", &postgres, shared::kafka().bootstrap())?;
    let name = scene.name.clone();
    scene.database.execute(&format!(
        "create role {name} login replication; grant select on items to {name};
         create publication {name} for table items"
    ))?;
    scene.neighbours.url = scene.database.url().replace("//postgres@", &format!("//{name}@"));
    scene.source.push_str("\nwal_disk = \"64MiB\"");
    let headwater = scene.start()?;
    wait_log(&headwater, &["\"WARN\"", "may not count the log's files", "GRANT pg_monitor"])?;
    let path = headwater.config().display().to_string();
    let (code, report) = command(&["doctor", "-c", &path])?;
    ensure!(code == 0 && report.contains(&format!("GRANT pg_monitor TO {name};")), "{report}");
    // What others do is hidden from it, but not who they are.
    let client = scene.database.connect_sync()?;
    let pid = testkit::wait(async move {
        client.batch_execute("begin; insert into busy values (1, 'mine')").await?;
        let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        anyhow::Ok((client, pid))
    });
    let (client, pid) = pid?;
    let named = |kept: &Json, see: bool| {
        let mut all = kept["holders"].as_array().into_iter().flatten();
        let seen = |holder: &Json| holder["query"] != "" && holder["state"] != "" && holder["age_seconds"].is_u64();
        all.any(|holder| holder["pid"] == pid && seen(holder) == see)
    };
    let kept = wait_kept(&headwater, "the transaction to be named", |kept| named(kept, false))?;
    ensure!(kept["disk"].is_null(), "{kept}");
    scene.database.execute(&format!("grant pg_monitor to {name}"))?;
    let kept =
        wait_kept(&headwater, "the room and the statement", |kept| !kept["disk"].is_null() && named(kept, true))?;
    assert_eq!(kept["disk"]["granted_bytes"], 64 * MIB, "{kept}");
    ensure!(kept["disk"]["used_bytes"].as_u64() >= Some(16 * MIB), "{kept}");
    write(&scene, 80 << 10)?;
    wait_kept(&headwater, "the room to be used up", |kept| concern(kept).contains("grants it: nothing is left"))?;
    wait_metric(&headwater, "headwater_source_disk_left_bytes", |value| value.is_some_and(|bytes| bytes < 0.0))?;
    wait_metric(&headwater, "headwater_source_disk_full_in_seconds", |value| value == Some(0.0))?;
    let told = headwater.output().matches("may not count").count();
    assert_eq!(told, 1, "{}", headwater.output());
    drop(client);
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    scene.database.execute(&format!(
        "revoke all on items from {name}; drop publication {name}; select pg_drop_replication_slot('{name}'); drop role {name}"
    ))
}

/// A server that goes away and comes back: what was seen last stays with its time, and is followed by what is seen then.
#[test]
fn the_guard_goes_on_after_the_database_was_away() -> Result<()> {
    let postgres = server()?;
    let scene = scene("guard", &postgres, shared::kafka().bootstrap())?;
    let headwater = scene.start()?;
    let before = wait_kept(&headwater, "a first look", |kept| kept["measured_at"].as_u64() > Some(0))?;
    postgres.stop(StopMode::Immediate)?;
    wait_status(&headwater, "the stream's end", |status| status["state"] == "retrying")?;
    ensure!(!headwater.status()?["source"]["retention"].is_null(), "what was seen last is gone");
    postgres.start_again()?;
    wait_kept(&headwater, "a later look", |kept| kept["measured_at"].as_u64() > before["measured_at"].as_u64())?;
    ensure!(!headwater.output().contains("is not watched"), "{}", headwater.output());
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge().with_context(|| headwater.output())
}

/// The questions are understood by this server.
pub(crate) fn holders_are_named(mut scene: Scene) -> Result<()> {
    scene.source = "table_refresh = \"1s\"".to_owned();
    scene.database.execute("create table beside (id int primary key)")?;
    let headwater = scene.start()?;
    let client = scene.database.connect_sync()?;
    let pid = testkit::wait(async move {
        client.batch_execute("begin; insert into beside values (1)").await?;
        let pid: i32 = client.query_one("select pg_backend_pid()", &[]).await?.get(0);
        anyhow::Ok((client, pid))
    });
    let (_client, pid) = pid?;
    wait_kept(&headwater, "the transaction to be named", |kept| {
        let mut all = kept["holders"].as_array().into_iter().flatten();
        kept["status"] == "reserved" && all.any(|holder| holder["pid"] == pid && holder["holds_log"] == true)
    })?;
    Ok(())
}
