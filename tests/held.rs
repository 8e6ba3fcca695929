//! Tables whose new shape would harm consumers are held: their events are parked, in order, each once, and return when a
//! person or the registry lets them.

mod live;
mod lost;
mod registry;
mod released;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Event, Headwater, eventually, http};

use crate::support::{PATIENCE, Scene, Store, insert_journaled, wait_status};

/// Judged as by default.
const EVOLVE: &str = "[evolution]\non_change = \"evolve\"";

/// A scene whose `items` have a column that no statement of the tests writes, and a table that nothing happens to.
fn with_extra<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.more = EVOLVE.to_owned();
    scene.tables.push(format!("{}.bystander", scene.database.schema()));
    scene.database.execute("create table bystander (id bigint primary key, at bigint)")?;
    scene.database.execute("alter table items add column extra varchar(20) default 'e'")
}

/// The consumers' worst case: the registry would let it pass.
const RENAME: &str = "alter table items rename column extra to other";

/// Waits until the table is held; gives what the status says of it.
pub(crate) fn wait_held(headwater: &Headwater, table: &str) -> Result<Json> {
    let find = |status: &Json| {
        let held = status["held"].as_array()?;
        held.iter().find(|held| held["table"].as_str().is_some_and(|name| name.ends_with(table))).cloned()
    };
    let status = wait_status(headwater, &format!("{table} held"), |status| find(status).is_some())?;
    find(&status).context("held")
}

pub(crate) fn wait_not_held(headwater: &Headwater) -> Result<()> {
    let none = |status: &Json| status["held"].as_array().is_some_and(Vec::is_empty);
    wait_status(headwater, "nothing held", none).map(drop)
}

/// Asks the running process; gives the answer's status and text.
pub(crate) fn release(headwater: &Headwater, table: &str, how: &str) -> Result<(u16, String)> {
    let body = serde_json::json!({ "table": table, "how": how }).to_string();
    let answer = http::request("POST", headwater.admin_port(), "/schema/release", Some(&body))?;
    let said: Json = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
    let text = said["done"].as_str().or_else(|| said["error"].as_str()).unwrap_or_default();
    Ok((answer.status, text.to_owned()))
}

fn parked<D: Store>(scene: &Scene<D>) -> String {
    format!("{}.parked", scene.topic("items"))
}

fn wait_count<D: Store>(scene: &Scene<D>, headwater: &Headwater, topic: &str, wanted: usize) -> Result<()> {
    eventually(PATIENCE, &format!("{wanted} records in {topic}"), || {
        let count = scene.oracle().count(topic)?;
        ensure!(count == wanted, "{count} records\n{}", headwater.output());
        Ok(())
    })
}

/// What the control topic says of verdicts. A busy registry may let a table be held for a moment that nothing is wrong with:
/// then it was published when it returned.
fn told<D: Store>(scene: &Scene<D>, count: usize) -> Result<Vec<(String, Event)>> {
    let control = format!("{}.__schema_changes", scene.name);
    let text = |event: &Event, field: &str| event.field(field).as_str().unwrap_or_default().to_owned();
    let settled = |events: &[Event]| {
        let action = |event: &Event| match (text(event, "action").as_str(), text(event, "verdict").starts_with("safe"))
        {
            ("held", true) => None,
            ("returned", true) => Some("published".to_owned()),
            (action, _) => Some(action.to_owned()),
        };
        events.iter().filter_map(|event| Some((action(event)?, event.clone()))).collect::<Vec<_>>()
    };
    let events = scene.oracle().wait_for(&control, PATIENCE, |events| settled(events).len() >= count)?;
    Ok(settled(&events))
}

fn name<D: Store>(scene: &Scene<D>) -> String {
    format!("{}.items", scene.database.schema())
}
