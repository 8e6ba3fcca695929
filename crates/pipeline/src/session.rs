//! One life of the pipeline: from fencing the predecessor to the first failure.
//!
//! # Why nothing is lost or published twice
//!
//! A session begins by reading the checkpoint and ends by the first thing that goes wrong. In between it never goes
//! back: nothing is replayed from memory, no producer is used again after an outcome that is not known. So there is one
//! road for every failure, and its correctness is that of a start.
//!
//! *Start.* `init_transactions` fences every older producer of the pipeline and completes or aborts what it left open.
//! Only then is the checkpoint read, up to the high watermark the partition has at that moment. A predecessor cannot
//! commit any more, so what is read is the last word. The claim, committed before the source is asked for anything, lets
//! the predecessor see who came. A process that has claimed before reads the checkpoint once more *before* it fences, so that an old process that lost its connection does not fence the one that replaced it.
//!
//! *Middle.* The source's changes are sent in order; a batch closes at a transaction's end or at a cut the source can
//! continue from; its position is committed with it (see [`ledger`](crate::ledger)). The source is told only afterwards.
//!
//! *End.* On the wish to stop, the open batch is closed where it is, made durable, and the source told. On a failure the
//! producer is dropped: with exactly-once delivery the broker aborts what is open, so the next session begins from the
//! checkpoint with none of it visible.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use change::{Position, Source, Step, Table};
use sink_kafka::{Admin, Producer, TopicSpec};

use crate::checkpoint::{Checkpoint, Checkpoints};
use crate::clock;
use crate::config::{IDLE_CHECKPOINT, LONGEST_OPEN};
use crate::error::Failure;
use crate::evolution::{Answer, Asked, Evolution};
use crate::ledger::{Cut, Ledger};
use crate::metrics::RowLabels;
use crate::monitor::State;
use crate::publish::Publisher;
use crate::returning::{Parcel, SLICE, allowance};
use crate::run::Pipeline;

/// How long the source may stay silent before the engine looks at the clock and at the wish to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long `init_transactions` may take: the broker may first have to end a predecessor's transaction.
const INIT: Duration = Duration::from_secs(60);

/// How often it is tried again what could not be done before.
pub(crate) const TEND: Duration = Duration::from_secs(3);

/// How a session ended without a failure.
pub(crate) struct Drained;

/// After how many changes inside a transaction the clock is read: rows may trickle in without ever a silence.
const CLOCK_EVERY: u32 = 64;

/// How long a transaction that cannot be finished may take to be aborted.
const ABORT: Duration = Duration::from_secs(5);

/// A running session.
pub(crate) struct Session<'p> {
    pipeline: &'p Pipeline,
    source: &'p mut dyn Source,
    producer: Producer,
    checkpoints: Checkpoints,
    publisher: Publisher,
    ledger: Ledger,
    /// When the open batch got its first record.
    opened: Option<Instant>,
    /// What the checkpoint says, to write idle checkpoints only when the position has moved.
    durable: Position,
    durable_at: Instant,
    last_commit_time: Option<i64>,
    /// Between the two ends of a chunk of copied rows.
    in_chunk: bool,
    /// Bytes of what became durable since the last care.
    published: u64,
    /// When the tables were last looked after that wait for something.
    tended: Instant,
    /// Counts changes, to look at the clock now and then while a transaction arrives.
    changes: u32,
    /// Whether anything became durable since the start: then the next failure is a fresh one.
    pub(crate) progressed: bool,
}

