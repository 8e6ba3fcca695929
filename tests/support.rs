//! A scene: one database, one pipeline, and what must come out at the other end.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;
use testkit::{Database, Event, Headwater, Oracle, eventually, shared};

/// The connector under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_headwater");

/// How long anything may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a pipeline's neighbours are.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    pub(crate) brokers: String,
    pub(crate) registry: String,
    /// The source's URL.
    pub(crate) url: String,
}

/// One database with one pipeline.
pub(crate) struct Scene {
    pub(crate) database: Database,
    /// Name of the pipeline, and the prefix of its topics.
    pub(crate) name: String,
    pub(crate) neighbours: Neighbours,
    /// Lines for `[source]`, `[kafka]`, and further sections.
    pub(crate) source: String,
    pub(crate) kafka: String,
    pub(crate) more: String,
    pub(crate) tables: Vec<String>,
}

impl Scene {
    /// On the shared servers, with these statements run first.
    pub(crate) fn new(label: &str, sql: &str) -> Result<Self> {
        let servers = shared::all();
        let database = servers.postgres.create_database()?;
        let neighbours =
            Neighbours { brokers: servers.kafka.bootstrap(), registry: servers.registry.url(), url: database.url() };
        Self::with(label, sql, database, neighbours)
    }

    /// On servers of the test's own.
    pub(crate) fn with(label: &str, sql: &str, database: Database, neighbours: Neighbours) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}_{}_{number}", std::process::id());
        database.execute(sql)?;
        Ok(Self {
            database,
            name,
            neighbours,
            source: String::new(),
            kafka: String::new(),
            more: String::new(),
            tables: vec!["public.*".to_owned()],
        })
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> String {
        let Self { name, neighbours: Neighbours { brokers, registry, url }, source, kafka, more, tables, .. } = self;
        // Where nothing is said of it, nothing is copied: then each change is one event, and events can be counted.
        let snapshot = if source.contains("snapshot") { "" } else { "snapshot = \"never\"\n" };
        format!(
            "name = \"{name}\"\n\n[source]\nurl = \"{url}\"\ntables = {tables:?}\n{snapshot}{source}\n\n[kafka]\n\
             brokers = \"{brokers}\"\ntopic_prefix = \"{name}\"\ncheckpoint_topic = \"{name}.checkpoints\"\n{kafka}\n\n\
             [registry]\nurl = \"{registry}\"\n\n{more}\n"
        )
    }

    /// Starts the connector without waiting for it.
    pub(crate) fn launch(&self) -> Result<Headwater> {
        Headwater::start(BINARY, &self.config())
    }

    /// Starts the connector and waits until it streams.
    pub(crate) fn start(&self) -> Result<Headwater> {
        let headwater = self.launch()?;
        headwater.wait_ready(PATIENCE).with_context(|| headwater.output())?;
        Ok(headwater)
    }

    pub(crate) fn topic(&self, table: &str) -> String {
        format!("{}.public.{table}", self.name)
    }

    pub(crate) fn oracle(&self) -> Oracle {
        Oracle::at(&self.neighbours.brokers, &self.neighbours.registry)
    }

    /// Waits for so many committed records.
    pub(crate) fn events(&self, table: &str, count: usize) -> Result<Vec<Event>> {
        self.oracle().wait_for_count(&self.topic(table), count, PATIENCE)
    }

    /// Makes a table whose every change is counted in `journal`, which is not captured: the judge of [`Scene::judge`].
    pub(crate) fn journaled(label: &str) -> Result<Self> {
        let mut scene = Self::new(label, JOURNALED)?;
        scene.tables = vec!["public.items".to_owned()];
        Ok(scene)
    }

    /// The same on servers of the test's own.
    pub(crate) fn journaled_on(label: &str, database: Database, neighbours: Neighbours) -> Result<Self> {
        let mut scene = Self::with(label, JOURNALED, database, neighbours)?;
        scene.tables = vec!["public.items".to_owned()];
        Ok(scene)
    }

    /// Compares the topic of `items` with the journal and the table: every change once, in order, nothing else.
    pub(crate) fn judge(&self) -> Result<()> {
        let expected: usize = self.database.value("select coalesce(sum(changes), 0) from journal")?.parse()?;
        let count = |events: &[Event]| events.iter().filter(|event| !event.is_tombstone()).count();
        let events = self
            .oracle()
            .wait_for(&self.topic("items"), PATIENCE, |events| count(events) >= expected)
            .context("events are missing")?;
        ensure!(count(&events) == expected, "{} events, but {expected} changes", count(&events));
        self.judge_transactions(&events)?;
        judge_order(&events)?;
        let table: BTreeMap<String, String> = self
            .database
            .query("select id, version from items")?
            .into_iter()
            .map(|row| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default()))
            .collect();
        let topic: BTreeMap<String, String> = testkit::oracle::replay(&events)?
            .into_values()
            .map(|row| (row["id"].to_string(), row["version"].to_string()))
            .collect();
        ensure!(table == topic, "the table and what its events say differ:\n{table:?}\n{topic:?}");
        Ok(())
    }

    /// Each transaction has as many events as the journal says, numbered without gap or repetition.
    fn judge_transactions(&self, events: &[Event]) -> Result<()> {
        let mut orders: HashMap<u64, Vec<u64>> = HashMap::new();
        for event in events.iter().filter(|event| !event.is_tombstone()) {
            let xid = event.field("source.txId").as_u64().context("an event without txId")?;
            let order = event.field("transaction.total_order").as_u64().context("an event without total_order")?;
            orders.entry(xid).or_default().push(order);
        }
        for row in self.database.query("select xid, changes from journal")? {
            let xid: u64 = row[0].as_deref().unwrap_or_default().parse()?;
            let changes: u64 = row[1].as_deref().unwrap_or_default().parse()?;
            let mut seen = orders.remove(&(xid & 0xffff_ffff)).unwrap_or_default();
            seen.sort_unstable();
            let wanted: Vec<u64> = (1..=changes).collect();
            ensure!(seen == wanted, "transaction {xid}: wanted changes 1..={changes}, the topic has {seen:?}");
        }
        ensure!(orders.is_empty(), "events of transactions that are not in the journal: {orders:?}");
        Ok(())
    }
}

