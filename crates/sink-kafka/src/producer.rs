//! The producer: records in, one transaction at a time, an answer that says whether it was committed.
//!
//! After any error of [`Producer::send`] but `Stopped` and `TooLarge`, and after any error of [`Producer::commit`], the
//! caller drops the producer, connects a new one (which raises the epoch) and reads the checkpoint. A time-out of the
//! commit request leaves its outcome open, and the broker may still apply it to a *later* transaction of the same epoch:
//! that is why nothing is ever tried again on the same producer. A record that was not taken is missing from its
//! transaction, so after any error of `send`, those two included, `commit` refuses.
//!
//! With at-least-once delivery the same calls work: `init` asks for the brokers, `begin` does nothing, `commit` waits
//! for every acknowledgement.

use crate::client::Watch;
use crate::config::{Config, Delivery};
use crate::error::{CommitError, ConfigError, InitError, SendError};
use crate::fault::{Fault, classify, code_of, help};
use crate::flush::flush;
use crate::handover::{Batch, NoHandle, Outgoing, Topics};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::producer::{DeliveryResult, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first record that was not delivered.
#[derive(Debug, Clone)]
struct Undelivered {
    topic: String,
    partition: i32,
    size: usize,
    code: Code,
}

/// What librdkafka adds to key and value when it compares a record with `message.max.bytes`, rounded up
/// (`RD_KAFKAP_MESSAGE_V2_MAX_OVERHEAD` in `rdkafka_proto.h`).
const RECORD_OVERHEAD: usize = 64;

/// Collects delivery reports. Shared with librdkafka's polling thread.
struct Reports {
    watch: Watch,
    acknowledged: AtomicU64,
    failed: AtomicBool,
    first: Mutex<Option<Undelivered>>,
}

impl Reports {
    fn undelivered(&self) -> Option<Undelivered> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.watch.log(level, facility, message);
    }

    fn stats(&self, _: rdkafka::Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.watch.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (error, message) = match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err((error, message)) => (error, message),
        };
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| Undelivered {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            size: message.payload_len() + message.key_len(),
            code: code_of(error),
        });
        self.failed.store(true, Ordering::Release);
    }
}

/// One producer of one transactional id. Used from one thread; every call may block up to the time-out given.
pub struct Producer {
    /// Before the client: fields are dropped in this order.
    topics: Topics,
    client: ThreadedProducer<Reports>,
    config: Config,
    limit: usize,
    stop: Arc<AtomicBool>,
    /// A record was not taken: the open transaction is not whole.
    missing: AtomicBool,
    handed: Handed,
}

/// What was handed over so far.
#[derive(Default)]
struct Handed {
    records: Cell<u64>,
    bytes: Cell<u64>,
}

impl Handed {
    fn add(&self, batch: &Batch<'_>) {
        self.records.set(self.records.get() + batch.len() as u64);
        self.bytes.set(self.bytes.get() + (0..batch.len()).map(|at| batch.size(at) as u64).sum::<u64>());
    }

    /// Bytes of a record.
    fn average(&self) -> u64 {
        self.bytes.get() / self.records.get().max(1)
    }
}

/// Bytes that surely fit into the five requests of a million bytes that may be in flight for a partition.
const IN_FLIGHT: u64 = 4 << 20;

/// How long to wait for room, or for the queue to become shorter, before the rest is flushed.
const STALL: Duration = Duration::from_millis(20);

/// How long the coordinator is waited for before it is asked once more, at first and at last.
const FIRST_ASK: Duration = Duration::from_millis(50);
const LAST_ASK: Duration = Duration::from_millis(800);

/// How often a thing is looked at that nobody signals.
const POLL: Duration = Duration::from_millis(1);