impl<'p> Session<'p> {
    /// Fences, reads, claims, starts the source and prepares its tables. `claimed` tells whether this process has put
    /// its name into the checkpoint before.
    pub(crate) fn open(
        pipeline: &'p Pipeline,
        source: &'p mut dyn Source,
        claimed: &mut bool,
    ) -> Result<Self, Failure> {
        let config = &pipeline.config;
        let admin = Admin::connect(&pipeline.kafka).map_err(|error| Failure::kafka(&error))?;
        let topic = TopicSpec::checkpoint(&config.checkpoint_topic, pipeline.kafka.topics.replication_factor);
        admin.ensure_checkpoint(&topic).map_err(|error| Failure::kafka(&error))?;
        if *claimed {
            pipeline.refuse_if_replaced(pipeline.read_checkpoint(&admin)?.checkpoint.as_ref())?;
        }
        let producer = Producer::connect(&pipeline.kafka, pipeline.shutdown.flag())
            .map_err(|error| Failure::Stop { what: error.to_string(), help: CONFIG_HELP.to_owned() })?;
        producer.init(INIT).map_err(|error| Failure::kafka(&error))?;
        let previous = pipeline.read_checkpoint(&admin)?;
        if *claimed {
            pipeline.refuse_if_replaced(previous.checkpoint.as_ref())?;
        }
        let mut checkpoints = Checkpoints::new(config, &pipeline.kafka, &pipeline.instance, &previous);
        checkpoints.claim(&producer)?;
        *claimed = true;
        let mut resume = previous.checkpoint.as_ref().and_then(Checkpoint::resume);
        let progress = resume.as_mut().map(|resume| &mut resume.progress);
        let evolution = Evolution::take(config.policy.clone(), progress.unwrap_or(&mut BTreeMap::new()))?;
        let started = source.start(resume.as_ref())?;
        if resume.is_none() {
            pipeline.refuse_used_topics(&admin, &started)?;
        }
        checkpoints.serves(&started.info.server_identity);
        if resume.is_none() {
            // From here on the pipeline does not depend on what the database remembers of it, which may be nothing.
            checkpoints.begin(&producer, &started.position)?;
        }
        pipeline.monitor.change(|progress| {
            progress.connector = started.info.connector;
            progress.server_identity.clone_from(&started.info.server_identity);
            progress.durable_position = Some(started.position.to_string());
        });
        let mut publisher = Publisher::new(pipeline, admin, started.info, evolution);
        publisher.refuse_lost_parked()?;
        publisher.begin(&started.tables, resume.is_none())?;
        tracing::info!(position = %started.position, tables = started.tables.len(), "streaming");
        pipeline.monitor.enter(State::Streaming, None, None);
        Ok(Self {
            pipeline,
            source,
            producer,
            checkpoints,
            publisher,
            ledger: Ledger::default(),
            opened: None,
            durable: started.position,
            durable_at: clock::now(),
            last_commit_time: None,
            in_chunk: false,
            published: 0,
            tended: clock::now(),
            changes: 0,
            progressed: false,
        })
    }

    /// Streams until somebody asks to stop, or something fails.
    pub(crate) fn stream(&mut self) -> Result<Drained, Failure> {
        let outcome = self.flow();
        let last = match &outcome {
            Err(Failure::Stop { .. } | Failure::Interrupted) => true,
            Err(Failure::Retry { .. }) => self.pipeline.shutdown.is_asked(),
            _ => false,
        };
        if last {
            // Nobody will fence this producer soon: end its transaction, or readers wait for the broker to do it.
            self.producer.abort(ABORT);
        }
        outcome
    }

    fn flow(&mut self) -> Result<Drained, Failure> {
        if self.durable.as_str().is_empty() {
            self.close(Cut::AtTransactionEnd)?;
        }
        loop {
            // A chunk is in memory, and never cut.
            if self.pipeline.shutdown.is_asked() && !self.in_chunk {
                return self.drain();
            }
            match self.turn()? {
                After::Nothing => {}
                After::Batch => self.close_if_due()?,
                After::Silence => self.idle()?,
                After::Close => self.close(Cut::AtTransactionEnd)?,
                After::Prepare(table) => self.prepare(&table)?,
            }
            if self.opened.is_none() && !self.ledger.in_transaction() && !self.in_chunk {
                self.tend()?;
            }
        }
    }

    /// Takes one step from the source and sends what it brought.
    fn turn(&mut self) -> Result<After, Failure> {
        match self.source.next(PATIENCE)? {
            Step::Idle => Ok(After::Silence),
            Step::Begin(_) => {
                self.ledger.begin()?;
                Ok(After::Nothing)
            }
            Step::Chunk(_) => {
                self.ledger.begin()?;
                self.in_chunk = true;
                Ok(After::Nothing)
            }
            Step::Progress { key, text } => {
                // Rows may all have been dropped for something newer: then this is all that the batch holds.
                if self.opened.is_none() {
                    self.opened = Some(clock::now());
                    self.producer.begin().map_err(|error| Failure::kafka(&error))?;
                }
                self.checkpoints.progress(key, text);
                Ok(After::Nothing)
            }
            Step::Statement(statement) => {
                self.publisher.evolution.note(statement);
                Ok(After::Nothing)
            }
            Step::Table(table) if self.publisher.is_ready(table) => Ok(After::Nothing),
            Step::Table(table) => Ok(After::Prepare(Arc::clone(table))),
            Step::Change(change) => {
                if self.opened.is_none() {
                    self.opened = Some(clock::now());
                    self.producer.begin().map_err(|error| Failure::kafka(&error))?;
                }
                if !self.in_chunk {
                    self.last_commit_time = Some(change.transaction.commit_time);
                }
                let published = self.publisher.publish(&self.producer, &change)?;
                self.ledger.sent(published.records, published.bytes)?;
                self.changes = self.changes.wrapping_add(1);
                let full = self.ledger.open_bytes() >= self.pipeline.config.batch.max_bytes;
                Ok(if full || self.changes.is_multiple_of(CLOCK_EVERY) { After::Batch } else { After::Nothing })
            }
            Step::Commit { more } => {
                self.ledger.end()?;
                self.in_chunk = false;
                Ok(match (self.opened.is_some(), more) {
                    (false, _) => After::Nothing,
                    (true, false) => After::Close,
                    (true, true) => After::Batch,
                })
            }
        }
    }

