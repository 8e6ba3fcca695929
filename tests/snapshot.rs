//! Rows that were there before: copied once, beside the stream, without a lock; and nothing old ever undoes something new.

mod commands;
mod everywhere;
mod fences;

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Database, Event, Headwater, Postgres, eventually, shared};

use crate::support::{Neighbours, PATIENCE, Scene, Store};

const ITEMS: &str = "create table items (id bigint primary key, version bigint not null, note text)";

fn scene(label: &str, sql: &str) -> Result<Scene> {
    let mut scene = Scene::new(label, sql)?;
    scene.source = "snapshot = \"initial\"\ntable_refresh = \"1s\"".to_owned();
    Ok(scene)
}

/// On a server of the test's own.
fn alone(label: &str, postgres: &Postgres, sql: &str) -> Result<Scene> {
    let servers = shared::all();
    let database = postgres.create_database()?;
    let url = database.url();
    let neighbours = Neighbours { brokers: servers.kafka.bootstrap(), registry: servers.registry.url(), url };
    let mut scene = Scene::with(label, sql, database, neighbours)?;
    scene.source = "snapshot = \"initial\"".to_owned();
    Ok(scene)
}

fn wait_said(headwater: &Headwater, words: &str) -> Result<()> {
    eventually(PATIENCE, words, || {
        let output = headwater.output();
        ensure!(output.contains(words), "{output}");
        Ok(())
    })
}

fn wait_complete(headwater: &Headwater, table: &str) -> Result<()> {
    wait_said(headwater, &format!("\"message\":\"snapshot complete\",\"table\":\"public.{table}\""))
}

/// What a reader of the events ends with. Rows are kept as digests, so that millions of them can be judged.
#[derive(Default)]
struct Replay {
    /// By key: what identifies the row in its table, its version, and its digest.
    rows: HashMap<String, (String, i64, u64)>,
    /// Where in the topic a row was copied, by key.
    copies: HashMap<String, i64>,
    events: usize,
}

impl Replay {
    /// A copied row never undoes something newer, and no row is copied twice.
    fn apply(&mut self, event: &Event) -> Result<()> {
        self.events += 1;
        let key = event.key.as_ref().context("an event without key")?.to_string();
        let op = event.op();
        if matches!(op, "" | "d") {
            self.rows.remove(&key);
            return Ok(());
        }
        let row = event.field("after");
        // As text where the column was a numeric when the row was read.
        let text = row["version"].as_str().and_then(|text| text.parse().ok());
        let version = row["version"].as_i64().or(text).with_context(|| format!("no version in {row}"))?;
        if let Some((_, known, _)) = self.rows.get(&key) {
            let newer = version > *known || (op == "r" && version == *known);
            ensure!(newer, "key {key}: {op} with {row} came after version {known}");
        }
        if op == "r" {
            let before = self.copies.insert(key.clone(), event.offset);
            ensure!(before.is_none(), "key {key} was copied at {before:?} and again at {}", event.offset);
            ensure!(event.field("transaction").is_null(), "{event:?}");
            assert_eq!(event.field("source.snapshot"), "true");
        }
        let note = row["note"].as_str().map_or_else(|| row["note"].to_string(), str::to_owned);
        self.rows.insert(key, (row["id"].to_string(), version, digest(&version.to_string(), &note)));
        Ok(())
    }
}

fn digest(version: &str, note: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (version, note).hash(&mut hasher);
    hasher.finish()
}

/// The table as digests by id, read in parts.
fn digests<D: Store>(scene: &Scene<D>, table: &str) -> Result<HashMap<String, u64>> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "null".to_owned());
    let mut found = HashMap::new();
    for part in 0..16 {
        let sql = format!("select id, version, note from {table} where abs(id % 16) = {part}");
        let rows = scene.database.query(&sql)?;
        found.extend(rows.iter().map(|row| (text(&row[0]), digest(&text(&row[1]), &text(&row[2])))));
    }
    Ok(found)
}