impl Producer {
    /// Makes the client. Nothing is sent yet. `stop` ends a wait for room in the queue.
    pub fn connect(config: &Config, stop: Arc<AtomicBool>) -> Result<Self, ConfigError> {
        config.validate()?;
        let reports = Reports {
            watch: Watch::new(config),
            acknowledged: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            first: Mutex::new(None),
        };
        let client = config.producer().create_with_context(reports).map_err(|error| config.creation_error(&error))?;
        Ok(Self {
            topics: Topics::default(),
            client,
            limit: config.message_max_bytes(),
            config: config.clone(),
            stop,
            missing: AtomicBool::new(false),
            handed: Handed::default(),
        })
    }

    /// Takes the transactional id over: fences a predecessor and ends its open transaction.
    pub fn init(&self, timeout: Duration) -> Result<(), InitError> {
        let result = match self.config.delivery {
            Delivery::ExactlyOnce => self.take_over(timeout),
            Delivery::AtLeastOnce => self.client.client().fetch_metadata(None, timeout).map(drop),
        };
        result.map_err(|error| self.init_error(&error, "initialise a producer"))
    }

    /// librdkafka asks again half a second after a coordinator was not connected yet, or was still ending a predecessor's
    /// transaction, which takes it some milliseconds. Called again it goes on where it was, and asks at once.
    fn take_over(&self, timeout: Duration) -> KafkaResult<()> {
        let deadline = Instant::now() + timeout;
        let mut patience = FIRST_ASK;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.init_transactions(patience.min(left)) {
                Err(KafkaError::Transaction(error))
                    if error.is_retriable() && patience < left && !self.stop.load(Ordering::Relaxed) => {}
                outcome => return outcome,
            }
            patience = (patience * 2).min(LAST_ASK);
        }
    }

    /// Begins a transaction. Asks no broker.
    pub fn begin(&self) -> Result<(), InitError> {
        match self.config.delivery {
            Delivery::ExactlyOnce => {
                self.client.begin_transaction().map_err(|error| self.init_error(&error, "begin a transaction"))
            }
            Delivery::AtLeastOnce => Ok(()),
        }
    }

    /// Hands records over, those of one partition in their order. Copies keys and values; waits only while the queue is
    /// full.
    pub fn send<'a>(&self, topic: &str, records: impl Iterator<Item = Outgoing<'a>>) -> Result<(), SendError> {
        let mut batch = Batch::new(records);
        self.handed.add(&batch);
        let result = batch.runs().into_iter().try_for_each(|run| self.send_run(topic, &mut batch, run));
        self.missing.fetch_or(result.is_err(), Ordering::Relaxed);
        result
    }

    #[expect(unsafe_code, reason = "the batch wants the raw client")]
    fn send_run(&self, topic: &str, batch: &mut Batch<'_>, mut run: Range<usize>) -> Result<(), SendError> {
        let mut since = None;
        loop {
            let client = self.client.client().native_ptr();
            // SAFETY: `self.topics` serves this client only, and is dropped before it.
            let refused = match unsafe { batch.produce(client, &self.topics, topic, run.clone()) } {
                Ok(Ok(())) => return Ok(()),
                Ok(Err((at, code))) => {
                    run.start = at;
                    code
                }
                Err(NoHandle::Name) => return Err(SendError::Name { topic: topic.to_owned() }),
                Err(NoHandle::Refused(code)) => code,
            };
            match refused {
                Code::QueueFull => self.wait_for_room(*since.get_or_insert_with(Instant::now))?,
                Code::MessageSizeTooLarge => {
                    let size = batch.size(run.start);
                    return Err(SendError::TooLarge { topic: topic.to_owned(), size, limit: self.limit });
                }
                code => {
                    return Err(match self.client.client().context().undelivered() {
                        Some(failure) => self.not_delivered(&failure),
                        None => self.refused(topic, code),
                    });
                }
            }
        }
    }

    #[cold]
    fn wait_for_room(&self, since: Instant) -> Result<(), SendError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(SendError::Stopped);
        }
        if let Some(failure) = self.client.client().context().undelivered() {
            return Err(self.not_delivered(&failure));
        }
        let waited = since.elapsed();
        if waited > self.config.transaction_timeout {
            return Err(SendError::Full { brokers: self.config.brokers.clone(), waited });
        }
        // librdkafka frees room only after the delivery callback has returned and signals nothing: poll it. Many
        // partitions can fill the queue before one of them fills a request: then a flush makes them leave.
        if waited > STALL {
            flush(&self.client, POLL);
        } else {
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// The largest record (key and value, in bytes) that is certainly taken.
    pub fn certain_size(&self) -> usize {
        self.limit.saturating_sub(RECORD_OVERHEAD)
    }

    /// An earlier record was not delivered; what the brokers said about it comes first.
    fn not_delivered(&self, failure: &Undelivered) -> SendError {
        match self.refusal(failure) {
            Some((code, reason)) => {
                SendError::Failed { topic: failure.topic.clone(), reason, fault: classify(code), help: help(code) }
            }
            None => send_failure(failure),
        }
    }

    fn refused(&self, topic: &str, code: Code) -> SendError {
        let (code, reason) = self.fatal().unwrap_or_else(|| (code, code.to_string()));
        SendError::Failed { topic: topic.to_owned(), reason, fault: classify(code), help: help(code) }
    }

    /// Waits until every record is acknowledged, then commits. `Ok` means committed.
    pub fn commit(&self, timeout: Duration) -> Result<(), CommitError> {
        let deadline = Instant::now() + timeout;
        self.flush(timeout)?;
        if self.missing.load(Ordering::Relaxed) {
            return Err(self.known(Code::InvalidTransactionalState, "a record of it was not taken".to_owned()));
        }
        if self.config.delivery == Delivery::AtLeastOnce {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        self.client.commit_transaction(left).map_err(|error| self.commit_error(&error))
    }

    /// Waits until every record handed over is acknowledged.
    pub fn flush(&self, timeout: Duration) -> Result<(), CommitError> {
        self.thin_out();
        let done = flush(&self.client, timeout);
        if let Some(failure) = self.client.client().context().undelivered() {
            return Err(self.undelivered(&failure));
        }
        if done {
            return Ok(());
        }
        if let Some((code, reason)) = self.fatal() {
            return Err(self.known(code, reason));
        }
        let reason = format!("{} records were not acknowledged in {timeout:?}", self.client.in_flight_count());
        Err(self.known(Code::OperationTimedOut, self.with_refusal(reason)))
    }

    /// Waits while more than a few requests' worth of records is left. Called before a flush, during which librdkafka's
    /// broker thread polls without a pause as long as records wait for a request to be answered.
    fn thin_out(&self) {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        loop {
            let left = u64::try_from(self.client.in_flight_count()).unwrap_or(0);
            let progress = left < least;
            if progress {
                (least, since) = (left, Instant::now());
            }
            // Without progress each partition waits for more than it will get: the flush makes them leave.
            if left.saturating_mul(self.handed.average()) < IN_FLIGHT || since.elapsed() > STALL {
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Gives the open transaction up, so that readers need not wait for its time-out. Best effort: the producer is
    /// dropped afterwards whatever the answer.
    pub fn abort(&self, timeout: Duration) {
        if self.config.delivery == Delivery::ExactlyOnce
            && let Err(error) = self.client.abort_transaction(timeout)
        {
            tracing::debug!(%error, transactional_id = %self.config.transactional_id, "transaction not aborted");
        }
    }

    /// Records acknowledged since the producer was made.
    pub fn acknowledged(&self) -> u64 {
        self.client.client().context().acknowledged.load(Ordering::Relaxed)
    }

    /// Records handed over and neither acknowledged nor failed.
    pub fn in_flight(&self) -> usize {
        usize::try_from(self.client.in_flight_count()).unwrap_or(0)
    }

    /// librdkafka's fatal error; its call-site errors then only say "fatal".
    fn fatal(&self) -> Option<(Code, String)> {
        self.client.client().fatal_error().map(|(code, text)| (code, self.config.scrub(&text)))
    }

    /// Why the brokers refused the open transaction, if they did: its records are then reported as merely purged.
    fn refusal(&self, failure: &Undelivered) -> Option<(Code, String)> {
        let purged = matches!(failure.code, Code::PurgeQueue | Code::PurgeInflight);
        if !purged || self.config.delivery != Delivery::ExactlyOnce {
            return None;
        }
        let seen = self.client.client().context().watch.refusal();
        // A transaction with a failed record cannot be committed any more; asked to, librdkafka gives its own reason.
        seen.or_else(|| match self.client.commit_transaction(Duration::from_millis(100)) {
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => Some((error.code(), error.string())),
            _ => None,
        })
    }

    fn with_refusal(&self, reason: String) -> String {
        match self.client.client().context().watch.refusal() {
            Some((_, refusal)) => format!("{reason}: {refusal}"),
            None => reason,
        }
    }

    fn init_error(&self, error: &KafkaError, what: &'static str) -> InitError {
        let (code, reason) = self.fatal().unwrap_or_else(|| (code_of(error), text_of(error)));
        let seen = self.client.client().context().watch.refusal();
        let (code, reason) = match seen {
            Some(seen) if classify(code) == Fault::Retry => seen,
            _ => (code, reason),
        };
        match classify(code) {
            Fault::Retry => InitError::Retry { brokers: self.config.brokers.clone(), what, reason },
            Fault::Fenced => InitError::Fenced { transactional_id: self.config.transactional_id.clone(), reason },
            Fault::Stop => InitError::Stop {
                what: format!(
                    "the brokers {} refused to {what} with the transactional id `{}`: {reason}",
                    self.config.brokers, self.config.transactional_id
                ),
                help: help(code),
            },
        }
    }

    fn commit_error(&self, error: &KafkaError) -> CommitError {
        if let Some(failure) = self.client.client().context().undelivered() {
            return self.undelivered(&failure);
        }
        if let Some((code, reason)) = self.fatal() {
            return self.known(code, reason);
        }
        let aborted = matches!(error, KafkaError::Transaction(error) if error.txn_requires_abort());
        let code = code_of(error);
        if aborted || classify(code) != Fault::Retry {
            return self.known(code, text_of(error));
        }
        CommitError::Unknown {
            transactional_id: self.config.transactional_id.clone(),
            reason: self.with_refusal(text_of(error)),
        }
    }

    /// An error after which nothing can have been committed.
    fn known(&self, code: Code, reason: String) -> CommitError {
        let transactional_id = self.config.transactional_id.clone();
        match classify(code) {
            Fault::Retry => CommitError::Aborted { transactional_id, reason },
            Fault::Fenced => CommitError::Fenced { transactional_id, reason },
            Fault::Stop => CommitError::Stop {
                what: format!("the transaction `{transactional_id}` was refused: {reason}"),
                help: help(code),
            },
        }
    }

    fn undelivered(&self, failure: &Undelivered) -> CommitError {
        // Once the producer is fenced every record fails, most of them as merely purged: the cause is the fatal error.
        if let Some((code, reason)) = self.fatal() {
            return self.known(code, reason);
        }
        if let Some((code, reason)) = self.refusal(failure) {
            return self.known(code, reason);
        }
        if failure.code == Code::MessageSizeTooLarge {
            return CommitError::TooLarge { topic: failure.topic.clone(), size: failure.size };
        }
        let Undelivered { topic, partition, code, .. } = failure;
        self.known(*code, format!("a record for partition {partition} of topic {topic} was not delivered: {code}"))
    }
}

/// Does not wait for the brokers: what is queued or in flight is given up.
impl Drop for Producer {
    fn drop(&mut self) {
        self.client.purge(PurgeConfig::default().queue().inflight());
    }
}

fn send_failure(failure: &Undelivered) -> SendError {
    SendError::Failed {
        topic: failure.topic.clone(),
        reason: format!("a record for partition {} was not delivered: {}", failure.partition, failure.code),
        fault: classify(failure.code),
        help: help(failure.code),
    }
}

fn text_of(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => error.string(),
        other => other.to_string(),
    }
}
