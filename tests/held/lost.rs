//! Parked events must not be deleted by anybody: where they were, or could be, headwater stops and says so.

use testkit::shared;

use super::*;

#[test]
fn parked_events_that_were_deleted_stop_the_pipeline() -> Result<()> {
    let mut scene = Scene::journaled("lost")?;
    with_extra(&mut scene)?;
    scene.kafka = "[kafka.topics]\npartitions = 1".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 100, 10)?;
    wait_count(&scene, &headwater, &parked(&scene), 10)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    shared::kafka().delete_records(&parked(&scene), 0, 3)?;
    let headwater = scene.launch()?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    for words in
        ["events of table public.items were parked and are lost", &parked(&scene), "offset 0", "retention.ms=-1"]
    {
        ensure!(headwater.output().contains(words), "{words} is missing in:\n{}", headwater.output());
    }
    Ok(())
}

#[test]
fn a_parked_topic_that_forgets_is_not_used() -> Result<()> {
    let mut scene = Scene::journaled("forgets")?;
    with_extra(&mut scene)?;
    shared::kafka().create_topic(&parked(&scene), 1, &[("retention.ms", "86400000")])?;
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge()?;
    scene.database.execute(RENAME)?;
    insert_journaled(&scene.database, 100, 10)?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 3, "{}", headwater.output());
    for words in [&parked(&scene), "retention.ms=86400000", "--add-config retention.ms=-1"] {
        ensure!(headwater.output().contains(words), "{words} is missing in:\n{}", headwater.output());
    }
    // Mended, it goes on where it stopped.
    shared::kafka().delete_topic(&parked(&scene))?;
    let headwater = scene.start()?;
    wait_held(&headwater, "items")?;
    wait_count(&scene, &headwater, &parked(&scene), 10)?;
    assert_eq!(release(&headwater, &name(&scene), "accept")?.0, 200);
    wait_not_held(&headwater)?;
    scene.judge()
}