/// What was found in a topic that says what its table says.
struct Judged {
    copied: usize,
    events: usize,
}

/// The table and what its topic says are the same, row by row.
fn judge<D: Store>(scene: &Scene<D>, table: &str) -> Result<Judged> {
    let expected = digests(scene, table)?;
    eventually(PATIENCE, "the topic to say what the table says", || {
        let mut replay = Replay::default();
        scene.oracle().for_each(&scene.topic(table), |event| replay.apply(&event))?;
        let found: HashMap<&str, u64> = replay.rows.values().map(|(id, _, digest)| (id.as_str(), *digest)).collect();
        let differs = |(id, row): &(&String, &u64)| found.get(id.as_str()) != Some(row);
        let missing: Vec<_> = expected.iter().filter(differs).map(|(id, _)| id).take(3).collect();
        let surplus: Vec<_> = found.keys().filter(|id| !expected.contains_key(**id)).take(3).collect();
        ensure!(
            missing.is_empty() && surplus.is_empty(),
            "{} rows, {} in the topic of {} events; missing or different: {missing:?}; surplus: {surplus:?}",
            expected.len(),
            found.len(),
            replay.events
        );
        Ok(Judged { copied: replay.copies.len(), events: replay.events })
    })
}

fn count(events: &[Event], op: &str) -> usize {
    events.iter().filter(|event| event.op() == op).count()
}

fn filled(rows: u64) -> String {
    format!("{ITEMS}; insert into items select i, 1, repeat(md5(i::text), 18) from generate_series(0, {}) i", rows - 1)
}

/// A commit that waits for a standby is in the log, and published, before any snapshot sees it.
#[test]
fn a_parked_commit_is_not_undone_by_the_copy() -> Result<()> {
    let postgres = Postgres::start()?;
    let mut scene = alone("parked", &postgres, &filled(2_000))?;
    // Slot and publication first: making them is a commit, too.
    scene.source = "snapshot = \"never\"".to_owned();
    assert_eq!(scene.start()?.terminate(PATIENCE)?, 0);
    scene.source = "snapshot = \"initial\"".to_owned();
    scene.database.execute("create schema aside; create table aside.probe (id int)")?;
    let admin = Arc::new(scene.database.connect_sync()?);
    let run = |sql: &str| -> Result<()> {
        let (client, sql) = (Arc::clone(&admin), sql.to_owned());
        Ok(testkit::wait(async move { client.batch_execute(&sql).await })?)
    };
    let settle = || -> Result<()> {
        run("alter system reset synchronous_standby_names")?;
        run("select pg_reload_conf()")
    };
    run("alter system set synchronous_standby_names = 'nobody'")?;
    run("select pg_reload_conf()")?;
    let settled = AtomicBool::new(false);
    // Parked before headwater connects, and once more while it copies.
    let database = &scene.database;
    std::thread::scope(|scope| -> Result<()> {
        // Whatever goes wrong, nobody stays parked: the scope would wait for them for ever.
        let settle = Settle(&settle, &settled);
        // The server takes its new settings in its own time: from the first parked commit on every one is.
        let probe = scope.spawn(|| -> Result<()> {
            while !settled.load(Ordering::Relaxed) {
                database.execute("insert into aside.probe values (1)")?;
            }
            Ok(())
        });
        wait_parked(database, 1)?;
        let parked = |sql: &'static str| scope.spawn(move || database.execute(sql));
        let first = parked("update items set version = 7 where id = 100");
        wait_parked(database, 2)?;
        let headwater = scene.launch()?;
        wait_said(&headwater, "snapshot begins")?;
        let second = parked("update items set version = 9 where id = 200");
        wait_parked(database, 3)?;
        // It streams what it reads, and copies nothing: the first commit may not be in its stream.
        eventually(PATIENCE, "the second commit in the topic", || {
            let events = scene.oracle().read(&scene.topic("items"))?;
            ensure!(events.iter().any(|event| event.after("version") == 9), "{} events", events.len());
            assert_eq!(count(&events, "r"), 0);
            Ok(())
        })?;
        headwater.kill9()?;
        let headwater = scene.launch()?;
        wait_said(&headwater, "snapshot begins")?;
        headwater.wait_ready(PATIENCE)?;
        assert_eq!(count(&scene.oracle().read(&scene.topic("items"))?, "r"), 0);
        drop(settle);
        probe.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        first.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        second.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        wait_said(&headwater, "snapshot complete")?;
        let judged = judge(&scene, "items")?;
        ensure!(judged.copied >= 1_998, "{}", judged.copied);
        Ok(())
    })
}

