//! A scene: one database, one pipeline, and what must come out at the other end.

mod store;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value as Json;
use testkit::proxy::END_TXN;
use testkit::{Database, Event, Flavour, Headwater, Kafka, MySqlDatabase, Oracle, eventually, shared};

pub(crate) use store::{Journaled, Store};

/// The connector under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_headwater");

/// Promises that are the same whatever the database: functions that take a scene of journaled items, as tests of each kind.
macro_rules! everywhere {
    ($($promise:ident),+ $(,)?) => {
        mod postgres {
            $(#[test] fn $promise() -> anyhow::Result<()> {
                super::$promise(&mut crate::support::Scene::journaled(stringify!($promise))?)
            })+
        }
        mod mysql {
            $(#[test] fn $promise() -> anyhow::Result<()> {
                super::$promise(&mut crate::support::Scene::journaled_of(testkit::Flavour::MySql, stringify!($promise))?)
            })+
        }
        mod mariadb {
            $(#[test] fn $promise() -> anyhow::Result<()> {
                super::$promise(&mut crate::support::Scene::journaled_of(testkit::Flavour::MariaDb, stringify!($promise))?)
            })+
        }
    };
}
pub(crate) use everywhere;

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
pub(crate) struct Scene<D = Database> {
    pub(crate) database: D,
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
        Self::beside(label, sql, shared::postgres().create_database()?)
    }

    /// Makes a table whose every change is counted in `journal`, which is not captured: the judge of [`Scene::judge`].
    pub(crate) fn journaled(label: &str) -> Result<Self> {
        Self::new(label, Database::JOURNALED)?.of_items()
    }
}

impl Scene<MySqlDatabase> {
    /// On the shared MySQL or MariaDB.
    pub(crate) fn of(flavour: Flavour, label: &str, sql: &str) -> Result<Self> {
        Self::beside(label, sql, shared::mysql(flavour).create_database()?)
    }

    pub(crate) fn journaled_of(flavour: Flavour, label: &str) -> Result<Self> {
        Self::of(flavour, label, MySqlDatabase::JOURNALED)?.of_items()
    }
}

impl<D: Store> Scene<D> {
    /// On the shared broker and registry.
    fn beside(label: &str, sql: &str, database: D) -> Result<Self> {
        let (kafka, registry) = std::thread::scope(|scope| {
            scope.spawn(shared::registry);
            (shared::kafka(), shared::registry())
        });
        let neighbours = Neighbours { brokers: kafka.bootstrap(), registry: registry.url(), url: database.url() };
        Self::with(label, sql, database, neighbours)
    }

    fn of_items(mut self) -> Result<Self> {
        self.tables = vec![format!("{}.items", self.database.schema())];
        Ok(self)
    }

    /// On servers of the test's own.
    pub(crate) fn with(label: &str, sql: &str, database: D, neighbours: Neighbours) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // A promise's name may be longer than a slot's.
        let label = label.get(..30).unwrap_or(label);
        let name = format!("{label}_{}_{number}", std::process::id());
        database.execute(sql)?;
        Ok(Self {
            tables: vec![format!("{}.*", database.schema())],
            database,
            name,
            neighbours,
            source: String::new(),
            kafka: String::new(),
            more: String::new(),
        })
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> String {
        let Self { name, neighbours: Neighbours { brokers, registry, url }, source, kafka, more, tables, .. } = self;
        // Where nothing is said of it, nothing is copied: then each change is one event, and events can be counted.
        let snapshot = if source.contains("snapshot") { "" } else { "snapshot = \"never\"\n" };
        // What a change of shape looks like in a topic is one question, whether it may go on another: tests/held.rs asks that.
        let evolution = if more.contains("[evolution]") { "" } else { "[evolution]\non_change = \"accept\"\n" };
        format!(
            "name = \"{name}\"\n\n[source]\nurl = \"{url}\"\ntables = {tables:?}\n{snapshot}{source}\n\n[kafka]\n\
             brokers = \"{brokers}\"\ntopic_prefix = \"{name}\"\ncheckpoint_topic = \"{name}.checkpoints\"\n{kafka}\n\n\
             [registry]\nurl = \"{registry}\"\n\n{more}\n{evolution}\n"
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
        format!("{}.{}.{table}", self.name, self.database.schema())
    }

    pub(crate) fn oracle(&self) -> Oracle {
        Oracle::at(&self.neighbours.brokers, &self.neighbours.registry)
    }

    /// Waits for so many committed records.
    pub(crate) fn events(&self, table: &str, count: usize) -> Result<Vec<Event>> {
        self.oracle().wait_for_count(&self.topic(table), count, PATIENCE)
    }

    /// Journaled, on servers of the test's own.
    pub(crate) fn journaled_on(label: &str, database: D, neighbours: Neighbours) -> Result<Self> {
        Self::with(label, D::JOURNALED, database, neighbours)?.of_items()
    }

    /// A broker of the scene's own that ends each transaction so much later: between two of them there is time for a kill, on
    /// the fastest machine too.
    pub(crate) fn slow_broker(&mut self, late: Duration) -> Result<Kafka> {
        let kafka = Kafka::builder().proxied().start()?;
        kafka.proxy().delay_api(END_TXN, late);
        self.neighbours.brokers = kafka.proxied_bootstrap();
        Ok(kafka)
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
        self.database.judge_transactions(&events)?;
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
}

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

/// What a writer came to.
pub(crate) struct Written {
    pub(crate) transactions: u64,
    pub(crate) per_second: f64,
}

/// Writes transactions until it is told to stop.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Written>>>,
}

impl Writer {
    /// `seed` decides everything but the timing. `pause` is the time between two transactions.
    pub(crate) fn start<D: Store>(database: &D, seed: u64, pause: Duration) -> Result<Self> {
        let mut random = fastrand::Rng::with_seed(seed);
        Self::run(database, move || random_transaction::<D>(&mut random), move |_| pause)
    }

    /// What `next` gives, one transaction each, so many a second where the machine can.
    pub(crate) fn paced<D: Store>(
        database: &D,
        per_second: u32,
        next: impl FnMut() -> String + Send + 'static,
    ) -> Result<Self> {
        let begin = Instant::now();
        let due = move |done: u64| Duration::from_secs(done) / per_second;
        Self::run(database, next, move |done| due(done).saturating_sub(begin.elapsed()))
    }

    fn run<D: Store>(
        database: &D,
        mut next: impl FnMut() -> String + Send + 'static,
        mut pause: impl FnMut(u64) -> Duration + Send + 'static,
    ) -> Result<Self> {
        let mut run = database.session()?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (begin, mut transactions) = (Instant::now(), 0);
            while !asked.load(Ordering::Relaxed) {
                run(&next())?;
                transactions += 1;
                std::thread::sleep(pause(transactions)); // the load's rate, not a wait for anything
            }
            Ok(Written { transactions, per_second: transactions as f64 / begin.elapsed().as_secs_f64() })
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops after the transaction under way; gives how many there were.
    pub(crate) fn finish(mut self) -> Result<Written> {
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
pub(crate) fn random_transaction<D: Store>(random: &mut fastrand::Rng) -> String {
    let changes: Vec<Journaled> = (0..random.usize(1..12)).map(|_| Journaled::random(random)).collect();
    D::transaction(&changes, random.u8(0..10) > 0)
}

/// Writes `count` journaled rows with ids from `first`, in one transaction.
pub(crate) fn insert_journaled<D: Store>(database: &D, first: u64, count: u64) -> Result<()> {
    database.execute(&D::insertion(first, count, "concat('row ', i)"))
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
