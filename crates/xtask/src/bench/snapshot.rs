//! How fast a table is copied, beside `COPY … TO STDOUT (FORMAT binary)` and beside librdkafka with the same records, and
//! what the copy costs the database's other users.
//!
//! Both read over the server's Unix socket, as a process beside it does.
//!
//! The lower of the two neighbours is the bound: a copy can be no faster than the table is read, and no faster than its
//! records are taken.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::json;
use testkit::process::{cpu_seconds, peak_rss};
use testkit::{Database, Headwater, Oracle, wait};

use super::bounds::{self, Record};
use super::drain::wait_until;
use super::report::{Report, milliseconds, per_second, quantile, rounded};
use super::stand::{ROW, Stand, TABLE};
use crate::product::Pipeline;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: super::Common,
    /// Rows of the table
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    rows: u64,
    /// How often everything is measured
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=20))]
    runs: u64,
    /// Tables that the same rows are spread over: one worker copies one table at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=16))]
    tables: u64,
}

/// Rounds before the first that counts. A broker that has just begun compiles what it runs, beside us on the same
/// processors, and whoever comes first would pay for it.
const WARM_UP: u64 = 2;
/// How long the point query is measured without a copy.
const QUIET: Duration = Duration::from_secs(5);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let binary = options.common.binary(root)?;
    let stand = Stand::start()?;
    let tables: Vec<String> = (0..options.tables).map(table).collect();
    let rows_each = options.rows / options.tables;
    let rows = rows_each * options.tables;
    crate::say(&format!("bench: filling {} tables with {rows_each} rows each", options.tables));
    for table in tables.iter().skip(1) {
        stand.database.execute(&format!("create table {table} (like orders including all)"))?;
        stand.database.execute(&format!("alter publication bench add table {table}"))?;
    }
    for table in &tables {
        stand.database.execute(&format!("insert into {table} select {ROW} from generate_series(1, {rows_each}) i"))?;
    }
    stand.database.execute("vacuum analyze")?;
    stand.database.execute("checkpoint")?;

    let mut report = Report::new("snapshot");
    let quiet = Queries::start(&stand.database, rows_each)?;
    std::thread::sleep(QUIET);
    add_queries(&mut report, "point query, nothing else", &quiet.stop()?);
    let mut bench = Bench { stand: &stand, binary: &binary, tables: &tables, rows, records: Vec::new() };
    let mut warming_up = Report::new("warming up");
    for run in 1..=WARM_UP {
        bench.round(run, &mut warming_up)?;
    }
    for run in WARM_UP + 1..=WARM_UP + options.runs {
        bench.round(run, &mut report)?;
    }
    // A run of its own: the queries take time from what they are compared with.
    let pipeline = Pipeline {
        tables: "public.orders*".to_owned(),
        snapshot: "initial",
        database: stand.database.socket_url(),
        ..stand.pipeline("bench_queries", "exactly-once")
    };
    let queries = Queries::start(&stand.database, rows_each)?;
    let _done = snapshot(&stand, &binary, &pipeline, &tables, rows)?;
    add_queries(&mut report, "point query during a copy", &queries.stop()?);
    report.table();
    Ok(())
}

struct Bench<'a> {
    stand: &'a Stand,
    binary: &'a Path,
    tables: &'a [String],
    rows: u64,
    /// What headwater published, for the neighbour that publishes the same.
    records: Vec<Record>,
}

impl Bench<'_> {
    /// Everything once, one after the other.
    fn round(&mut self, run: u64, report: &mut Report) -> Result<()> {
        let Self { stand, binary, tables, rows, .. } = *self;
        let copied = copy(&stand.database, tables)?;
        report.add("copy to /dev/null", &json!({ "run": run, "rows_per_s": per_second(rows, copied) }));

        let pipeline = Pipeline {
            tables: "public.orders*".to_owned(),
            snapshot: "initial",
            database: stand.database.socket_url(),
            ..stand.pipeline(&format!("bench_{run}"), "exactly-once")
        };
        let done = snapshot(stand, binary, &pipeline, tables, rows)?;
        stand.drop_slot(&pipeline.name)?;
        let brokers = stand.kafka.bootstrap();
        if self.records.is_empty() {
            let wanted = (rows / tables.len() as u64).min(100_000) as usize;
            self.records = bounds::sample(&brokers, &pipeline.topic(TABLE), wanted)?;
        }
        let per_transaction = rows / done.transactions.max(1);
        let topic = format!("bound_{run}");
        let produced = bounds::produce(&brokers, &topic, &self.records, rows, Some(per_transaction.max(1)))?;
        let bound = copied.max(produced.time);
        report.add(
            "headwater exactly-once",
            &json!({
                "run": run,
                "rows_per_s": per_second(rows, done.time),
                "to_the_lower_bound": rounded(bound.as_secs_f64() / done.time.as_secs_f64(), 2),
                "cpu_s_per_million": rounded(done.cpu_seconds / (rows as f64 / 1e6), 2),
                "peak_rss_mib": rounded(done.peak_rss as f64 / f64::from(1 << 20), 1),
                "rows_per_transaction": per_transaction,
            }),
        );
        report.add(
            "librdkafka in transactions",
            &json!({
                "run": run,
                "rows_per_s": per_second(rows, produced.time),
                "cpu_s_per_million": rounded(produced.cpu_seconds / (rows as f64 / 1e6), 2),
            }),
        );
        Ok(())
    }
}

