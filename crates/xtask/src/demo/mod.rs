//! `cargo xtask demo`: a small shop, its changes as they arrive in Kafka, a SIGKILL, and a verdict.
//!
//! The verdict is the exit code. It is reached by the test kit's oracle, which reads with `read_committed` and decodes with
//! other code than headwater's: the topics must show exactly the rows of the tables, and one event for each change.

mod screen;
mod shop;
mod store;
mod verdict;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::{Headwater, Oracle, shared};

use crate::product::{self, Pipeline};
use screen::Screen;
use shop::Shop;
use store::Source;
use verdict::Watcher;

/// How the demonstration runs.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The database to read
    #[arg(long, value_enum, default_value_t = Source::Postgres)]
    source: Source,
    /// How long the shop is open, in seconds
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(6..=600))]
    seconds: u64,
    /// A binary to show instead of building one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// How often the topics are looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How long the last events may take to arrive after the shop has closed.
const CATCH_UP: Duration = Duration::from_secs(30);
const READY: Duration = Duration::from_secs(60);

pub(crate) fn run(root: &Path, options: &Options) -> Result<()> {
    let screen = Screen::new();
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => screen.during("building headwater", || product::build(root))?,
    };
    let what = format!("starting {}, Kafka and a schema registry", options.source.name());
    let store = screen.during(&what, || options.source.start())?;
    store.create_tables()?;
    let (kafka, registry) = (shared::kafka(), shared::registry());
    let pipeline = Pipeline {
        name: "demo_shop".to_owned(),
        database: store.url(),
        schema: store.schema().to_owned(),
        tables: format!("{}.*", store.schema()),
        snapshot: "never",
        publication: None,
        brokers: kafka.bootstrap(),
        registry: registry.url(),
        delivery: "exactly-once",
    };
    let start = || -> Result<Headwater> {
        let headwater = Headwater::start(&binary, &pipeline.toml())?;
        headwater.wait_ready(READY)?;
        Ok(headwater)
    };
    let mut headwater = screen.during("starting headwater", start)?;

    let mut watcher = Watcher::new(Oracle::new(kafka, registry), &pipeline);
    let open = Duration::from_secs(options.seconds);
    let (alter_at, kill_at) = (open / 3, open / 2);
    let shop = Shop::open(&store, open, alter_at)?;
    screen
        .title("The shop is open. Every line is an event, decoded from its topic, as a read_committed reader sees it.");
    let begin = Instant::now();
    let mut killed = false;
    let (mut told_alter, mut restarted) = (false, None);
    while !shop.is_closed() {
        watcher.show_new(&screen)?;
        if !told_alter && begin.elapsed() >= alter_at {
            told_alter = true;
            screen.note(shop::ALTER);
        }
        if !killed && begin.elapsed() >= kill_at {
            killed = true;
            screen.alarm(&format!("kill -9 {}   (the shop goes on)", headwater.pid()));
            let dead = Instant::now();
            headwater.kill9()?;
            headwater = start().context("starting headwater again")?;
            restarted = Some(dead.elapsed());
            screen.note(&format!(
                "headwater is back after {:.1} s and continues from its checkpoint",
                dead.elapsed().as_secs_f64()
            ));
        }
        std::thread::sleep(GLANCE);
    }
    let done = shop.join()?;
    screen.title("The shop is closed. What is in the tables, and what do the topics say?");
    let verdict = watcher.judge(&screen, &store, &done, CATCH_UP)?;
    let code = headwater.terminate(Duration::from_secs(30))?;
    ensure!(killed && restarted.is_some(), "headwater was never killed: the shop was open for too short a time");
    screen.verdict(&verdict, code);
    ensure!(code == 0, "headwater ended with exit code {code} after SIGTERM; its log:\n{}", headwater.output());
    ensure!(verdict.holds(), "the topics do not say what the tables hold");
    Ok(())
}
