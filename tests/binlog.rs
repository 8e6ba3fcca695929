//! What is promised of MySQL and MariaDB alone.

use anyhow::{Context as _, Result, ensure};
use testkit::{Event, Flavour, Headwater, MySql, MySqlDatabase, eventually, shared};

use crate::support::{Neighbours, PATIENCE, Scene, command, insert_journaled};

const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];

/// A scene of journaled items on a server of the test's own.
fn alone(server: &MySql, label: &str) -> Result<Scene<MySqlDatabase>> {
    let database = server.create_database()?;
    let neighbours =
        Neighbours { brokers: shared::kafka().bootstrap(), registry: shared::registry().url(), url: database.url() };
    Scene::journaled_on(label, database, neighbours)
}

fn config(headwater: &Headwater) -> String {
    headwater.config().display().to_string()
}

/// The table map shows the column as before: the statement alone says what became of the rows that are there.
#[test]
fn a_column_that_becomes_generated_is_told() -> Result<()> {
    for flavour in BOTH {
        let mut scene = Scene::of(flavour, "generated", "create table t (id int primary key, a int, b int)")?;
        let name = format!("{}.t", scene.database.name);
        scene.more = "[evolution]\non_change = \"evolve\"".to_owned();
        let headwater = scene.start()?;
        let control = format!("{}.__schema_changes", scene.name);
        scene.database.execute("insert into t values (1, 2, 3)")?;
        scene.events("t", 1)?;
        scene.database.execute("alter table t modify b int generated always as (a + 1) stored")?;
        scene.database.execute("insert into t (id, a) values (2, 5)")?;
        let events = scene.events("t", 2)?;
        assert_eq!(
            (events[1].after("b").as_i64(), events[1].value_schema_id()),
            (Some(6), events[0].value_schema_id())
        );
        let told = scene.oracle().wait_for_count(&control, 1, PATIENCE)?;
        let finding = &told[0].field("findings")[0];
        assert_eq!((&finding["rule"], &finding["column"]), (&"column-generated".into(), &"b".into()), "{told:?}");
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
        // Somebody who is stricter has it held, although the schema is the same.
        scene.more = format!("[evolution]\ntables = {{ \"{name}\" = \"strict\" }}");
        let headwater = scene.start()?;
        scene.database.execute("alter table t modify a int as (id * 2) stored")?;
        scene.database.execute("insert into t (id) values (3)")?;
        let held = crate::held::wait_held(&headwater, &name)?;
        assert_eq!(held["verdict"], "safe-if-agreed", "{held}");
    }
    Ok(())
}

#[test]
fn changes_arrive_as_registered_avro() -> Result<()> {
    for flavour in BOTH {
        let scene = Scene::of(
            flavour,
            "binlog",
            "create table orders (id bigint unsigned primary key, amount decimal(12,2), note text, at timestamp(6) null, \
             kind enum('new','old'), big bigint unsigned)",
        )?;
        let headwater = scene.start()?;
        scene.database.execute(
            "set time_zone = '+02:00'; insert into orders values (1, 12.30, 'first', '2026-01-02 03:04:05.678901', 'new', \
             18446744073709551615); update orders set amount = 13.40, kind = 'old' where id = 1; delete from orders",
        )?;
        let events = scene.events("orders", 4)?;
        let ops: Vec<&str> = events.iter().map(Event::op).collect();
        assert_eq!(ops, ["c", "u", "d", ""], "a delete is followed by a tombstone");
        assert_eq!(events[0].after("amount"), "12.30");
        assert_eq!(events[0].after("note"), "first");
        assert_eq!(events[0].after("at"), "2026-01-02 01:04:05.678901+00");
        assert_eq!(events[0].after("kind"), "new");
        assert_eq!(events[0].after("big").to_string().trim_matches('"'), "18446744073709551615");
        assert_eq!((events[1].before("kind"), events[1].after("kind")), (&"new".into(), &"old".into()));
        assert_eq!(events[2].before("id").to_string().trim_matches('"'), "1");
        let database = &scene.database.name;
        for (field, expected) in
            [("connector", flavour.scheme()), ("db", database), ("table", "orders"), ("snapshot", "false")]
        {
            assert_eq!(events[0].field(&format!("source.{field}")), expected, "{field}");
        }
        assert_eq!(events[0].field("transaction.id"), events[0].field("source.gtid"));
        ensure!(
            events[0].field("source.file").as_str().is_some_and(|file| file.starts_with("bin.")),
            "{:?}",
            events[0]
        );
        let subject = format!("{}-value", scene.topic("orders"));
        let (id, schema) = shared::registry().latest(&subject)?;
        assert_eq!(events[0].value_schema_id().map(i64::from), Some(id));
        ensure!(schema.to_string().contains("decimal(12,2)"), "the SQL type is a property: {schema}");
        // What the catalogue said before the first row is what the log says with it.
        assert_eq!(shared::registry().versions(&subject)?, [1]);
        assert_eq!(headwater.terminate(PATIENCE)?, 0);
    }
    Ok(())
}

