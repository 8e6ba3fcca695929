//! A reader of a topic with `read_committed` that notes when each record came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// One record, as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receipt {
    /// The number in the record's key.
    pub(super) id: u64,
    pub(super) at: Instant,
    /// When the producer made it, milliseconds since 1970.
    pub(super) made_ms: i64,
}

/// A running reader of partition 0.
pub(super) struct Receipts {
    received: Arc<Mutex<Vec<Receipt>>>,
    stop: Arc<AtomicBool>,
    work: JoinHandle<Result<()>>,
}

pub(super) fn reader(brokers: &str) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false");
    Ok(config.create()?)
}

pub(super) fn assign(consumer: &BaseConsumer, topic: &str, offset: Offset) -> Result<()> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, offset)?;
    Ok(consumer.assign(&assignment)?)
}

impl Receipts {
    /// Begins at the start of the topic, which has to exist.
    pub(super) fn start(brokers: &str, topic: &str) -> Result<Self> {
        let consumer = reader(brokers)?;
        assign(&consumer, topic, Offset::Beginning)?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (notes, stopped) = (Arc::clone(&received), Arc::clone(&stop));
        let work = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(message) = consumer.poll(Duration::from_millis(20)) else { continue };
                let message = message?;
                let at = Instant::now();
                let Some(id) = message.key().and_then(id_of_key) else { continue };
                let made_ms = message.timestamp().to_millis().unwrap_or_default();
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(Receipt { id, at, made_ms });
            }
            Ok(())
        });
        Ok(Self { received, stop, work })
    }

    /// The first record that `wanted` says yes to, when it has come.
    pub(super) fn wait_for(&self, deadline: Duration, wanted: impl Fn(&Receipt) -> bool) -> Result<Receipt> {
        let begin = Instant::now();
        while begin.elapsed() < deadline {
            if let Some(found) = self.so_far().iter().find(|receipt| wanted(receipt)) {
                return Ok(*found);
            }
            if self.work.is_finished() {
                bail!("the reader ended");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("no such record came within {deadline:?}; {} others did", self.so_far().len())
    }

    pub(super) fn so_far(&self) -> Vec<Receipt> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stop(self) -> Result<Vec<Receipt>> {
        self.stop.store(true, Ordering::Relaxed);
        self.work.join().map_err(|_| anyhow!("the reader's thread panicked; its message is above"))??;
        Ok(Arc::try_unwrap(self.received).map_or_else(|_| Vec::new(), |held| held.into_inner().unwrap_or_default()))
    }
}

/// The number in a framed Avro key with one field of type long: five bytes of frame, then a zigzag number of seven bits a
/// byte.
fn id_of_key(key: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (index, byte) in key.get(5..)?.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(number >> 1);
        }
    }
    None
}

/// The key that [`id_of_key`] reads.
pub(super) fn key_of_id(id: u64) -> Vec<u8> {
    let mut key = vec![0; 5];
    let mut rest = id << 1;
    while rest >= 0x80 {
        key.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    key.push(rest as u8);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_zigzag_numbers() {
        assert_eq!(key_of_id(1), [0, 0, 0, 0, 0, 2]);
        assert_eq!(key_of_id(64), [0, 0, 0, 0, 0, 0x80, 1]);
        for id in [0, 1, 63, 64, 8191, 8192, 1 << 40] {
            assert_eq!(id_of_key(&key_of_id(id)), Some(id));
        }
        assert_eq!(id_of_key(&[0, 0, 0, 0, 0]), None);
        assert_eq!(id_of_key(&[0, 0, 0, 0, 0, 0x80]), None);
    }
}
