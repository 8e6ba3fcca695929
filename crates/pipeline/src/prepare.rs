//! A table's shape becomes an outlet: topic made, schemas registered, plan compiled; or the table is held, and its outlet is
//! the parked topic (see [`evolution`](crate::evolution)).

use std::sync::Arc;
use std::time::Duration;

use change::{Statement, Table, TableName};
use event_avro::Plan;
use event_avro::compatibility::{Finding, Shape, Verdict, judge, judge_generated, judge_returned, unproven, worst};
use schema_registry::Part;
use sink_kafka::TopicSpec;

use crate::clock;
use crate::error::{Failure, Leg};
use crate::evolution::{Announcement, Frame, Held, Ids, Known, OWN_IDS, Sentence, Why, remember_departing};
use crate::monitor::TableProgress;
use crate::publish::{Outlet, Publisher};
use crate::schemas::{Answer, Texts, Wanted};

/// The ids of a table's schemas, or why there are none.
pub(crate) enum Registered {
    Yes(Ids),
    No { why: Why, reason: String },
}

/// A change of shape, judged.
struct Change<'a> {
    table: &'a Arc<Table>,
    shape: Shape,
    texts: Texts,
    findings: Vec<Finding>,
    statement: Option<Statement>,
    position: &'a str,
}

impl Change<'_> {
    fn verdict(&self) -> Verdict {
        worst(&self.findings)
    }

    fn announcement(&self, action: &str, topic: &str, old: Option<Ids>, new: Option<Ids>) -> Announcement {
        Announcement {
            action: action.to_owned(),
            verdict: self.verdict().name().to_owned(),
            findings: self.findings.iter().take(MOST_FINDINGS).map(Sentence::from).collect(),
            topic: topic.to_owned(),
            old,
            new,
            position: self.position.to_owned(),
            time: clock::unix_micros(),
            statement: self.statement.as_ref().map(|statement| statement.text.clone()),
            user: self.statement.as_ref().and_then(|statement| statement.user.clone()),
        }
    }
}

impl Publisher {
    pub(crate) fn texts(&self, table: &Table) -> Texts {
        Texts::of(table, &self.info, &event_avro::Naming { prefix: self.config.topic_prefix.clone() })
    }

    /// The topic that a table's events go to while it is not held.
    pub(crate) fn topic(&self, table: &TableName, version: u32) -> Result<String, Failure> {
        event_avro::topic(&self.config.topic_prefix, &table.schema, &table.table)
            .map(|topic| event_avro::topic_version(&topic, version))
            .map_err(|error| Failure::Stop { what: error.to_string(), help: NAME_HELP.to_owned() })
    }

    /// Makes the tables ready that the catalogue shows, before the log has brought any. Waits as long as the registry is
    /// away, if nothing is known of any table. `fresh`: the log begins here, so it begins with these shapes.
    pub(crate) fn begin(&mut self, tables: &[Arc<Table>], fresh: bool) -> Result<(), Failure> {
        let (begin, mut told) = (clock::now(), clock::now());
        for (done, some) in tables.chunks(AT_ONCE).enumerate() {
            if told.elapsed() > TELL {
                told = clock::now();
                let (ready, all) = (done * AT_ONCE, tables.len());
                tracing::info!(ready, all, seconds = begin.elapsed().as_secs(), "preparing topics and schemas");
            }
            self.begin_some(some, fresh)?;
        }
        self.show_held();
        Ok(())
    }