/// A transaction that cannot be published stops the pipeline; accepted, exactly it is left out.
#[test]
fn an_unreadable_transaction_is_left_out_when_it_is_accepted() -> Result<()> {
    for flavour in BOTH {
        let server = MySql::start(flavour)?;
        let scene = alone(&server, "unreadable")?;
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1, 5)?;
        scene.judge()?;
        scene.database.execute(
            "set session binlog_format = 'STATEMENT'; insert into items values (50, 1, 'lost'); delete from items where id = 50",
        )?;
        insert_journaled(&scene.database, 100, 5)?;
        assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
        for _ in 0..2 {
            let headwater = scene.launch()?;
            assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
            ensure!(headwater.output().contains("accept gap"), "{}", headwater.output());
            let (code, dry) = command(&["accept", "gap", "-c", &config(&headwater)])?;
            ensure!(
                code == 0 && dry.contains("dry run") && dry.contains("statement"),
                "{code} {dry}\n{}",
                headwater.output()
            );
            let (code, done) = command(&["accept", "gap", "-c", &config(&headwater), "--yes"])?;
            ensure!(code == 0, "{done}");
        }
        let headwater = scene.start()?;
        scene.judge()?;
        let (code, nothing) = command(&["accept", "gap", "-c", &config(&headwater)])?;
        ensure!(code == 3 && nothing.contains("no gap to accept"), "{nothing}");
        // Looking has not disturbed it.
        insert_journaled(&scene.database, 200, 5)?;
        scene.judge()?;
        ensure!(!headwater.output().contains("going on from the checkpoint"), "{}", headwater.output());
    }
    Ok(())
}

/// The log from before a certain place is gone: what is lost is named, and with consent it goes on behind it.
/// An idle table must not tie the pipeline to old files of a log that others fill.
#[test]
fn an_idle_pipeline_does_not_need_the_old_log() -> Result<()> {
    for flavour in BOTH {
        let server = MySql::start(flavour)?;
        let scene = alone(&server, "idle")?;
        scene.database.execute("create table busy (id int primary key auto_increment, body text)")?;
        let headwater = scene.start()?;
        let first = scene.database.value("show binary logs")?;
        for _ in 0..20 {
            scene.database.execute("insert into busy (body) values (repeat('x', 60000))")?;
        }
        scene.database.execute("flush binary logs; insert into busy (body) values ('last')")?;
        let end = if flavour.is_mariadb() { "@@gtid_binlog_pos" } else { "@@gtid_executed" };
        let end = scene.database.value(&format!("select {end}"))?;
        eventually(PATIENCE, "the checkpoint to follow", || {
            let (_, shown) = command(&["checkpoint", "show", "--config", &config(&headwater)])?;
            ensure!(shown.contains(&end), "{end} is not in {shown}\n{}", headwater.output());
            Ok(())
        })?;
        headwater.kill9()?;
        let last =
            scene.database.query("show binary logs")?.pop().context("no log")?.swap_remove(0).context("no name")?;
        scene.database.execute(&format!("purge binary logs to '{last}'"))?;
        ensure!(scene.database.value("show binary logs")? != first, "nothing was purged");
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1, 3)?;
        scene.judge()?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    }
    Ok(())
}

#[test]
fn a_purged_log_is_a_gap_that_can_be_accepted() -> Result<()> {
    for flavour in BOTH {
        let server = MySql::start(flavour)?;
        let scene = alone(&server, "purged")?;
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1, 5)?;
        scene.judge()?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0);
        scene.database.execute("insert into items values (50, 1, 'lost'); flush binary logs")?;
        eventually(PATIENCE, "the old files to be gone", || {
            let files = scene.database.query("show binary logs")?;
            let last = files.last().and_then(|row| row[0].clone()).unwrap_or_default();
            scene.database.execute(&format!("purge binary logs to '{last}'"))?;
            ensure!(files.len() == 1, "{files:?}");
            Ok(())
        })?;
        insert_journaled(&scene.database, 100, 5)?;
        let headwater = scene.launch()?;
        assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
        ensure!(headwater.output().contains("purged"), "{}", headwater.output());
        let (code, done) = command(&["accept", "gap", "-c", &config(&headwater), "--yes"])?;
        ensure!(code == 0 && done.contains("purged"), "{done}");
        let headwater = scene.start()?;
        let ids = |events: &[Event]| events.iter().filter_map(|event| event.after("id").as_i64()).collect::<Vec<_>>();
        let expected: Vec<i64> = (1..6).chain(100..105).collect();
        scene.oracle().wait_for(&scene.topic("items"), PATIENCE, |events| ids(events) == expected)?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0);
    }
    Ok(())
}

