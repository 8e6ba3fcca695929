//! Reading the checkpoint back, and asking whether topics hold records.
//!
//! Why [`Admin::read_back`] misses nothing. What this pipeline committed lies below the partition's high watermark, taken with a
//! `read_uncommitted` client after `init` has ended any transaction of ours. A `read_committed` client sees only up to
//! the last stable offset, the begin of the oldest open transaction of *any* producer: another pipeline's open
//! transaction would hide our record behind it, and end-of-partition would be reported before it. So first the last
//! stable offset has to reach that high watermark; only then are records read, and end-of-partition counts only if the
//! last stable offset is (still) at least there.
//!
//! It reads backwards in growing windows: the position is in every transaction and therefore among the last records, and
//! a topic shared by many pipelines is never read from its start for it.

use crate::client::Reader;
use crate::error::{AdminError, ReadError};
use crate::fault::code_of;
use crate::topic::{Admin, is_absent};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const REQUEST: Duration = Duration::from_secs(10);
/// How often a wait is told, the first time included.
const REPORT: Duration = Duration::from_secs(1);
/// The first window in records; each next one is ten times as large.
const FIRST_WINDOW: i64 = 200;

/// Which records are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Exact keys. Reading ends as soon as each was met.
    pub keys: Vec<Vec<u8>>,
    /// Every key that begins so. Reading then goes back to `floor`, since nobody knows how many there are.
    pub prefixes: Vec<Vec<u8>>,
    /// No wanted record lies before this offset.
    pub floor: i64,
}

impl Wanted {
    fn has(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|wanted| wanted == key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }

    fn complete(&self, found: &BTreeMap<Vec<u8>, Record>) -> bool {
        self.prefixes.is_empty() && self.keys.iter().all(|key| found.contains_key(key))
    }
}

/// The latest record of one key. A value of `None` is a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub offset: i64,
    pub value: Option<Vec<u8>>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The latest record of each wanted key that has one.
    pub records: BTreeMap<Vec<u8>, Record>,
    /// The high watermark up to which the log was read.
    pub high: i64,
}

impl Found {
    /// The latest value of `key`; `None` if there is none or it was deleted.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.records.get(key)?.value.as_deref()
    }
}

/// A wait for another producer's open transaction, for reporting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Records are visible up to here.
    pub visible: i64,
    /// And have to be up to here.
    pub high: i64,
    pub waited: Duration,
}

impl Admin {
    /// Reads the latest record of each wanted key. `wait` bounds the wait for other producers' open transactions, and apart
    /// from it the reading. `on_wait` is called about once a second while waiting; `false` from it gives up.
    pub fn read_back(
        &self,
        topic: &str,
        partition: i32,
        wanted: &Wanted,
        wait: Duration,
        on_wait: &mut dyn FnMut(Wait) -> bool,
    ) -> Result<Found, ReadError> {
        let (_, high) = self.reader.watermarks(topic, partition, REQUEST)?;
        let log = Log { reader: &self.committed, topic, partition };
        let low = log.until_visible(high, wait, on_wait)?.max(wanted.floor);
        let deadline = Instant::now() + wait.max(REQUEST);
        let mut records = BTreeMap::new();
        let (mut end, mut window) = (high, FIRST_WINDOW);
        while end > low && !wanted.complete(&records) {
            let start = end.saturating_sub(window).max(low);
            let newest = log.window(start, end, wanted, deadline)?;
            for (key, record) in newest {
                // What was found before is from a later window.
                records.entry(key).or_insert(record);
            }
            (end, window) = (start, window.saturating_mul(10));
        }
        Ok(Found { records, high })
    }

    /// Which of the topics hold at least one committed record. Absent topics hold none.
    pub fn holds_records(&self, topics: &[&str], wait: Duration) -> Result<Vec<String>, ReadError> {
        let mut full = Vec::new();
        for topic in topics {
            for partition in 0..self.partitions(topic)?.unwrap_or(0) {
                let log = Log { reader: &self.committed, topic, partition };
                if log.holds_a_record(Instant::now() + wait)? {
                    full.push((*topic).to_owned());
                    break;
                }
            }
        }
        Ok(full)
    }
}

/// One partition as a `read_committed` client sees it.
struct Log<'a> {
    reader: &'a Reader,
    topic: &'a str,
    partition: i32,
}

