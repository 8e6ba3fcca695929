//! The broker goes away, answers late, or answers nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::proxy::{END_TXN, Fault};
use testkit::{Kafka, eventually, seed};

use crate::support::{PATIENCE, Scene, Store, Writer, insert_journaled};

fn a_broker_restart_is_survived<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let kafka = Kafka::start()?;
    scene.neighbours.brokers = kafka.bootstrap();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    // While nothing is being committed: else Kafka 4.3 may forget the end of the transaction when the partition's only broker
    // goes in good order (KAFKA-20734, docs/operating.md). Killed, it finds it again.
    kafka.restart()?;
    let writer = Writer::start(&scene.database, seed("a_broker_restart"), Duration::from_millis(5))?;
    wait_more(scene)?;
    kafka.kill()?;
    kafka.start_again()?;
    writer.finish()?;
    scene.judge().with_context(|| headwater.output())?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

/// Waits until more has been published than now.
fn wait_more<D: Store>(scene: &Scene<D>) -> Result<()> {
    let count = || scene.oracle().count(&scene.topic("items"));
    let before = count()?;
    eventually(PATIENCE, "more events", || {
        let now = count()?;
        ensure!(now > before, "{now} events");
        Ok(())
    })
}

fn a_broker_away_longer_than_the_transaction_is_no_rival<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let kafka = Kafka::start()?;
    scene.neighbours.brokers = kafka.bootstrap();
    scene.kafka = "transaction_timeout = \"5s\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    kafka.suspend()?;
    insert_journaled(&scene.database, 100, 10)?;
    std::thread::sleep(Duration::from_secs(9)); // longer than the transaction may live
    kafka.resume()?;
    insert_journaled(&scene.database, 200, 10)?;
    scene.judge()?;
    let output = headwater.output();
    ensure!(!output.contains("another headwater process"), "there was no rival:\n{output}");
    assert_eq!(headwater.terminate(PATIENCE)?, 0);
    Ok(())
}

fn a_late_end_of_a_transaction_publishes_nothing_twice<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    let kafka = Kafka::builder().proxied().start()?;
    scene.neighbours.brokers = kafka.proxied_bootstrap();
    scene.kafka = "transaction_timeout = \"4s\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    // The request arrives after the client has given up on it.
    kafka.proxy().on_api(END_TXN, 1, Fault::Delay(Duration::from_secs(8)));
    insert_journaled(&scene.database, 100, 10)?;
    insert_journaled(&scene.database, 200, 10)?;
    scene.judge()?;
    // And one whose answer is lost: the broker has committed, the client does not know.
    kafka.proxy().on_api(END_TXN, 1, Fault::CutAfter);
    insert_journaled(&scene.database, 300, 10)?;
    insert_journaled(&scene.database, 400, 10)?;
    scene.judge()?;
    assert_eq!(kafka.proxy().faults_left(END_TXN), 0, "both faults have struck");
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

fn oversized_record_is_named<D: Store>(scene: &mut Scene<D>) -> Result<()> {
    scene.more = "[kafka.properties]\n\"message.max.bytes\" = \"100000\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.database.execute(&D::insertion(77, 1, "repeat('x', 200000)"))?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    for word in [scene.tables[0].as_str(), "id=77", "200", "message.max.bytes"] {
        ensure!(output.contains(word), "{word} is missing in:\n{output}");
    }
    // Nothing was dropped: with a larger limit it goes on with exactly that row.
    scene.more = String::new();
    let _headwater = scene.start()?;
    scene.judge()
}

crate::support::everywhere!(
    a_broker_restart_is_survived,
    a_broker_away_longer_than_the_transaction_is_no_rival,
    a_late_end_of_a_transaction_publishes_nothing_twice,
    oversized_record_is_named
);