/// A replica takes the source's place: positions are transactions, so nothing is lost and nothing comes twice.
#[test]
fn a_replica_takes_over_where_the_source_ended() -> Result<()> {
    for flavour in BOTH {
        let replicating = |flavour| {
            let server = MySql::builder(flavour);
            if flavour == Flavour::MySql { server } else { server.set("log-slave-updates", "ON") }
        };
        let (source, replica) = (replicating(flavour).start()?, replicating(flavour).start()?);
        let mut scene = alone(&source, "takeover")?;
        let follow = if flavour.is_mariadb() {
            format!(
                "change master to master_host = '127.0.0.1', master_port = {}, master_user = 'root', \
                 master_use_gtid = slave_pos; start slave",
                source.port()
            )
        } else {
            format!(
                "change replication source to source_host = '127.0.0.1', source_port = {}, source_user = 'root', \
                 source_auto_position = 1, get_source_public_key = 1; start replica",
                source.port()
            )
        };
        replica.maintenance().execute(&follow)?;
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1, 20)?;
        scene.judge()?;
        headwater.kill9()?;
        // Nobody was there to read these.
        insert_journaled(&scene.database, 100, 20)?;
        let count = format!("select count(*) from {}.items", scene.database.name);
        eventually(PATIENCE, "the replica to have everything", || {
            let rows = replica.maintenance().value(&count)?;
            ensure!(rows == "40", "{rows} rows");
            Ok(())
        })?;
        source.kill()?;
        let stop = if flavour.is_mariadb() { "stop slave; reset slave all" } else { "stop replica; reset replica all" };
        replica.maintenance().execute(stop)?;
        let database = replica.database(&scene.database.name);
        scene.neighbours.url = database.url();
        // The old handle would drop its database on a server that is stopped.
        drop(std::mem::replace(&mut scene.database, database));
        insert_journaled(&scene.database, 200, 20)?;
        let headwater = scene.start()?;
        scene.judge().with_context(|| headwater.output())?;
        // And once more from a checkpoint of this server.
        headwater.kill9()?;
        insert_journaled(&scene.database, 300, 20)?;
        let headwater = scene.start()?;
        scene.judge().with_context(|| headwater.output())?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0);
    }
    Ok(())
}

/// Compressed transactions, whose events come out of one, are cut and resumed like others; rows without all their values say
/// which are missing.
#[test]
fn compressed_and_partial_rows_survive_kills() -> Result<()> {
    for flavour in BOTH {
        let builder = MySql::builder(flavour).set("binlog-row-metadata", "MINIMAL").set("binlog-row-image", "MINIMAL");
        let server = if flavour.is_mariadb() {
            builder.set("log-bin-compress", "ON").set("log-bin-compress-min-len", "10").start()?
        } else {
            builder.set("binlog-transaction-compression", "ON").start()?
        };
        let mut scene = alone(&server, "packed")?;
        scene.more = "[kafka.batch]\nmax_bytes = \"32KiB\"".to_owned();
        scene.start()?.kill9()?;
        insert_journaled(&scene.database, 1, 20_000)?;
        for _ in 0..3 {
            let headwater = scene.launch()?;
            let before = scene.oracle().count(&scene.topic("items"))?;
            eventually(PATIENCE, "some more of the transaction", || {
                let count = scene.oracle().count(&scene.topic("items"))?;
                ensure!(count > before || count >= 20_000, "{count} records\n{}", headwater.output());
                Ok(())
            })?;
            headwater.kill9()?;
        }
        let _headwater = scene.start()?;
        scene.judge()?;
        scene.database.execute(
            "begin; update items set version = 2 where id = 7; insert into journal values (1); commit; \
             begin; delete from items where id = 8; insert into journal values (1); commit",
        )?;
        let events = scene.events("items", 20_003)?;
        let (update, delete) = (&events[20_000], &events[20_001]);
        assert_eq!((update.op(), update.after("version")), ("u", &2.into()));
        ensure!(update.after("note").is_null(), "{update:?}");
        // Of the old row the log has the key alone, of the new one what the statement set.
        let absent = update.field("absent").as_array().cloned().unwrap_or_default();
        let has = |field: &str, reason: &str| absent.iter().any(|one| one["field"] == field && one["reason"] == reason);
        ensure!(has("before", "key-only") && has("after.note", "unchanged"), "{absent:?}");
        assert_eq!((delete.op(), delete.before("id")), ("d", &8.into()));
        assert_eq!(delete.field("absent")[0]["reason"], "key-only");
    }
    Ok(())
}

#[test]
fn doctor_judges_mysql_and_mariadb() -> Result<()> {
    for flavour in BOTH {
        let scene = Scene::journaled_of(flavour, "fit")?;
        let headwater = scene.start()?;
        let (code, report) = command(&["doctor", "-c", &config(&headwater), "--output", "json"])?;
        assert_eq!(code, 0, "{report}");
        for word in ["binlog_format", &scene.tables[0], "brokers", "registry"] {
            ensure!(report.contains(word), "{word} is missing in {report}");
        }
    }
    Ok(())
}