const JOURNALED: &str = "
    create table items (id bigint primary key, version bigint not null, note text);
    create table journal (xid bigint, changes bigint);";

/// Per key, versions go up by one.
fn judge_order(events: &[Event]) -> Result<()> {
    let mut versions: HashMap<String, i64> = HashMap::new();
    for event in events {
        let key = event.key.as_ref().map(Json::to_string).unwrap_or_default();
        match event.op() {
            "c" | "u" => {
                let version = event.after("version").as_i64().context("an event without version")?;
                let before = versions.insert(key.clone(), version).unwrap_or(version - 1);
                ensure!(version == before + 1, "key {key}: version {version} came after {before}");
            }
            "d" => drop(versions.remove(&key)),
            _ => {}
        }
    }
    Ok(())
}

/// Writes random journaled transactions until it is told to stop.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<u64>>>,
}

impl Writer {
    /// `seed` decides everything but the timing. `pause` is the time between two transactions.
    pub(crate) fn start(database: &Database, seed: u64, pause: Duration) -> Result<Self> {
        let client = Arc::new(database.connect_sync()?);
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut transactions = 0;
            while !asked.load(Ordering::Relaxed) {
                let sql = random_transaction(&mut random);
                let client = Arc::clone(&client);
                testkit::wait(async move { client.batch_execute(&sql).await })?;
                transactions += 1;
                std::thread::sleep(pause); // the load's rate, not a wait for anything
            }
            Ok(transactions)
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops after the transaction under way; gives how many there were.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { bail!("already finished") };
        thread.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One transaction of one to twelve statements; some roll back.
pub(crate) fn random_transaction(random: &mut fastrand::Rng) -> String {
    let mut sql = String::from("begin; create temporary table counted (n bigint) on commit drop;");
    for _ in 0..random.usize(1..12) {
        let id = random.u32(0..60);
        let note = random.u32(..);
        let change = match random.u8(0..10) {
            0..4 => format!(
                "insert into items values ({id}, 1, 'n{note}') on conflict (id) do update set version = items.version + 1"
            ),
            4..8 => format!("update items set version = version + 1, note = 'u{note}' where id = {id}"),
            _ => format!("delete from items where id = {id}"),
        };
        sql.push_str(&format!("with done as ({change} returning 1) insert into counted select count(*) from done;"));
    }
    sql.push_str(
        "insert into journal select pg_current_xact_id()::text::bigint, sum(n) from counted having sum(n) > 0;",
    );
    sql.push_str(if random.u8(0..10) == 0 { "rollback" } else { "commit" });
    sql
}

/// Writes `count` journaled rows with ids from `first`, in one transaction.
pub(crate) fn insert_journaled(database: &Database, first: u64, count: u64) -> Result<()> {
    database.execute(&format!(
        "begin; insert into items select i, 1, 'row ' || i from generate_series({first}, {}) i;
         insert into journal values (pg_current_xact_id()::text::bigint, {count}); commit",
        first + count - 1
    ))
}

/// The seed of a random test: from `HEADWATER_SEED`, or a new one; printed, so that a failure can be repeated.
#[expect(clippy::print_stdout, reason = "a test's output is read when it fails")]
pub(crate) fn seed(test: &str) -> u64 {
    let seed = std::env::var("HEADWATER_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{test}: HEADWATER_SEED={seed}");
    seed
}

/// Waits until the status says so.
pub(crate) fn wait_status(headwater: &Headwater, what: &str, look: impl Fn(&Json) -> bool) -> Result<Json> {
    eventually(PATIENCE, what, || match headwater.status() {
        Ok(status) if look(&status) => Ok(status),
        Ok(status) => Err(format!("{status}\n{}", headwater.output())),
        Err(error) => Err(format!("{error:#}\n{}", headwater.output())),
    })
}

/// Runs the binary with arguments to its end; gives exit code and all output.
pub(crate) fn command(arguments: &[&str]) -> Result<(i32, String)> {
    command_in(Path::new("."), arguments)
}

/// The same in a folder.
pub(crate) fn command_in(folder: &Path, arguments: &[&str]) -> Result<(i32, String)> {
    let output = std::process::Command::new(BINARY).args(arguments).current_dir(folder).output()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code().unwrap_or(-1), text))
}
