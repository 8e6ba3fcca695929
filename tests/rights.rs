//! The rights in Kafka that the documentation lists: they suffice, and each that is missing is named.

use anyhow::{Context as _, Result, ensure};
use sink_kafka::rights::{RIGHTS, Resource, Right};
use testkit::acls;
use testkit::{Kafka, shared};

use crate::support::{Neighbours, PATIENCE, Scene, insert_journaled};

const USER: &str = "writer";
const PASSWORD: &str = "least rights";

/// A broker that allows nothing to anybody but those who come by the plain listener: the kit itself.
fn guarded() -> Result<Kafka> {
    Kafka::builder()
        .sasl(USER, PASSWORD)
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:ANONYMOUS")
        .start()
}

/// A scene whose connector logs in as the user with few rights.
fn scene(label: &str, kafka: &Kafka) -> Result<Scene> {
    let database = shared::postgres().create_database()?;
    let neighbours =
        Neighbours { brokers: kafka.sasl_bootstrap(), registry: shared::registry().url(), url: database.url() };
    let mut scene = Scene::journaled_on(label, database, neighbours)?;
    scene.more = format!(
        "[kafka.properties]\n\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\
         \"sasl.username\" = \"{USER}\"\n\"sasl.password\" = \"{PASSWORD}\""
    );
    Ok(scene)
}

/// Those of the documented rights that `wanted` chooses, for this scene's names.
fn documented(scene: &Scene, wanted: fn(&Right) -> bool) -> Vec<(acls::Resource, &'static str)> {
    let name = &scene.name;
    RIGHTS
        .iter()
        .filter(|right| wanted(right))
        .flat_map(|right| {
            let resource = match right.resource {
                Resource::TransactionalId => acls::Resource::TransactionalId(format!("headwater-{name}")),
                Resource::EventTopics => acls::Resource::Topics(format!("{name}.public.")),
                Resource::CheckpointTopic => acls::Resource::Topic(format!("{name}.checkpoints")),
                Resource::Cluster => acls::Resource::Cluster,
            };
            right.operations.iter().map(move |operation| (resource.clone(), *operation))
        })
        .collect()
}

fn always(right: &Right) -> bool {
    right.only.is_none()
}

fn make_topics(scene: &Scene, kafka: &Kafka) -> Result<()> {
    kafka.create_topic(&format!("{}.checkpoints", scene.name), 1, &[("cleanup.policy", "compact")])?;
    kafka.create_topic(&scene.topic("items"), 1, &[])
}

/// Two lives of the connector, the first one killed, and the judge comes by the plain listener.
fn main_road(scene: &mut Scene, kafka: &Kafka) -> Result<()> {
    let guarded_way = scene.neighbours.brokers.clone();
    for round in 0..2 {
        scene.neighbours.brokers.clone_from(&guarded_way);
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1 + 10 * round, 10)?;
        scene.neighbours.brokers = kafka.bootstrap();
        scene.judge().with_context(|| headwater.output())?;
        if round == 0 {
            headwater.kill9()?;
        } else {
            assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
        }
        ensure!(!headwater.output().contains("authorization failed"), "{}", headwater.output());
    }
    Ok(())
}

#[test]
fn the_documented_rights_suffice() -> Result<()> {
    let kafka = guarded()?;
    let mut least = scene("least", &kafka)?;
    make_topics(&least, &kafka)?;
    kafka.allow(USER, &documented(&least, always))?;
    main_road(&mut least, &kafka)?;
    // With the rights for it, headwater makes its topics.
    let mut maker = scene("maker", &kafka)?;
    kafka.allow(USER, &documented(&maker, |right| right.resource != Resource::Cluster))?;
    main_road(&mut maker, &kafka)
}

#[test]
fn a_missing_right_is_named() -> Result<()> {
    let kafka = guarded()?;
    let mut scenes = Vec::new();
    for missing in 0..documented(&scene("count", &kafka)?, always).len() {
        let scene = scene("missing", &kafka)?;
        make_topics(&scene, &kafka)?;
        let mut rights = documented(&scene, always);
        let gone = rights.remove(missing);
        kafka.allow(USER, &rights)?;
        insert_slot_and_row(&scene)?;
        scenes.push((scene, gone));
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = scenes.iter().map(|(scene, gone)| scope.spawn(|| refused(scene, gone))).collect();
        running.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow::anyhow!("a panic"))?)
    })?;
    // Topics that are not there, and may not be made, come with the command that makes them.
    let scene = scene("absent", &kafka)?;
    kafka.allow(USER, &documented(&scene, always))?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    let output = headwater.output();
    ensure!(output.contains("kafka-topics") && output.contains(&format!("{}.checkpoints", scene.name)), "{output}");
    Ok(())
}

/// A publication and a slot from before a row, so that there is something to publish at once.
fn insert_slot_and_row(scene: &Scene) -> Result<()> {
    let name = &scene.name;
    scene.database.execute(&format!("create publication {name} for table items"))?;
    scene.database.execute(&format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')"))?;
    insert_journaled(&scene.database, 1, 1)
}

fn refused(scene: &Scene, (resource, operation): &(acls::Resource, &str)) -> Result<()> {
    let mut headwater = scene.launch()?;
    if *operation == "Read" {
        // The first start finds nothing to read; the second one has a checkpoint to go on from.
        headwater.wait_ready(PATIENCE)?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
        headwater = scene.launch()?;
    }
    let code = headwater.wait_exit(PATIENCE).with_context(|| format!("without {operation} on {resource:?}"))?;
    let output = headwater.output();
    ensure!(code == 3, "without {operation} on {resource:?}: ended with {code}\n{output}");
    let error = output.split_once("error: ").map_or("", |(_, error)| error);
    let name = match resource {
        acls::Resource::Topics(prefix) => prefix,
        acls::Resource::Topic(name) | acls::Resource::TransactionalId(name) => name,
        other => anyhow::bail!("{other:?} is not needed always"),
    };
    for word in [name.as_str(), operation, "authorization failed", "kafka-acls"] {
        ensure!(error.contains(word), "without {operation} on {resource:?}: {word} is missing in\n{output}");
    }
    ensure!(!output.contains("going on from the checkpoint"), "it tried again in vain:\n{output}");
    Ok(())
}