    fn begin_some(&mut self, tables: &[Arc<Table>], fresh: bool) -> Result<(), Failure> {
        let patience = if self.evolution.knows_any() { PATIENCE } else { REGISTRY_PATIENCE };
        let mut some = Vec::new();
        for table in tables {
            let (known, texts) = (self.evolution.of(&table.name), self.texts(table));
            let registered = known.ids.as_ref().is_some_and(|ids| ids.fingerprint == texts.fingerprint);
            // Held, or the catalogue shows another shape than was published: the log says when it begins.
            let later = known.held.is_some() || known.shape.is_some() && !registered;
            if !later {
                some.push((table, self.topic(&known.name(), known.version)?, texts, known));
            }
        }
        let specs: Vec<_> = some.iter().map(|(_, topic, ..)| TopicSpec::events(topic, &self.kafka.topics)).collect();
        let states = self.admin.ensure(&specs).map_err(|error| Failure::kafka(&error))?;
        let unknown = some.iter().filter(|(.., known)| known.ids.is_none());
        let wanted: Vec<Wanted> =
            unknown.flat_map(|(_, topic, texts, _)| self.schemas.wanted(topic, texts.parts())).collect();
        let mut answers = self.schemas.register(&wanted, patience)?.into_iter().zip(&wanted);
        for ((table, topic, texts, mut known), state) in some.into_iter().zip(&states) {
            if known.ids.is_none() {
                let mine: Vec<_> = answers.by_ref().take(1 + usize::from(texts.key.is_some())).collect();
                match self.registered(&texts, mine)? {
                    Registered::Yes(ids) => known.ids = Some(ids),
                    Registered::No { why, reason } if !self.evolution.knows_any() => {
                        return Err(first_failure(table, why, &reason));
                    }
                    Registered::No { reason, .. } => {
                        tracing::warn!(table = %table.name, "{reason}; if this is so at its first change, it will be held");
                        continue;
                    }
                }
            }
            let Some(ids) = known.ids.clone() else { continue };
            let is_known = fresh || known.shape.is_some();
            self.open(table, &topic, state.partitions, &ids, is_known);
            if fresh && known.shape.is_none() {
                known.shape = Some(Shape::of_table(table));
                self.evolution.put(known);
            }
        }
        Ok(())
    }

    /// Makes a table ready in the shape that the log now shows. Nothing may be open.
    pub(crate) fn prepare(&mut self, table: &Arc<Table>, position: &str) -> Result<(), Failure> {
        let known = self.evolution.of(&table.name);
        let (shape, texts) = (Shape::of_table(table), self.texts(table));
        let statement = self.evolution.take_statement(&table.name);
        let findings = findings(&known, &shape, statement.as_ref());
        let change = Change { table, shape, texts, findings, statement, position };
        if known.held.is_some() {
            return self.park(&change, known);
        }
        if let (Some(shape), Some(ids)) = (&known.shape, &known.ids)
            && change.shape != *shape
            && is_the_same(&change.shape, shape, &change.findings)
        {
            let ids = ids.clone();
            return self.outlet_of_topic(&change, &known, &ids);
        }
        let verdict = change.verdict();
        if !self.evolution.policy.lets(&table.name, verdict) {
            let reason = reason(&change.findings);
            return self.hold(&change, known, Why::Verdict, reason);
        }
        match self.ids(&known, &change.texts, PATIENCE)? {
            Registered::Yes(ids) => self.adopt(&change, known, ids),
            Registered::No { why, reason } if !self.evolution.knows_any() => Err(first_failure(table, why, &reason)),
            Registered::No { why, reason } => self.hold(&change, known, why, reason),
        }
    }

    /// The ids under the table's own subjects.
    fn ids(&self, known: &Known, texts: &Texts, patience: Duration) -> Result<Registered, Failure> {
        if let Some(ids) = known.ids.as_ref().filter(|ids| ids.fingerprint == texts.fingerprint) {
            return Ok(Registered::Yes(ids.clone()));
        }
        let wanted = self.schemas.wanted(&self.topic(&known.name(), known.version)?, texts.parts());
        let answers = self.schemas.register(&wanted, patience)?;
        self.registered(texts, answers.into_iter().zip(&wanted).collect())
    }

    /// What the answers about a table's schemas, the value's last, come to.
    pub(crate) fn registered(&self, texts: &Texts, answers: Vec<(Answer, &Wanted)>) -> Result<Registered, Failure> {
        let mut ids = Vec::new();
        for (answer, wanted) in answers {
            let error = match answer {
                Ok(id) => {
                    ids.push(id.0);
                    continue;
                }
                Err(error) => error,
            };
            let Some(why) = Why::not_registered(&error) else {
                return Err(Failure::Stop { what: error.to_string(), help: REGISTRY_HELP.to_owned() });
            };
            return Ok(Registered::No { why, reason: self.schemas.refusal(wanted, &error) });
        }
        let value = ids.pop().unwrap_or_default();
        Ok(Registered::Yes(Ids { key: ids.pop(), value, fingerprint: texts.fingerprint.clone() }))
    }