impl Drop for Log<'_> {
    /// Or the client would go on fetching what nobody takes.
    fn drop(&mut self) {
        if let Err(error) = self.reader.consumer.unassign() {
            tracing::debug!(topic = self.topic, %error, "the partition stays assigned");
        }
    }
}

impl Log<'_> {
    /// Waits until everything below `high` is visible; the start of the log.
    fn until_visible(
        &self,
        high: i64,
        wait: Duration,
        on_wait: &mut dyn FnMut(Wait) -> bool,
    ) -> Result<i64, ReadError> {
        let since = Instant::now();
        // Under load there is always somebody's transaction open, and gone in a moment.
        let mut report = REPORT;
        loop {
            let (low, visible) = self.reader.watermarks(self.topic, self.partition, REQUEST)?;
            if visible >= high {
                return Ok(low);
            }
            let waited = since.elapsed();
            let mut go_on = waited < wait;
            if go_on && waited >= report {
                go_on = on_wait(Wait { visible, high, waited });
                report = waited + REPORT;
            }
            if !go_on {
                let (topic, partition) = (self.topic.to_owned(), self.partition);
                return Err(ReadError::Hidden { topic, partition, visible, high, waited });
            }
            // A broker tells nobody when a transaction ends: ask again.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The latest record of each wanted key in `start..end`.
    fn window(
        &self,
        start: i64,
        end: i64,
        wanted: &Wanted,
        deadline: Instant,
    ) -> Result<BTreeMap<Vec<u8>, Record>, ReadError> {
        let since = Instant::now();
        let mut records = BTreeMap::new();
        let mut reached = start;
        self.assign(start)?;
        while let Some(next) = self.next(deadline)? {
            match next {
                Next::Record { offset, .. } if offset >= end => return Ok(records),
                Next::Record { offset, key, value } => {
                    reached = offset + 1;
                    if let Some(key) = key.filter(|key| wanted.has(key)) {
                        records.insert(key, Record { offset, value });
                    }
                    if reached >= end {
                        return Ok(records);
                    }
                }
                // The last offsets may be markers, which no reader is shown.
                Next::End if self.reader.watermarks(self.topic, self.partition, REQUEST)?.1 >= end => {
                    return Ok(records);
                }
                Next::End => {}
            }
        }
        let (topic, partition) = (self.topic.to_owned(), self.partition);
        Err(ReadError::Slow { topic, partition, reached, high: end, waited: since.elapsed() })
    }

    fn holds_a_record(&self, deadline: Instant) -> Result<bool, ReadError> {
        let (low, high) = match self.reader.consumer.fetch_watermarks(self.topic, self.partition, REQUEST) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(self.fail(&error).into()),
        };
        if low == high {
            return Ok(false);
        }
        self.assign(low)?;
        match self.next(deadline)? {
            Some(Next::Record { .. }) => Ok(true),
            Some(Next::End) => Ok(false),
            None => {
                let (topic, partition) = (self.topic.to_owned(), self.partition);
                Err(ReadError::Slow { topic, partition, reached: low, high, waited: REQUEST })
            }
        }
    }

    fn assign(&self, start: i64) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(self.topic, self.partition, Offset::Offset(start))
            .and_then(|()| self.reader.consumer.assign(&list))
            .map_err(|error| self.fail(&error).into())
    }

    /// The next record, or the end of the partition, `None` at the deadline.
    fn next(&self, deadline: Instant) -> Result<Option<Next>, ReadError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            match self.reader.consumer.poll(left.min(Duration::from_millis(500))) {
                None => {}
                Some(Ok(message)) => {
                    return Ok(Some(Next::Record {
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                    }));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Some(Next::End)),
                // The group is only a name that is never joined (see `Config::reader`), so nobody has to allow it.
                Some(Err(error)) if code_of(&error) == Code::GroupAuthorizationFailed => {}
                Some(Err(error)) => match self.fail(&error) {
                    // librdkafka goes on by itself; the deadline bounds it.
                    AdminError::Unreachable { reason, .. } => {
                        tracing::debug!(topic = self.topic, "reading goes on after: {reason}");
                    }
                    refused => return Err(refused.into()),
                },
            }
        }
    }

    fn fail(&self, error: &KafkaError) -> AdminError {
        let what = format!("give the records of topic {}", self.topic);
        crate::client::describe(&self.reader.brokers, error, self.reader.refusal(), what)
    }
}

enum Next {
    Record { offset: i64, key: Option<Vec<u8>>, value: Option<Vec<u8>> },
    End,
}
