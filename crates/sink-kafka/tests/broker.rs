//! What the sink promises, against a real broker.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not recognise as such outside test functions"
)]

use sink_kafka::{
    Admin, CommitError, Config, Fault, Found, Outgoing, Producer, ReadError, SendError, TopicError, TopicSpec, Wait,
    Wanted,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use testkit::shared;

const LONG: Duration = Duration::from_secs(30);

fn config(name: &str) -> Config {
    Config::new(shared::kafka().bootstrap(), name)
}

fn producer(config: &Config) -> Producer {
    let producer = Producer::connect(config, Arc::new(AtomicBool::new(false))).unwrap();
    producer.init(LONG).unwrap();
    producer
}

fn checkpoint(config: &Config) -> String {
    let topic = format!("{}.checkpoints", config.transactional_id);
    let state = Admin::connect(config).unwrap().ensure_checkpoint(&TopicSpec::checkpoint(&topic, Some(1))).unwrap();
    assert!(state.created);
    topic
}

fn send(producer: &Producer, topic: &str, partition: i32, key: &str, value: &[u8]) -> Result<(), SendError> {
    producer.send(topic, [Outgoing { partition, key: Some(key.as_bytes()), value: Some(value) }].into_iter())
}

fn put(producer: &Producer, topic: &str, key: &str, value: &str) {
    producer.begin().unwrap();
    send(producer, topic, 0, key, value.as_bytes()).unwrap();
}

fn read(config: &Config, topic: &str, key: &str) -> Found {
    let wanted = Wanted { keys: vec![key.as_bytes().to_vec()], ..Wanted::default() };
    Admin::connect(config).unwrap().read_back(topic, 0, &wanted, LONG, &mut |_| true).unwrap()
}

#[test]
fn only_what_was_committed_is_read_back() {
    let config = config("read-back");
    let topic = checkpoint(&config);
    assert_eq!(read(&config, &topic, "p").value(b"p"), None);
    let aborted = producer(&config);
    put(&aborted, &topic, "p", "aborted");
    aborted.flush(LONG).unwrap();
    aborted.abort(LONG);
    drop(aborted);
    assert_eq!(read(&config, &topic, "p").value(b"p"), None);
    let admin = Admin::connect(&config).unwrap();
    assert!(admin.holds_records(&[&topic, "never-made"], LONG).unwrap().is_empty());
    let producer = producer(&config);
    put(&producer, &topic, "rare", "once");
    producer.commit(LONG).unwrap();
    for number in 0..300 {
        put(&producer, &topic, "p", &number.to_string());
        producer.commit(LONG).unwrap();
    }
    assert_eq!(read(&config, &topic, "p").value(b"p"), Some(&b"299"[..]));
    assert_eq!(read(&config, &topic, "rare").value(b"rare"), Some(&b"once"[..]));
    assert_eq!(admin.holds_records(&[&topic, "never-made"], LONG).unwrap(), [topic.as_str()]);
}

#[test]
fn a_record_behind_anothers_open_transaction_is_waited_for() {
    let (ours, theirs) = (config("behind-ours"), config("behind-theirs"));
    let topic = checkpoint(&ours);
    let other = producer(&theirs);
    put(&other, &topic, "other", "open");
    other.flush(LONG).unwrap();
    let producer = producer(&ours);
    put(&producer, &topic, "p", "hidden");
    producer.commit(LONG).unwrap();
    let wanted = Wanted { keys: vec![b"p".to_vec()], ..Wanted::default() };
    let admin = Admin::connect(&ours).unwrap();
    let given_up = admin.read_back(&topic, 0, &wanted, LONG, &mut |_| false).unwrap_err();
    assert!(matches!(given_up, ReadError::Hidden { .. }), "{given_up}");
    let mut other = Some(other);
    let mut end_it = |wait: Wait| {
        assert!(wait.visible < wait.high);
        if let Some(other) = other.take() {
            other.abort(LONG);
        }
        true
    };
    let found = admin.read_back(&topic, 0, &wanted, LONG, &mut end_it).unwrap();
    assert_eq!(found.value(b"p"), Some(&b"hidden"[..]));
}

/// Nobody listens at the port, and the wait for somebody who would is long.
#[test]
fn the_wish_to_stop_ends_the_wait_for_a_coordinator() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let producer = Producer::connect(&Config::new(closed.to_string(), "stopped"), Arc::new(true.into())).unwrap();
    let (done, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(producer.init(Duration::from_secs(3600)).unwrap_err().fault()));
    assert_eq!(end.recv_timeout(LONG).unwrap(), Fault::Retry);
}