    /// The table goes on under this shape.
    fn adopt(&mut self, change: &Change<'_>, mut known: Known, ids: Ids) -> Result<(), Failure> {
        self.outlet_of_topic(change, &known, &ids)?;
        let topic = self.topic(&known.name(), known.version)?;
        let is_told = known.shape.as_ref() == Some(&change.shape) && known.ids.as_ref() == Some(&ids);
        if is_told && change.findings.is_empty() {
            return Ok(());
        }
        if known.shape.is_some() && (!change.findings.is_empty() || known.ids.as_ref() != Some(&ids)) {
            let verdict = change.verdict().name();
            tracing::info!(table = %change.table.name, verdict, topic, "the table has another shape: {}", reason(&change.findings));
            known.unannounced.push(change.announcement("published", &topic, known.ids.take(), Some(ids.clone())));
        }
        if let Some(before) = known.shape.replace(change.shape.clone()) {
            remember_departing(&mut known.departed, &before, &change.shape);
        }
        known.ids = Some(ids);
        self.evolution.put(known);
        self.prepare_control(PATIENCE)
    }

    /// The outlet of a table that is not held.
    fn outlet_of_topic(&mut self, change: &Change<'_>, known: &Known, ids: &Ids) -> Result<(), Failure> {
        let topic = self.topic(&known.name(), known.version)?;
        let spec = TopicSpec::events(&topic, &self.kafka.topics);
        let states = self.admin.ensure(&[spec]).map_err(|error| Failure::kafka(&error))?;
        self.open(change.table, &topic, states.first().map_or(1, |state| state.partitions), ids, true);
        Ok(())
    }

    /// Puts an outlet in the place of the table's last one.
    pub(crate) fn open(&mut self, table: &Arc<Table>, topic: &str, partitions: i32, ids: &Ids, is_known: bool) {
        let header =
            |id: Option<u32>| id.map_or(NO_HEADER, |id| schema_registry::header(schema_registry::SchemaId(id)));
        let stream = event_avro::Stream { name: &self.config.topic_prefix, version: self.config.version };
        let options = event_avro::Options { tombstones: self.config.tombstones };
        let (key, value) = (header(ids.key), header(Some(ids.value)));
        let plan = Plan::compile(table, &self.info, &stream, &key, &value, options);
        self.add(Outlet {
            table: Arc::clone(table),
            topic: topic.to_owned(),
            partitions,
            plan,
            counts: TableProgress { topic: topic.to_owned(), ..TableProgress::default() },
            is_known,
        });
    }

    /// From now on the table's events are parked.
    fn hold(&mut self, change: &Change<'_>, mut known: Known, why: Why, reason: String) -> Result<(), Failure> {
        let main = self.topic(&known.name(), known.version)?;
        let spec = TopicSpec::events(&main, &self.kafka.topics);
        let states = self.admin.ensure(&[spec]).map_err(|error| Failure::kafka(&error))?;
        let partitions = states.first().map_or(1, |state| state.partitions);
        let topic = format!("{main}.parked");
        let spec = TopicSpec::parked(&topic, partitions, self.kafka.topics.replication_factor);
        let state = self.admin.ensure_parked(&spec).map_err(|error| Failure::kafka(&error))?;
        let next = self.admin.ends(&topic, state.partitions).map_err(|error| Failure::kafka(&error))?;
        if let Some(before) = &known.shape {
            remember_departing(&mut known.departed, before, &change.shape);
        }
        known.held = Some(Held {
            why,
            verdict: change.verdict(),
            reason,
            since: clock::unix_micros(),
            position: change.position.to_owned(),
            topic,
            partitions: state.partitions,
            next,
            frames: Vec::new(),
            shape: change.shape.clone(),
            fingerprint: change.texts.fingerprint.clone(),
            departed: Vec::new(),
            release: None,
        });
        self.park(change, known)
    }

