//! The consumer of the documentation ends with the table, whatever is killed on the way.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::{Process, eventually, seed};

use crate::support::{PATIENCE, Scene, Writer};

/// The example as its user runs it.
struct Example<'s> {
    scene: &'s Scene,
    folder: &'s Path,
}

impl Example<'_> {
    fn command(&self) -> Result<Command> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/python/consumer.py");
        let mut command = Command::new(testkit::python()?);
        command.arg(script).args(["--brokers", &self.scene.neighbours.brokers]);
        command.args(["--registry", &self.scene.neighbours.registry, "--topic", &self.scene.topic("items")]);
        command.arg("--sqlite").arg(self.folder.join("copy.db"));
        Ok(command)
    }

    fn start(&self) -> Result<Process> {
        Process::spawn("consumer.py", self.command()?, &self.folder.join("consumer.log"))
    }

    /// Runs it until nothing comes any more.
    fn finish(&self) -> Result<()> {
        let done = self.command()?.args(["--until-idle", "3"]).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// A query on the copy, its rows as JSON.
    fn query(&self, sql: &str) -> Result<serde_json::Value> {
        let script = "import json, sqlite3, sys\n\
            print(json.dumps(sqlite3.connect(sys.argv[1], timeout=10).execute(sys.argv[2]).fetchall()))";
        let copy = self.folder.join("copy.db");
        let done = Command::new(testkit::python()?).args(["-c", script]).arg(copy).arg(sql).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}

#[test]
fn the_documented_consumer_ends_with_the_table() -> Result<()> {
    let scene = Scene::journaled("consumer")?;
    let mut headwater = scene.start()?;
    let folder = headwater.config().with_file_name("");
    let example = Example { scene: &scene, folder: &folder };
    let writer = Writer::start(&scene.database, seed("the_documented_consumer"), Duration::from_millis(3))?;
    let mut applied = 0;
    for _ in 0..3 {
        let consumer = example.start()?;
        applied = eventually(PATIENCE, "the consumer's progress", || {
            let next = example.query("select coalesce(sum(next), 0) from _offsets")?[0][0].as_u64().unwrap_or_default();
            ensure!(next > applied, "offset {next}; {}", consumer.tail());
            Ok(next)
        })?;
        consumer.kill()?;
        headwater.kill9()?;
        headwater = scene.start()?;
    }
    writer.finish()?;
    scene.judge()?;
    example.finish()?;
    let copy = example.query("select id, version, note from items order by id")?;
    let table = scene
        .database
        .value("select coalesce(json_agg(json_build_array(id, version, note) order by id), '[]') from items")?;
    assert_eq!(copy, serde_json::from_str::<serde_json::Value>(&table)?);
    Ok(())
}
