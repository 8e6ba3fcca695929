//! Asks the registry for ids, and says what its refusals mean.

use std::sync::Arc;
use std::time::Duration;

use change::{SourceInfo, Table};
use schema_registry::{Part, RegisterError, Registry, RequestError, SchemaId, SubjectNaming};

use crate::error::{Failure, Leg};
use crate::evolution::digest;
use crate::monitor::{Monitor, State};
use crate::run::Pipeline;
use crate::{Shutdown, clock};

/// The texts of a table's schemas.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    /// Of a table with a key.
    pub(crate) key: Option<String>,
    pub(crate) value: String,
    /// Of both.
    pub(crate) fingerprint: String,
}

impl Texts {
    pub(crate) fn of(table: &Table, info: &SourceInfo, naming: &event_avro::Naming) -> Self {
        let key = event_avro::key_schema(table, naming);
        let value = event_avro::value_schema(table, info, naming);
        let fingerprint = digest(&[key.as_deref().unwrap_or_default(), &value]);
        Self { key, value, fingerprint }
    }

    /// Both, the value's last.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        self.key.iter().map(|text| (Part::Key, text.as_str())).chain([(Part::Value, self.value.as_str())])
    }
}

/// A schema that the registry has to know.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Wanted {
    /// Under a subject that is not of the user's naming: nobody else's records are judged with it.
    pub(crate) fn own(topic: &str, part: Part, text: &str) -> Self {
        Self { subject: schema_registry::subject(SubjectNaming::Topic, topic, part, ""), text: text.to_owned() }
    }
}

/// The registry's answer about one schema.
pub(crate) type Answer = Result<SchemaId, RegisterError>;

/// The registry, as one session asks it.
pub(crate) struct Schemas {
    registry: Arc<Registry>,
    runtime: tokio::runtime::Handle,
    shutdown: Shutdown,
    monitor: Monitor,
}

impl Schemas {
    pub(crate) fn new(pipeline: &Pipeline) -> Self {
        Self {
            registry: Arc::clone(&pipeline.registry),
            runtime: pipeline.runtime.clone(),
            shutdown: pipeline.shutdown.clone(),
            monitor: pipeline.monitor.clone(),
        }
    }

    /// Registers schemas, several at a time: a registry answers in tens of milliseconds, and there may be thousands. Each is
    /// tried for so long.
    pub(crate) fn register(&self, wanted: &[Wanted], patience: Duration) -> Result<Vec<Answer>, Failure> {
        let mut all = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(REQUESTS) {
            all.extend(self.runtime.block_on(self.ask(some, patience)).ok_or(Failure::Interrupted)?);
        }
        Ok(all)
    }

    /// The registry's answers; `None` when somebody wants to stop first. Says so when they take long.
    async fn ask(&self, wanted: &[Wanted], patience: Duration) -> Option<Vec<Answer>> {
        let until = clock::now().checked_add(patience);
        let mut requests = tokio::task::JoinSet::new();
        for (at, one) in wanted.iter().enumerate() {
            let (registry, subject, schema) = (Arc::clone(&self.registry), one.subject.clone(), one.text.clone());
            let asked = async move {
                // An attempt under way is given its own time by the client, which is longer than others can wait.
                let answer = tokio::time::timeout(patience, registry.register(&subject, &schema, until)).await;
                (at, answer.unwrap_or_else(|_| Err(silent(&registry, subject, patience))))
            };
            requests.spawn_on(asked, &self.runtime);
        }
        let mut answers: Vec<Option<Answer>> = wanted.iter().map(|_| None).collect();
        while !requests.is_empty() {
            let done = tokio::select! {
                () = self.shutdown.asked() => return None,
                done = requests.join_next() => done,
                () = tokio::time::sleep(SILENCE) => {
                    self.tell_silence(wanted.iter().zip(&answers).find(|(_, answer)| answer.is_none()).map(|(one, _)| one));
                    tokio::select! {
                        () = self.shutdown.asked() => return None,
                        done = requests.join_next() => done,
                    }
                }
            };
            match done {
                Some(Ok((at, answer))) => answers[at] = Some(answer),
                // Nothing cancels them.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => {}
            }
        }
        answers.into_iter().collect()
    }

    fn tell_silence(&self, waiting: Option<&Wanted>) {
        let subject = waiting.map(|one| one.subject.as_str()).unwrap_or_default();
        let what = format!("no answer about {subject} for {} s; still asking", SILENCE.as_secs());
        tracing::warn!(leg = %Leg::Registry, "{what}");
        self.monitor.enter(State::Retrying, Some(format!("{}: {what}", Leg::Registry)), None);
    }

    /// What a topic wants of the registry: these schemas, under the subjects that the user's naming gives them.
    pub(crate) fn wanted<'a>(&self, topic: &str, parts: impl Iterator<Item = (Part, &'a str)>) -> Vec<Wanted> {
        let one = |(part, text): (Part, &str)| {
            let record = event_avro::compatibility::record_name(text).unwrap_or_default();
            Wanted { subject: self.registry.subject(topic, part, &record), text: text.to_owned() }
        };
        parts.map(one).collect()
    }

    /// The text of a schema that the registry knows, `None` if it does not answer or has lost it.
    pub(crate) fn text(&self, id: u32, patience: Duration) -> Option<String> {
        let asked = async { tokio::time::timeout(patience, self.registry.schema_by_id(SchemaId(id), None)).await };
        self.runtime.block_on(asked).ok()?.ok().flatten()
    }

    /// Whether the registry answers within so long.
    pub(crate) fn answers(&self, patience: Duration) -> bool {
        let asked = async { tokio::time::timeout(patience, self.registry.ping(None)).await };
        self.runtime.block_on(asked).is_ok_and(|answer| answer.is_ok())
    }

    /// Its address, without credentials.
    pub(crate) fn url(&self) -> String {
        self.registry.url().as_str().trim_end_matches('/').to_owned()
    }

    /// What the registry's refusal comes to: which field offends its rule, or how a schema is registered.
    pub(crate) fn refusal(&self, one: &Wanted, error: &RegisterError) -> String {
        let until = clock::now().checked_add(SILENCE);
        match error {
            RegisterError::NotRegistered { subject, schema } => {
                format!("{error}. Whoever may, registers it with: {}", self.registry.registration(subject, schema))
            }
            RegisterError::Incompatible { .. } => {
                let latest = self.runtime.block_on(self.registry.latest(&one.subject, until));
                let Ok(Some(latest)) = latest else { return error.to_string() };
                let differences = event_avro::compatibility::differences(&latest.schema, &one.text).join(", ");
                if differences.is_empty() {
                    return error.to_string();
                }
                format!("{error}; against version {}: {differences}", latest.version)
            }
            _ => error.to_string(),
        }
    }
}

fn silent(registry: &Registry, what: String, over: Duration) -> RegisterError {
    let (url, reason) = (registry.url().to_string(), "no answer in time".to_owned());
    RegisterError::Request(RequestError::Unreachable { url, what, attempts: 1, over, reason })
}

/// Requests to the registry at the same time.
const REQUESTS: usize = 16;

/// After this time the status says what is waited for.
const SILENCE: Duration = Duration::from_secs(2);
