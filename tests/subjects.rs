//! Under which names schemas are kept, and pipelines that may not register any.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::shared;

use crate::held::{release, wait_held, wait_not_held};
use crate::support::{PATIENCE, Scene, Store, command, insert_journaled};

/// What doctor finds about the registry: subject, and what mends it.
fn doctor<D: Store>(scene: &Scene<D>, config: &str) -> Result<Vec<(String, Option<String>)>> {
    let (_, report) = command(&["doctor", "-c", config, "--output", "json"])?;
    let report: Json = serde_json::from_str(&report).with_context(|| report.clone())?;
    let groups = report["groups"].as_array().context("no groups")?;
    let registry = groups.iter().find(|group| group["title"] == "registry").context("no registry")?;
    let findings = registry["findings"].as_array().context("no findings")?.iter();
    let found = |finding: &Json| (finding["subject"].as_str().unwrap_or_default().to_owned(), finding["help"].clone());
    let found = findings.map(found).map(|(subject, help)| (subject, help.as_str().map(str::to_owned)));
    let found: Vec<_> = found.filter(|(subject, _)| subject != "registry").collect();
    ensure!(!found.is_empty(), "nothing about the schemas of {} in {report}", scene.name);
    Ok(found)
}

/// Does what doctor says, as a CI job would, which is the only one that registers.
fn register_missing<D: Store>(scene: &Scene<D>, config: &str) -> Result<Vec<String>> {
    let mut subjects = Vec::new();
    for (subject, help) in doctor(scene, config)? {
        let help = help.with_context(|| format!("no help for {subject}"))?;
        let done = Command::new("sh").args(["-ec", &help]).output()?;
        ensure!(String::from_utf8_lossy(&done.stdout).contains("\"id\""), "{help}\n{done:?}");
        subjects.push(subject);
    }
    Ok(subjects)
}

fn schemas_that_others_register_flow<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.more = "register = false\n".to_owned();
    let topic = scene.topic("items");
    let (key, value) = (format!("{topic}-key"), format!("{topic}-value"));
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    let sentence = format!(
        "subject {key}: the schema is not registered, and registry.register = false forbids headwater to register it"
    );
    for words in [&sentence, "headwater doctor", "curl -X POST", &format!("/subjects/{key}/versions")] {
        ensure!(output.contains(words), "{words} is missing in:\n{output}");
    }
    ensure!(!shared::registry().subjects()?.contains(&key), "it was registered all the same");

    let config = headwater.config().display().to_string();
    assert_eq!(register_missing(scene, &config)?, [format!("subject {key}"), format!("subject {value}")]);
    assert_eq!(doctor(scene, &config)?, [("schemas".to_owned(), None)], "doctor is content");
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;

    // A change of the table holds it before the first event of the new shape, and it goes on by itself.
    scene.database.execute("alter table items add column extra varchar(10) default 'new'")?;
    insert_journaled(&scene.database, 100, 10)?;
    let held = wait_held(&headwater, "items")?;
    ensure!(
        held["reason"].as_str().is_some_and(|why| why.contains(&format!("subject {value}: the schema is not"))),
        "{held}"
    );
    assert_eq!(shared::registry().versions(&value)?, [1]);
    assert_eq!(scene.oracle().count(&topic)?, 10);
    assert_eq!(register_missing(scene, &config)?, [format!("subject {value}")]);
    wait_not_held(&headwater)?;
    scene.judge()?;
    assert_eq!(scene.events("items", 20)?[19].after("extra"), "new");
    assert_eq!(shared::registry().versions(&value)?, [1, 2]);
    assert_eq!(shared::registry().versions(&key)?, [1]);
    Ok(())
}

/// A new version has subjects of its own; doctor asks for them from then on.
fn a_new_version_is_registered_by_others_too<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.more = "register = false\n".to_owned();
    let name = format!("{}.items", scene.database.schema());
    let config = scene.launch()?.config().display().to_string();
    register_missing(scene, &config)?;
    scene.more += "[evolution]\non_change = \"evolve\"";
    let headwater = scene.start()?;
    let config = headwater.config().display().to_string();
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    scene.database.execute("alter table items rename column note to remark")?;
    scene.database.execute("insert into items (id, version, remark) values (100, 1, 'a')")?;
    assert_eq!(wait_held(&headwater, "items")?["verdict"], "corrupts-silently");
    let mut registered = Vec::new();
    while let (409, said) = release(&headwater, &name, "new-version")? {
        let (_, command) = said.split_once("registers it with: ").with_context(|| said.clone())?;
        let done = Command::new("sh").args(["-ec", command]).output()?;
        ensure!(String::from_utf8_lossy(&done.stdout).contains("\"id\""), "{command}\n{done:?}");
        registered.push(said.clone());
        ensure!(registered.len() < 3, "key and value are all: {registered:#?}");
    }
    ensure!(registered.iter().all(|said| said.contains(&format!("{}.v2-", scene.topic("items")))), "{registered:#?}");
    wait_not_held(&headwater)?;
    let events = scene.oracle().wait_for_count(&format!("{}.v2", scene.topic("items")), 1, PATIENCE)?;
    assert_eq!(events[0].after("remark"), "a");
    assert_eq!(doctor(scene, &config)?, [("schemas".to_owned(), None)], "doctor is content");
    Ok(())
}

fn subjects_are_named_by_topic_and_record<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.more = "subject_naming = \"topic-record\"\n".to_owned();
    let topic = scene.topic("items");
    let _headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    let subjects: Vec<_> = shared::registry().subjects()?.into_iter().filter(|name| name.contains(&topic)).collect();
    // The namespace of the records is the topic's name.
    for part in ["Key", "Envelope"] {
        let subject = format!("{topic}-{topic}.{part}");
        ensure!(subjects.contains(&subject), "{subject} is not among {subjects:?}");
    }
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    Ok(())
}

crate::support::everywhere!(
    a_new_version_is_registered_by_others_too,
    schemas_that_others_register_flow,
    subjects_are_named_by_topic_and_record
);

/// One history for a record: tables of one name in two schemas, with equal columns, share nothing.
#[test]
fn subjects_are_named_by_record() -> Result<()> {
    let mut scene = Scene::new(
        "by_record",
        "create schema other; create table items (id int primary key); create table other.items (id int primary key)",
    )?;
    scene.more = "subject_naming = \"record\"\n".to_owned();
    scene.tables = vec!["public.items".to_owned(), "other.items".to_owned()];
    let _headwater = scene.start()?;
    scene.database.execute("insert into items values (1); insert into other.items values (2)")?;
    assert_eq!(scene.events("items", 1)?[0].after("id"), 1);
    let other = format!("{}.other.items", scene.name);
    assert_eq!(scene.oracle().wait_for_count(&other, 1, PATIENCE)?[0].after("id"), 2);
    for table in [scene.topic("items"), other] {
        for part in ["Key", "Envelope"] {
            assert_eq!(shared::registry().versions(&format!("{table}.{part}"))?, [1], "{table}");
        }
    }
    Ok(())
}
