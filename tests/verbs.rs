//! The verbs beside `run`: `tail` needs only a database, `doctor` says what mends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Flavour, eventually};

use crate::support::{BINARY, PATIENCE, Scene, command, insert_journaled};

#[test]
fn tail_prints_json_lines_into_a_pipe_and_leaves_nothing_behind() -> Result<()> {
    let scene = Scene::journaled("tail")?;
    let mut tail = Command::new(BINARY)
        .args(["tail", &scene.database.url(), "--tables", "public.items"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mine = format!("from pg_replication_slots where database = '{}'", scene.database.name);
    eventually(PATIENCE, "the slot of tail", || {
        match scene.database.value(&format!("select count(*) {mine} and active"))? {
            count if count == "1" => Ok(()),
            count => anyhow::bail!("{count} slots"),
        }
    })?;
    insert_journaled(&scene.database, 1, 2)?;
    let lines = BufReader::new(tail.stdout.take().context("no output")?).lines().take(2);
    let events: Vec<Json> = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<_>>()?;
    assert_eq!(events[1]["op"], "c");
    assert_eq!(events[1]["after"]["note"], "row 2");
    let stopped = Command::new("kill").arg("-TERM").arg(tail.id().to_string()).status()?;
    ensure!(stopped.success());
    ensure!(tail.wait()?.success(), "tail ends with 0");
    assert_eq!(scene.database.value(&format!("select count(*) {mine}"))?, "0", "no slot is left");
    assert_eq!(scene.database.value("select count(*) from pg_publication")?, "0", "no publication is left");
    Ok(())
}

#[test]
fn tail_reads_mysql() -> Result<()> {
    tail_beside_a_pipeline(Flavour::MySql)
}

#[test]
fn tail_reads_mariadb() -> Result<()> {
    tail_beside_a_pipeline(Flavour::MariaDb)
}

/// A binlog has readers with numbers, of which each has one stream: `tail` must not end a pipeline's.
fn tail_beside_a_pipeline(flavour: Flavour) -> Result<()> {
    let scene = Scene::journaled_of(flavour, "tail")?;
    let headwater = scene.start()?;
    let items = format!("{}.items", scene.database.name);
    let mut tail = Command::new(BINARY)
        .args(["tail", &scene.neighbours.url, "--tables", &items])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(tail.stderr.take().context("no standard error")?).lines();
    let begun = said.find(|line| line.as_ref().map_or(true, |line| line.starts_with("tailing ")));
    ensure!(begun.transpose()?.is_some_and(|line| line.contains(&items)), "tail does not say what it reads");
    insert_journaled(&scene.database, 1, 2)?;
    let lines = BufReader::new(tail.stdout.take().context("no output")?).lines().take(2);
    let events: Vec<Json> = lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<_>>()?;
    assert_eq!(events[1]["op"], "c");
    assert_eq!(events[1]["after"]["note"], "row 2");
    assert_eq!(events[1]["source"]["db"], scene.database.name);
    let stopped = Command::new("kill").arg("-TERM").arg(tail.id().to_string()).status()?;
    ensure!(stopped.success());
    ensure!(tail.wait()?.success(), "tail ends with 0");
    insert_journaled(&scene.database, 3, 2)?;
    scene.judge()?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

#[test]
fn doctor_finds_nothing_wrong_where_headwater_runs() -> Result<()> {
    let scene = Scene::journaled("fit")?;
    let headwater = scene.start()?;
    let config = headwater.config().display().to_string();
    let (code, report) = command(&["doctor", "-c", &config, "--output", "json"])?;
    assert_eq!(code, 0, "{report}");
    for word in ["wal_level", "public.items", "brokers", "registry"] {
        ensure!(report.contains(word), "{word} is missing in {report}");
    }
    Ok(())
}

#[test]
fn doctor_names_what_mends() -> Result<()> {
    let mut scene = Scene::new("unfit", "create table bare (note text); create table good (id int primary key)")?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    scene.neighbours.registry = "http://127.0.0.1:1/".to_owned();
    let path = headwater.config().with_extension("unfit.toml");
    std::fs::write(&path, scene.config())?;
    let (code, report) = command(&["doctor", "-c", &path.display().to_string()])?;
    assert_eq!(code, 5, "{report}");
    for word in ["public.bare", "REPLICA IDENTITY", "registry"] {
        ensure!(report.contains(word), "{word} is missing in {report}");
    }
    Ok(())
}

/// Replication is judged by the guarantee's conditions. (A kit of one broker has one replica; the other cases are tried
/// where they are judged.)
#[test]
fn doctor_judges_what_topics_keep() -> Result<()> {
    let scene = Scene::journaled("keeps")?;
    let kafka = testkit::shared::kafka();
    kafka.create_topic(&format!("{}.checkpoints", scene.name), 1, &[("cleanup.policy", "compact")])?;
    let headwater = scene.start()?;
    let config = headwater.config().display().to_string();
    let (code, report) = command(&["doctor", "-c", &config])?;
    assert_eq!(code, 0, "one replica is a warning: {report}");
    let line = |topic: &str, word: &str| {
        let about = report.lines().find(|line| line.contains(&format!("topic {topic}")) && line.contains(word));
        about.map(str::to_owned).with_context(|| format!("{word} is not said of {topic} in {report}"))
    };
    for topic in [format!("{}.checkpoints", scene.name), scene.topic("items")] {
        ensure!(line(&topic, "one replica")?.contains('!'), "{report}");
    }
    ensure!(report.contains("run 3 brokers or more (there are 1)"), "{report}");
    // A topic that asks for more replicas than it has takes nothing.
    let asking = Scene::journaled("asking")?;
    kafka.create_topic(&asking.topic("items"), 1, &[("min.insync.replicas", "2")])?;
    let path = headwater.config().with_extension("asking.toml");
    std::fs::write(&path, asking.config())?;
    let (code, report) = command(&["doctor", "-c", &path.display().to_string()])?;
    assert_eq!(code, 5, "{report}");
    ensure!(report.contains("min.insync.replicas=2, but it has 1"), "{report}");
    Ok(())
}