    /// Closes a batch that has reached a limit.
    fn close_if_due(&mut self) -> Result<(), Failure> {
        let Some(opened) = self.opened.filter(|_| !self.in_chunk) else { return Ok(()) };
        let batch = self.pipeline.config.batch;
        let full = self.ledger.open_bytes() >= batch.max_bytes;
        let old = opened.elapsed() >= batch.max_time;
        if self.ledger.in_transaction() {
            let cut = full || opened.elapsed() >= self.longest_open();
            return if cut { self.close(Cut::InsideTransaction) } else { Ok(()) };
        }
        if full || old {
            return self.close(Cut::AtTransactionEnd);
        }
        Ok(())
    }

    /// Nothing came for a while.
    fn idle(&mut self) -> Result<(), Failure> {
        match self.opened {
            Some(opened) if self.ledger.in_transaction() => {
                self.publisher.hand_over(&self.producer)?;
                if opened.elapsed() >= self.longest_open() { self.close(Cut::InsideTransaction) } else { Ok(()) }
            }
            Some(_) => self.close(Cut::AtTransactionEnd),
            None if self.ledger.in_transaction() => Ok(()),
            None => {
                let due = self.durable_at.elapsed() >= IDLE_CHECKPOINT;
                if due && self.source.position() != self.durable { self.close(Cut::AtTransactionEnd) } else { Ok(()) }
            }
        }
    }

    /// How long a transaction may stay open while its rows arrive slowly.
    fn longest_open(&self) -> Duration {
        LONGEST_OPEN.min(self.pipeline.kafka.transaction_timeout / 4)
    }

    /// A table has a shape that nobody has published yet. The registry may take its time, so nothing may be open.
    fn prepare(&mut self, table: &Arc<Table>) -> Result<(), Failure> {
        if self.opened.is_some() {
            self.close(if self.ledger.in_transaction() { Cut::InsideTransaction } else { Cut::AtTransactionEnd })?;
        }
        let position = self.source.position().to_string();
        self.publisher.prepare(table, &position)?;
        // it may have had to wait
        self.pipeline.monitor.enter(State::Streaming, None, None);
        self.note_tables()
    }

    /// What is new of tables goes into the open batch, together with the first event that depends on it.
    fn note_tables(&mut self) -> Result<(), Failure> {
        if !self.publisher.evolution.has_unwritten() && !self.publisher.can_announce() {
            return Ok(());
        }
        if self.opened.is_none() {
            self.opened = Some(clock::now());
            self.producer.begin().map_err(|error| Failure::kafka(&error))?;
        }
        let told = self.publisher.announce(&self.producer)?;
        self.ledger.besides(told.records, told.bytes);
        for (key, text) in self.publisher.evolution.take_unwritten() {
            self.checkpoints.progress(&key, &text);
        }
        Ok(())
    }

    /// Looks after what is neither streamed nor settled: wishes, tables that wait for the registry, parked events that
    /// return. Called between two batches, when nothing is open.
    fn tend(&mut self) -> Result<(), Failure> {
        let allowance = allowance(std::mem::take(&mut self.published));
        let wishes = self.pipeline.releases.take();
        if !wishes.is_empty() {
            self.obey(wishes)?;
        }
        if self.publisher.is_settled() && !self.publisher.evolution.has_unwritten() {
            return Ok(());
        }
        if self.tended.elapsed() >= TEND {
            self.publisher.retry_unsettled()?;
            self.tended = clock::now();
        }
        for table in self.publisher.returning() {
            let mut copied = 0;
            while copied < allowance {
                let Some(parcel) = self.publisher.read_parked(&table)? else { break };
                let bytes = self.return_parcel(parcel)?;
                copied += bytes;
                // The last one, or the broker is slow: others do not wait for it.
                if bytes < SLICE as u64 {
                    break;
                }
            }
        }
        // What has returned itself is not parked again.
        self.published = 0;
        if self.publisher.evolution.has_unwritten() || self.publisher.can_announce() {
            self.note_tables()?;
            self.close(Cut::AtTransactionEnd)?;
        }
        Ok(())
    }

    /// Copies parked events back in a transaction of their own; gives their bytes.
    fn return_parcel(&mut self, parcel: Parcel) -> Result<u64, Failure> {
        self.opened = Some(clock::now());
        self.producer.begin().map_err(|error| Failure::kafka(&error))?;
        let copied = self.publisher.deliver(&self.producer, parcel)?;
        self.ledger.besides(copied.records, copied.bytes);
        self.note_tables()?;
        self.close(Cut::AtTransactionEnd)?;
        Ok(copied.bytes)
    }