/// Runs when it is dropped, and says that it did.
struct Settle<'a>(&'a dyn Fn() -> Result<()>, &'a AtomicBool);

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Relaxed);
        (self.0)().ok();
    }
}

fn wait_parked(database: &Database, count: usize) -> Result<()> {
    eventually(PATIENCE, "commits that wait for a standby", || {
        let found = database.value("select count(*) from pg_stat_activity where wait_event = 'SyncRep'")?;
        ensure!(found == count.to_string(), "{found}");
        Ok(())
    })
}

/// Values that the log never carries, because no update touches them, come with the copy or are read once more.
#[test]
fn large_values_that_the_log_leaves_out_are_there_in_the_end() -> Result<()> {
    let scene = scene(
        "toast",
        "create table items (id bigint primary key, version bigint not null, note text);
         alter table items alter note set storage external;
         insert into items select i, 1, repeat(md5(i::text), 200) from generate_series(1, 3000) i",
    )?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                scene.database.execute("update items set version = version + 1 where id % 10 = 0")?;
            }
            Ok(())
        });
        let copied = scene.start().and_then(|headwater| {
            wait_complete(&headwater, "items")?;
            Ok(headwater)
        });
        stop.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        let headwater = copied?;
        // A reader keeps what it has where an event says that the log left the value out.
        let expected = scene.database.value("select count(*) from items where length(note) = 6400")?;
        assert_eq!(expected, "3000");
        eventually(PATIENCE, "all notes", || {
            let mut notes: HashMap<String, Option<usize>> = HashMap::new();
            for event in scene.oracle().read(&scene.topic("items"))? {
                let key = event.key.as_ref().map(Json::to_string).unwrap_or_default();
                let length = event.after("note").as_str().map(str::len);
                let known = notes.entry(key).or_default();
                *known = length.or(*known);
            }
            let whole = notes.values().filter(|length| **length == Some(6400)).count();
            ensure!(whole == 3_000, "{whole} of {} rows have their note\n{}", notes.len(), headwater.output());
            Ok(())
        })
    })
}

#[test]
fn tables_that_change_under_the_copy_end_up_right() -> Result<()> {
    let mut scene = scene("shaken", &filled(30_000))?;
    // So slow that chunks fall between the changes, on every machine.
    scene.source += "\nsnapshot_rate = \"2MiB\"";
    scene.database.execute(
        "create table gone (id bigint primary key, version bigint not null, note text);
         insert into gone select i, 1, repeat('g', 500) from generate_series(1, 20000) i;
         create table emptied (id bigint primary key, version bigint not null, note text);
         insert into emptied select i, 1, repeat('e', 500) from generate_series(1, 20000) i",
    )?;
    let headwater = scene.launch()?;
    wait_said(&headwater, "snapshot begins")?;
    scene.database.execute("truncate emptied; insert into emptied values (1, 5, 'after')")?;
    scene.database.execute("alter table items add column extra int default 3")?;
    scene.database.execute("alter table items alter column version type numeric(20,0)")?;
    eventually(PATIENCE, "a copied row with a decimal", || {
        let events = scene.oracle().read(&scene.topic("items"))?;
        ensure!(events.iter().any(|event| event.after("version").is_string()), "{} rows", events.len());
        Ok(())
    })?;
    scene.database.execute("alter table items alter column version type bigint")?;
    scene.database.execute("drop table gone")?;
    scene.database.execute("update items set version = version + 1 where id % 100 = 0")?;
    wait_complete(&headwater, "items")?;
    wait_complete(&headwater, "emptied")?;
    judge(&scene, "items")?;
    eventually(PATIENCE, "the one row of the emptied table", || {
        let events = scene.oracle().read(&scene.topic("emptied"))?;
        let table = testkit::oracle::replay(&events)?;
        ensure!(table.len() == 1, "{} rows", table.len());
        Ok(())
    })
}