    /// The outlet of a held table: its events go to the parked topic in the shape that they have.
    fn park(&mut self, change: &Change<'_>, mut known: Known) -> Result<(), Failure> {
        let Some(mut held) = known.held.take() else { return Ok(()) };
        let is_first = held.frames.is_empty();
        let is_known = !is_first && is_the_same(&change.shape, &held.shape, &change.findings);
        let is_new = !is_known;
        let ids = match held.newest().filter(|_| is_known) {
            Some(ids) => ids,
            None => self.frame(&mut held, &change.texts)?,
        };
        self.open(change.table, &held.topic, held.partitions, &ids, true);
        if is_new {
            if !is_first {
                self.worsen(&mut known, &mut held, change);
                // It knows nothing of the new schema: if the table is still released, another one begins where it is.
                self.returning.remove(&change.table.name);
            }
            remember_departing(&mut held.departed, &held.shape, &change.shape);
            held.shape = change.shape.clone();
            held.fingerprint.clone_from(&change.texts.fingerprint);
            let registered = Some(ids).filter(|ids| ids.value < OWN_IDS);
            let announcement = change.announcement("held", &held.topic, known.ids.clone(), registered);
            known.unannounced.push(announcement);
            tracing::warn!(
                table = %change.table.name, verdict = held.verdict.name(), topic = held.topic,
                "the table is held, and its events are parked: {}; {}", held.reason, held.why.help(&change.table.name)
            );
        }
        let is_away = held.why == Why::Away;
        known.held = Some(held);
        self.evolution.put(known);
        self.show_held();
        // Others have waited for the registry long enough.
        if is_away { Ok(()) } else { self.prepare_control(PATIENCE) }
    }

    /// A held table has changed once more. What ended by itself so far, or was released, does not if its owner would not have
    /// it.
    fn worsen(&self, known: &mut Known, held: &mut Held, change: &Change<'_>) {
        let verdict = change.verdict();
        held.verdict = held.verdict.max(verdict);
        let told = reason(&change.findings);
        let lets = self.evolution.policy.lets(&change.table.name, verdict);
        if held.release.is_some() {
            if !lets {
                known.take_back(held);
                (held.why, held.reason) = (Why::Verdict, told);
            }
        } else if held.why == Why::Verdict {
            if verdict > Verdict::Safe && held.reason.len() < LONGEST_REASON {
                held.reason = format!("{}; then {told}", held.reason);
            }
        } else if !lets {
            (held.why, held.reason) = (Why::Verdict, told);
        }
    }

    /// The ids that parked events of this shape have. Their subjects are of their own, one for each text: no rule of the
    /// registry compares them with anything.
    fn frame(&self, held: &mut Held, texts: &Texts) -> Result<Ids, Failure> {
        let subject = format!("{}.{}", held.topic, texts.fingerprint.get(..16).unwrap_or_default());
        let wanted: Vec<_> = texts.parts().map(|(part, text)| Wanted::own(&subject, part, text)).collect();
        let answers = if held.why == Why::Away { Vec::new() } else { self.schemas.register(&wanted, PATIENCE)? };
        let mut ids = Vec::new();
        for (at, (part, text)) in texts.parts().enumerate() {
            let is_key = part == Part::Key;
            let given = answers.get(at).and_then(|answer| answer.as_ref().ok()).map(|id| id.0);
            let same = |frame: &&Frame| match (given, &frame.text) {
                (Some(id), _) if frame.id == id => frame.is_key == is_key,
                (_, Some(known)) => frame.is_key == is_key && known == text,
                _ => false,
            };
            let frame = match held.frames.iter().position(|frame| same(&frame)) {
                Some(at) => held.frames.remove(at),
                None => {
                    let own = OWN_IDS + u32::try_from(held.frames.len()).unwrap_or(0);
                    let text = given.is_none().then(|| text.to_owned());
                    Frame { is_key, id: given.unwrap_or(own), text }
                }
            };
            ids.push(frame.id);
            // The newest are the last.
            held.frames.push(frame);
        }
        let value = ids.pop().unwrap_or_default();
        Ok(Ids { key: ids.pop(), value, fingerprint: texts.fingerprint.clone() })
    }

