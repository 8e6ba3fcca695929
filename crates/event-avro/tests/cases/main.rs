//! The 34 ordinary changes of `avro-cases.json`: the rules' verdict, the registry's, and what really happens to values.

#![expect(clippy::unwrap_used, reason = "tests panic")]

mod data;
mod judged;
mod level;
mod properties;
mod readers;

use serde::Deserialize;
use serde_json::Value as Json;

/// One change of one table.
#[derive(Deserialize)]
struct Case<'a> {
    id: &'a str,
    old: Schemas,
    new: Schemas,
    verdict: Verdicts,
    judgement: &'a str,
}

#[derive(Deserialize)]
struct Schemas {
    row: Json,
    envelope: Json,
}

#[derive(Deserialize)]
struct Verdicts {
    row: Checked,
    envelope: Checked,
}

/// What Apache Avro's own checker says.
#[derive(Deserialize)]
struct Checked {
    backward: bool,
    forward: bool,
    full: bool,
}

fn cases() -> Vec<Case<'static>> {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow)]
        cases: Vec<Case<'a>>,
    }
    let file: File<'static> = serde_json::from_str(include_str!("../avro-cases.json")).unwrap();
    assert_eq!(file.cases.len(), 34);
    file.cases
}
