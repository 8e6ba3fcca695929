//! Tables change their shape, their key, their name and their place in the publication while they are captured: every event
//! decodes with the version that was right for its row, and nothing is lost in silence.

mod cases;
mod dropped;
mod publication;
mod shapes;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Event, Headwater, eventually};

use crate::support::{PATIENCE, Scene};

const COPIED: &str = "snapshot = \"initial\"\ntable_refresh = \"1s\"";

/// Copies tables, and looks at the catalogue each second.
fn copied(label: &str, sql: &str) -> Result<Scene> {
    let mut scene = Scene::new(label, sql)?;
    scene.source = COPIED.to_owned();
    Ok(scene)
}

fn wait_said(headwater: &Headwater, words: &str) -> Result<()> {
    eventually(PATIENCE, words, || {
        let output = headwater.output();
        ensure!(output.contains(words), "{output}");
        Ok(())
    })
}

/// What a reader of a topic ends with is what the table holds: these columns, of which the first is the key.
fn wait_same(scene: &Scene, headwater: &Headwater, table: &str, columns: &str) -> Result<Vec<Event>> {
    wait_same_in(scene, headwater, &format!("public.{table}"), columns)
}

fn wait_same_in(scene: &Scene, headwater: &Headwater, table: &str, columns: &str) -> Result<Vec<Event>> {
    let shown = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let names: Vec<&str> = columns.split(", ").collect();
    let rows = scene.database.query(&format!("select {columns} from {table}"))?;
    let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "null".to_owned());
    let expected: BTreeMap<String, Vec<String>> =
        rows.iter().map(|row| (text(&row[0]), row.iter().map(text).collect())).collect();
    eventually(PATIENCE, &format!("the topic of {table} to say what the table says"), || {
        let events = scene.oracle().read(&format!("{}.{table}", scene.name))?;
        let found: BTreeMap<String, Vec<String>> = testkit::oracle::replay(&events)?
            .into_values()
            .map(|row| {
                let cells: Vec<String> =
                    names.iter().map(|name| shown(row.get(*name).unwrap_or(&Json::Null))).collect();
                (cells[0].clone(), cells)
            })
            .collect();
        ensure!(
            found == expected,
            "the table has\n{expected:?}\nthe topic has\n{found:?}\n{}\n{}",
            testkit::oracle::show(&events),
            headwater.output()
        );
        Ok(events)
    })
}

fn count(events: &[Event], op: &str) -> usize {
    events.iter().filter(|event| event.op() == op).count()
}

/// A line of the log that has all these words.
fn line_with(output: &str, words: &[&str]) -> Result<String> {
    let line = output.lines().find(|line| words.iter().all(|word| line.contains(word)));
    line.map(str::to_owned).with_context(|| format!("no line with {words:?} in\n{output}"))
}