    /// Releases tables as persons wish. Each is answered when the checkpoint has it.
    fn obey(&mut self, wishes: Vec<Asked>) -> Result<(), Failure> {
        let mut wishes = wishes.into_iter();
        while let Some(asked) = wishes.next() {
            match self.begin_release(&asked) {
                Ok(answer) => asked.answer(answer),
                Err(failure) => {
                    self.pipeline.releases.give_back(std::iter::once(asked).chain(wishes).collect());
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    fn begin_release(&mut self, asked: &Asked) -> Result<Answer, Failure> {
        let answer = self.publisher.release(&asked.table, asked.how)?;
        if answer.is_ok() {
            self.opened = Some(clock::now());
            self.producer.begin().map_err(|error| Failure::kafka(&error))?;
            let position = self.durable.to_string();
            let told = self.publisher.tell_moved(&self.producer, &asked.table, &position)?;
            self.ledger.besides(told.records, told.bytes);
            self.note_tables()?;
            self.close(Cut::AtTransactionEnd)?;
        }
        Ok(answer)
    }

    /// Closes the open batch, or an empty one for the sake of its position, and makes it durable.
    fn close(&mut self, cut: Cut) -> Result<(), Failure> {
        let started = clock::now();
        if self.opened.take().is_none() {
            self.producer.begin().map_err(|error| Failure::kafka(&error))?;
        }
        self.publisher.hand_over(&self.producer)?;
        let (bytes, sent) = (self.ledger.open_bytes(), self.ledger.close(self.source.position(), cut)?);
        let records = sent.records();
        let durable = self.checkpoints.make_durable(&self.producer, &mut self.ledger, sent)?;
        self.durable = durable.tell(self.source, &mut self.ledger)?;
        self.durable_at = clock::now();
        self.progressed = true;
        self.published += bytes;
        self.account(records, bytes, started);
        Ok(())
    }

    /// Brings the finished batch into metrics and status.
    fn account(&mut self, records: u64, bytes: u64, started: Instant) {
        let now = clock::unix_micros();
        let metrics = &self.pipeline.metrics;
        metrics.last_durable.set(now as f64 / 1e6);
        if records > 0 {
            metrics.batches.inc();
            metrics.records.inc_by(records);
            metrics.record_bytes.inc_by(bytes);
            metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        }
        if let Some(committed) = self.last_commit_time {
            metrics.lag_seconds.set((now - committed).max(0) as f64 / 1e6);
        }
        let counts: Vec<_> = self.publisher.take_counts().map(|(name, counts)| (name.to_string(), counts)).collect();
        for (table, counts) in &counts {
            for (op, count) in [
                ("c", counts.inserts),
                ("u", counts.updates),
                ("d", counts.deletes),
                ("t", counts.truncates),
                ("r", counts.reads),
                ("m", counts.messages),
            ] {
                if count > 0 {
                    metrics.rows.get_or_create(&RowLabels { table: table.clone(), op }).inc_by(count);
                }
            }
        }
        self.pipeline.monitor.change(|progress| {
            progress.durable_position = Some(self.durable.to_string());
            progress.durable_at = Some(now);
            progress.last_commit_time = self.last_commit_time.or(progress.last_commit_time);
            progress.batches += u64::from(records > 0);
            for (table, counts) in counts {
                let total = progress.tables.entry(table).or_default();
                total.inserts += counts.inserts;
                total.updates += counts.updates;
                total.deletes += counts.deletes;
                total.truncates += counts.truncates;
                total.reads += counts.reads;
                total.messages += counts.messages;
                total.topic = counts.topic;
            }
        });
    }

    /// Finishes what is open, and leaves.
    fn drain(&mut self) -> Result<Drained, Failure> {
        self.pipeline.monitor.enter(State::Draining, None, None);
        let inside = self.ledger.in_transaction();
        if self.opened.is_some() {
            self.close(if inside { Cut::InsideTransaction } else { Cut::AtTransactionEnd })?;
        } else if !inside && self.source.position() != self.durable {
            self.close(Cut::AtTransactionEnd)?;
        }
        self.source.close()?;
        tracing::info!(position = %self.durable, "drained");
        Ok(Drained)
    }
}

/// What the engine does after a step.
enum After {
    Nothing,
    /// A change or a transaction's end: look at the batch's limits.
    Batch,
    /// Nothing came.
    Silence,
    /// A transaction ended and nothing more waits.
    Close,
    /// A table's shape has to be made known first.
    Prepare(Arc<Table>),
}

const CONFIG_HELP: &str = "mend the [kafka] section of the configuration";
