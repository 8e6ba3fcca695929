//! The pipeline: one session after the other, with a pause in between that grows while nothing succeeds.

use std::sync::Arc;
use std::time::Duration;

use change::{Source, Started};
use sink_kafka::Admin;

use crate::checkpoint::{self, Checkpoint, Found};
use crate::error::{Ended, Failure};
use crate::metrics::LegLabels;
use crate::monitor::{Monitor, State};
use crate::session::{Drained, Session};
use crate::{Config, Metrics, Releases, Shutdown};

/// The first pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: short enough that a recovered neighbour is noticed at once by human standards.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Everything a session needs, for as long as the process lives.
pub struct Pipeline {
    pub config: Config,
    pub kafka: Arc<sink_kafka::Config>,
    pub registry: Arc<schema_registry::Registry>,
    /// For the registry's requests, and for pauses. The engine itself runs on the caller's thread.
    pub runtime: tokio::runtime::Handle,
    pub shutdown: Shutdown,
    pub monitor: Monitor,
    pub metrics: Metrics,
    /// What persons wish of held tables.
    pub releases: Releases,
    /// This process's name in the checkpoint; never used twice.
    pub instance: String,
}

impl Pipeline {
    /// Runs until somebody asks to stop (`Ok`: everything open was made durable) or a person must act. Blocks.
    pub fn run(&self, source: &mut dyn Source) -> Result<(), Ended> {
        self.monitor.change(|progress| progress.instance.clone_from(&self.instance));
        self.monitor.enter(State::Starting, None, None);
        let mut claimed = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let (outcome, progressed) = self.live(source, &mut claimed);
            if progressed {
                pause = FIRST_PAUSE;
            }
            match outcome {
                Ok(Drained) | Err(Failure::Interrupted) => return Ok(()),
                Err(Failure::Retry { leg, what }) => {
                    if self.shutdown.is_asked() {
                        return Ok(());
                    }
                    let wait = pause.mul_f64(0.5 + fastrand::f64());
                    tracing::warn!(%leg, pause_ms = wait.as_millis(), "{what}; going on from the checkpoint");
                    self.metrics.failures.get_or_create(&LegLabels { leg: leg.to_string() }).inc();
                    self.monitor.enter(State::Retrying, Some(format!("{leg}: {what}")), None);
                    if self.shutdown.sleep(&self.runtime, wait) {
                        return Ok(());
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(Failure::Stop { what, help }) => {
                    self.monitor.enter(State::Stopped, Some(what.clone()), Some(help.clone()));
                    return Err(Ended::Stopped { what, help });
                }
                Err(Failure::Fenced { by }) => {
                    let ended = Ended::Fenced { by };
                    self.monitor.enter(State::Stopped, Some(ended.to_string()), None);
                    return Err(ended);
                }
            }
        }
    }

    /// One session. The second answer tells whether it made anything durable.
    fn live(&self, source: &mut dyn Source, claimed: &mut bool) -> (Result<Drained, Failure>, bool) {
        let mut session = match Session::open(self, source, claimed) {
            Ok(session) => session,
            Err(failure) => return (Err(failure), false),
        };
        let outcome = session.stream();
        let progressed = session.progressed;
        drop(session);
        (outcome, progressed)
    }

    pub(crate) fn read_checkpoint(&self, admin: &Admin) -> Result<Found, Failure> {
        let topic = &self.config.checkpoint_topic;
        // Told again whenever it has become twice as long.
        let mut next = Duration::ZERO;
        checkpoint::read(admin, &self.kafka, topic, &self.config.name, &mut |wait| {
            if wait.waited >= next {
                tracing::info!(
                    topic,
                    waited_s = wait.waited.as_secs(),
                    "an open transaction hides the end of the checkpoint topic; waiting for it"
                );
                next = wait.waited * 2;
            }
            !self.shutdown.is_asked()
        })
    }

    /// Another instance in the checkpoint than ours, after we had claimed it: we have been replaced.
    pub(crate) fn refuse_if_replaced(&self, found: Option<&Checkpoint>) -> Result<(), Failure> {
        match found.map(|checkpoint| &checkpoint.record.instance) {
            Some(instance) if *instance != self.instance => Err(Failure::Fenced { by: instance.clone() }),
            _ => Ok(()),
        }
    }

    /// Topics with records but no checkpoint: somebody published before, and nobody knows how far.
    pub(crate) fn refuse_used_topics(&self, admin: &Admin, started: &Started) -> Result<(), Failure> {
        let topics: Vec<String> = started
            .tables
            .iter()
            .filter_map(|table| {
                event_avro::topic(&self.config.topic_prefix, &table.name.schema, &table.name.table).ok()
            })
            .collect();
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let used =
            admin.holds_records(&names, self.kafka.transaction_timeout).map_err(|error| Failure::kafka(&error))?;
        let Some(first) = used.first() else { return Ok(()) };
        Err(Failure::Stop {
            what: format!(
                "pipeline {} has no checkpoint in {}, but topic {first} already holds records: what they cover is not \
                 known, so events between them and position {} could be missing or come twice",
                self.config.name, self.config.checkpoint_topic, started.position
            ),
            help: format!(
                "if this position is right, `headwater accept gap` writes it into the checkpoint; otherwise choose \
                 another kafka.topic_prefix, or delete the topics of this pipeline ({})",
                used.join(", ")
            ),
        })
    }
}
