//! Reading records back in their order, to publish them somewhere else.
//!
//! Nothing is missed, and nothing is read that was not committed: the reader is `read_committed`, goes on at the offset
//! behind the last record that it gave, and calls a partition read to its end only when it has seen everything below the
//! partition's last stable offset as that was when the slice began. The topic must have one writer, which has no transaction
//! open meanwhile: then nothing can come behind that offset.

use crate::client::Reader;
use crate::config::Config;
use crate::error::{AdminError, ReadError};
use crate::fault::code_of;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const REQUEST: Duration = Duration::from_secs(10);

/// Of each partition the offset of the next record.
pub type Offsets = BTreeMap<i32, i64>;

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Some records in the order of their partitions, and whether there are no more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub records: Vec<Replayed>,
    /// Everything that was committed when the slice began has been read.
    pub complete: bool,
}

/// Reads a topic from given offsets to its end, slice by slice.
pub struct Replay {
    reader: Reader,
    topic: String,
    next: Offsets,
}

impl Replay {
    /// Begins at the offsets given.
    ///
    /// # Errors
    ///
    /// [`ReadError::Gone`] if the log of a partition begins behind its offset: records were deleted that nobody has read.
    pub fn open(config: &Config, topic: &str, from: &Offsets) -> Result<Self, ReadError> {
        let reader = Reader::connect(config, true).map_err(AdminError::from)?;
        refuse_gone(&reader, topic, from)?;
        Ok(Self { reader, topic: topic.to_owned(), next: from.clone() })
    }

    /// Where the next slice begins.
    pub fn next(&self) -> &Offsets {
        &self.next
    }

    /// The next records, until they have `most` bytes, the end is reached, or `wait` is over.
    pub fn read(&mut self, most: usize, wait: Duration) -> Result<Slice, ReadError> {
        let deadline = Instant::now() + wait;
        let mut open = BTreeMap::new();
        for (&partition, &next) in &self.next {
            let (start, end) = self.reader.watermarks(&self.topic, partition, REQUEST)?;
            if start > next {
                return Err(ReadError::Gone { topic: self.topic.clone(), partition, wanted: next, start });
            }
            if next < end {
                open.insert(partition, end);
            }
        }
        let mut slice = Slice::default();
        if !open.is_empty() {
            self.assign()?;
        }
        let mut bytes = 0;
        while !open.is_empty() && bytes < most {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(slice);
            }
            match self.reader.consumer.poll(left) {
                None => {}
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let next = message.offset() + 1;
                    self.next.insert(partition, next);
                    bytes += message.key_len() + message.payload_len();
                    slice.records.push(Replayed {
                        partition,
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    });
                    if open.get(&partition).is_some_and(|&end| next >= end) {
                        open.remove(&partition);
                    }
                }
                // What lies between here and the end are markers, which no reader is shown.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(end) = open.remove(&partition) {
                        self.next.insert(partition, end);
                    }
                }
                // The group is only a name that is never joined, so nobody has to allow it.
                Some(Err(error)) if code_of(&error) == Code::GroupAuthorizationFailed => {}
                Some(Err(error)) => match self.reader.fail(&error, format!("give the records of topic {}", self.topic))
                {
                    // librdkafka goes on by itself; the deadline bounds it.
                    AdminError::Unreachable { reason, .. } => {
                        tracing::debug!(topic = self.topic, "reading goes on after: {reason}");
                    }
                    refused => return Err(refused.into()),
                },
            }
        }
        slice.complete = open.is_empty();
        Ok(slice)
    }

    /// Anew for each slice: an end of a partition that was reported before, and waits in the consumer's queue, would be
    /// taken for the present one.
    fn assign(&self) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::with_capacity(self.next.len());
        for (&partition, &next) in &self.next {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(next))
                .map_err(|error| self.reader.fail(&error, format!("give the records of topic {}", self.topic)))?;
        }
        let assigned = self.reader.consumer.assign(&list);
        assigned.map_err(|error| self.reader.fail(&error, format!("give the records of topic {}", self.topic)).into())
    }
}

/// Records that a partition has lost, which begin at the offset given, are missing for ever.
pub(crate) fn refuse_gone(reader: &Reader, topic: &str, from: &Offsets) -> Result<(), ReadError> {
    for (&partition, &wanted) in from {
        let (start, _) = reader.watermarks(topic, partition, REQUEST)?;
        if start > wanted {
            return Err(ReadError::Gone { topic: topic.to_owned(), partition, wanted, start });
        }
    }
    Ok(())
}