fn table(number: u64) -> String {
    if number == 0 { TABLE.to_owned() } else { format!("{TABLE}_{number}") }
}

fn add_queries(report: &mut Report, what: &str, latencies: &[Duration]) {
    report.add(
        what,
        &json!({
            "queries": latencies.len(),
            "p50_ms": milliseconds(quantile(latencies, 0.5)),
            "p99_ms": milliseconds(quantile(latencies, 0.99)),
        }),
    );
}

/// The server's own way, into the null device: one `psql` for each table, all at once.
fn copy(database: &Database, tables: &[String]) -> Result<Duration> {
    let begin = Instant::now();
    let start = |table: &String| {
        let statement = format!("copy {table} to stdout (format binary)");
        let mut command = Command::new("psql");
        command
            .args(["--no-psqlrc", "--quiet", "--dbname", &database.socket_url(), "--command", &statement])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command.spawn().context("starting psql (Debian: postgresql-client)")
    };
    let running: Vec<_> = tables.iter().map(start).collect::<Result<_>>()?;
    for mut psql in running {
        let status = psql.wait()?;
        ensure!(status.success(), "psql: {status}");
    }
    Ok(begin.elapsed())
}

/// What headwater needed.
struct Done {
    /// From the first look at which it was streaming.
    time: Duration,
    cpu_seconds: f64,
    peak_rss: u64,
    transactions: u64,
}

fn snapshot(stand: &Stand, binary: &Path, pipeline: &Pipeline, tables: &[String], rows: u64) -> Result<Done> {
    let headwater = Headwater::start(binary, &pipeline.toml())?;
    let begin = wait_until(&headwater, "headwater_streaming", 1)?;
    let end = wait_until(&headwater, "headwater_rows_total", rows)?;
    let (cpu_seconds, peak_rss) = (cpu_seconds(headwater.pid())?, peak_rss(headwater.pid())?);
    let transactions = headwater.metric("headwater_batches_total")?.unwrap_or_default() as u64;
    let code = headwater.terminate(Duration::from_secs(30))?;
    ensure!(code == 0, "headwater ended with {code}; its log:\n{}", headwater.output());
    let oracle = Oracle::new(&stand.kafka, &stand.registry);
    let counts = tables.iter().map(|table| oracle.count(&pipeline.topic(table)));
    let count: usize = counts.collect::<Result<Vec<_>>>()?.into_iter().sum();
    ensure!(count as u64 == rows, "the topics have {count} records, {rows} were expected");
    Ok(Done { time: end - begin, cpu_seconds, peak_rss, transactions })
}

/// Somebody else's queries: a row by its key, every two milliseconds.
struct Queries {
    stop: Arc<AtomicBool>,
    work: JoinHandle<Result<Vec<Duration>>>,
}

impl Queries {
    fn start(database: &Database, rows: u64) -> Result<Self> {
        let client = Arc::new(database.connect_sync()?);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(1);
            let mut latencies = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let statement = format!("select * from orders where id = {}", random.u64(1..=rows));
                let (client, begin) = (Arc::clone(&client), Instant::now());
                wait(async move { client.batch_execute(&statement).await })?;
                latencies.push(begin.elapsed());
                std::thread::sleep(Duration::from_millis(2)); // the load's rate
            }
            Ok(latencies)
        });
        Ok(Self { stop, work })
    }

    fn stop(self) -> Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().map_err(|_| anyhow!("the queries' thread panicked; its message is above"))?
    }
}