#[test]
fn a_newer_producer_fences_an_older_one() {
    let config = config("fenced");
    let topic = checkpoint(&config);
    let old = producer(&config);
    put(&old, &topic, "p", "zombie");
    old.flush(LONG).unwrap();
    let new = producer(&config);
    let error = old.commit(LONG).unwrap_err();
    assert_eq!(error.fault(), Fault::Fenced, "{error}");
    put(&new, &topic, "p", "new");
    new.commit(LONG).unwrap();
    assert_eq!(read(&config, &topic, "p").value(b"p"), Some(&b"new"[..]));
}

#[test]
fn a_record_too_large_is_named_by_client_and_broker_and_bars_the_commit() {
    let mut config = config("large");
    let topic = checkpoint(&config);
    let small = producer(&config);
    small.begin().unwrap();
    let error = send(&small, &topic, 0, "p", &vec![0; 2_000_000]).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { size: 2_000_001, limit: 1_000_000, .. }), "{error}");
    assert!(matches!(small.commit(LONG).unwrap_err(), CommitError::Aborted { .. }));
    drop(small);
    config.properties.insert("message.max.bytes".into(), "30000000".into());
    config.properties.insert("compression.type".into(), "none".into());
    let large = producer(&config);
    large.begin().unwrap();
    send(&large, &topic, 0, "p", &vec![0; 20_000_000]).unwrap();
    let error = large.commit(LONG).unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { size: 20_000_001, .. }), "{error}");
}

/// More records than the queue holds, over several partitions, to a topic that the client has never met, in batches that
/// mix the partitions: all arrive, each partition in its order.
#[test]
fn batches_over_partitions_keep_their_order_through_a_full_queue() {
    const COUNT: u32 = 300_000;
    let config = config("batches");
    let spec = TopicSpec { partitions: Some(3), ..TopicSpec::events("batches.events", &config.topics) };
    let topic = spec.name.clone();
    Admin::connect(&config).unwrap().ensure(&[spec]).unwrap();
    let producer = producer(&config);
    producer.begin().unwrap();
    let numbers: Vec<[u8; 4]> = (0..COUNT).map(u32::to_be_bytes).collect();
    for chunk in numbers.chunks(700) {
        let records = chunk.iter().map(|number| {
            let partition = i32::from(number[3] % 3);
            Outgoing { partition, key: (number[3] % 2 == 0).then_some(&number[..]), value: Some(number) }
        });
        producer.send(&topic, records).unwrap();
    }
    producer.commit(LONG).unwrap();
    assert_eq!(producer.acknowledged(), u64::from(COUNT));
    let oracle = testkit::Oracle::at(&shared::kafka().bootstrap(), "http://127.0.0.1:9");
    let mut seen = 0;
    for partition in 0..3 {
        let expected = numbers.iter().filter(|number| i32::from(number[3] % 3) == partition);
        let found = oracle.raw(&topic, partition).unwrap();
        seen += found.len();
        let pairs = expected.map(|number| ((number[3] % 2 == 0).then(|| number.to_vec()), Some(number.to_vec())));
        assert!(found.into_iter().eq(pairs), "partition {partition}");
    }
    assert_eq!(seen, numbers.len());
}

#[test]
fn a_checkpoint_topic_that_is_not_compacted_is_refused_with_the_command() {
    let config = config("policy");
    let admin = Admin::connect(&config).unwrap();
    admin.ensure(&[TopicSpec { partitions: Some(1), ..TopicSpec::events("policy.events", &config.topics) }]).unwrap();
    let error = admin.ensure_checkpoint(&TopicSpec::checkpoint("policy.events", None)).unwrap_err();
    assert!(matches!(error, TopicError::Setting { name: "cleanup.policy", .. }), "{error}");
    assert!(error.to_string().contains("kafka-configs"), "{error}");
}