#[test]
fn keys_of_every_kind_are_walked() -> Result<()> {
    let scene = scene(
        "keys",
        r#"create table "Odd ""Name" (at timestamptz, "Größe" numeric(10,2), t text collate "C", version bigint,
             primary key (t, "Größe", at));
           insert into "Odd ""Name" select '2020-01-01'::timestamptz + i * interval '1 hour', (i % 7) / 3.0,
             repeat(chr(39) || '\' || chr(64 + i % 50), 2), i from generate_series(1, 9000) i"#,
    )?;
    let headwater = scene.start()?;
    wait_said(&headwater, "snapshot complete")?;
    let topics = scene.oracle();
    eventually(PATIENCE, "all rows", || {
        let events = topics.read(&scene.topic("Odd_x20__x22_Name"))?;
        ensure!(count(&events, "r") == 9_000 && events.len() == 9_000, "{}", events.len());
        Ok(())
    })
}

/// Rows of a table without a key are counted: each content as often in the topic's sum as in the table.
#[test]
fn a_table_without_a_key_is_copied_whole_while_it_is_written() -> Result<()> {
    let scene = scene(
        "keyless",
        "create table items (id bigint, version bigint, note text); alter table items replica identity full;
         insert into items select i, 1, repeat('x', 400) from generate_series(1, 30000) i",
    )?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let writer = scope.spawn(|| -> Result<()> {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                scene.database.execute(&format!(
                    "insert into items values ({round}, 2, 'new'); update items set version = version + 1 where id = {};
                     delete from items where id = {}",
                    round * 7 % 30_000,
                    round * 11 % 30_000
                ))?;
            }
            Ok(())
        });
        let outcome = scene.start().and_then(|headwater| {
            wait_complete(&headwater, "items")?;
            Ok(headwater)
        });
        stop.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        let headwater = outcome?;
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for row in scene.database.query("select id, version, left(note, 3), count(*) from items group by 1, 2, 3")? {
            let field = |at: usize| row[at].clone().unwrap_or_default();
            expected.insert(format!("{} {} {}", field(0), field(1), field(2)), field(3).parse()?);
        }
        eventually(PATIENCE, "the topic to add up to the table", || {
            let mut found: BTreeMap<String, i64> = BTreeMap::new();
            let name = |row: &Json| {
                let note: String = row["note"].as_str().unwrap_or_default().chars().take(3).collect();
                format!("{} {} {note}", row["id"], row["version"])
            };
            for event in scene.oracle().read(&scene.topic("items"))? {
                for (row, sign) in [(event.field("before"), -1), (event.field("after"), 1)] {
                    if !row.is_null() {
                        *found.entry(name(row)).or_default() += sign;
                    }
                }
            }
            found.retain(|_, count| *count != 0);
            let differing: Vec<_> =
                expected.iter().filter(|(row, count)| found.get(*row) != Some(*count)).take(5).collect();
            ensure!(
                differing.is_empty() && found.len() == expected.len(),
                "{} contents, {} in the topic; {differing:?}\n{}",
                expected.len(),
                found.len(),
                headwater.output()
            );
            Ok(())
        })
    })
}