    /// Shows the held tables to whoever looks from outside.
    pub(crate) fn show_held(&self) {
        let held = self.evolution.held().filter_map(|(known, _)| known.shown()).collect();
        self.monitor.hold(held);
    }
}

/// The change from the last shape to this one, judged. Consumers will see every shape that parked events have: each is judged
/// against the one before it.
fn findings(known: &Known, shape: &Shape, statement: Option<&Statement>) -> Vec<Finding> {
    let held = known.held.as_ref();
    let Some(before) = held.map(|held| &held.shape).or(known.shape.as_ref()) else { return Vec::new() };
    let moved = statement.and_then(|statement| statement.moved.as_deref());
    let is_proven = moved.is_some() || before.numbers_prove(shape);
    let generated = statement.map_or(&[][..], |statement| &statement.generated);
    let mut findings = judge(before, shape, moved.unwrap_or_default());
    findings.extend(judge_generated(shape, generated));
    for departed in [&known.departed, held.map_or(&Vec::new(), |held| &held.departed)] {
        findings.extend(judge_returned(departed, before, shape));
    }
    findings.extend(unproven(&findings).filter(|_| !is_proven));
    findings
}

/// Whether a shape is one that is known already, and is only told otherwise: by a catalogue that has gone on and cannot say
/// all of it any more, or by the log, which calls SQL types by other names. Consumers see no difference.
fn is_the_same(shape: &Shape, known: &Shape, findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.rule == "sql-type-renamed") && shape.spelled_as(known).may_be(known)
}

/// Nothing was ever published: there is nobody whom a stop would hold up.
fn first_failure(table: &Table, why: Why, reason: &str) -> Failure {
    let what = format!("table {}: {reason}", table.name);
    match why {
        Why::Away => Failure::Retry { leg: Leg::Registry, what: reason.to_owned() },
        Why::Unregistered => Failure::Stop { what, help: NOT_REGISTERED_HELP.to_owned() },
        Why::Refused | Why::Verdict => Failure::Stop { what, help: REGISTRY_HELP.to_owned() },
    }
}

/// The findings in one sentence.
fn reason(findings: &[Finding]) -> String {
    let some: Vec<String> = findings
        .iter()
        .filter(|finding| finding.verdict != Verdict::Safe)
        .map(|finding| format!("{} ({})", finding.what, finding.verdict.name()))
        .collect();
    let more = some.len().saturating_sub(MOST_TOLD);
    match some.get(..MOST_TOLD).unwrap_or(&some).join("; ") {
        told if told.is_empty() => "nothing that consumers see differs".to_owned(),
        told if more > 0 => format!("{told}; and {more} more"),
        told => told,
    }
}

/// Of a change that concerns many columns: a sentence for a person has so many, an event of the control topic, which waits in
/// a record of the checkpoint, so many.
const MOST_TOLD: usize = 5;
const MOST_FINDINGS: usize = 200;

/// Bytes of a reason that nothing more is added to.
const LONGEST_REASON: usize = 2000;

const NAME_HELP: &str = "choose another kafka.topic_prefix, or leave the table out of source.tables";
const NOT_REGISTERED_HELP: &str = "nothing is lost: the database keeps the change; `headwater doctor` names all schemas that \
     are missing; register them, then start headwater again";
const REGISTRY_HELP: &str =
    "nothing is lost: the database keeps the change; mend the registry or the table, then start headwater again";

/// The registry's frame of a record that has no key.
const NO_HEADER: [u8; 5] = [0; 5];

/// Tables that are prepared together: their topics are made by one request.
const AT_ONCE: usize = 100;

/// How often the log tells that tables are being prepared.
const TELL: Duration = Duration::from_secs(10);

/// How long one schema is tried before anything was ever published: long enough for a registry's restart.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// How long one schema is tried while other tables wait.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);
