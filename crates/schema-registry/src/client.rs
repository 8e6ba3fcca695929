//! The requests to the registry, each with its own answer.
//!
//! Network errors, time-outs, 429 and 5xx are tried again until `until` (`None`: until the future is dropped); the last
//! attempt may end [`Config::timeout`] after it. Everything else is an answer. How registries differ in their answers is
//! told in `docs/registries.md` and played in `tests/registries.rs`.
//!
//! Schemas are sent as they are: without references, because each is whole by itself, and without `normalize`, because
//! `event-avro` writes the same table the same way each time, and a registry's rewriting would only move the text away
//! from what events are encoded with.

use crate::cache::Cache;
use crate::config::{Auth, Config};
use crate::error::{CheckError, ConfigError, RegisterError, RequestError};
use crate::frame::SchemaId;
use crate::retry::Retry;
use crate::subject::{Part, subject};
use crate::tls;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::error::Error as _;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const CONTENT: &str = "application/vnd.schemaregistry.v1+json";
/// No answer is larger: a schema has at most some hundred KB, and 100,000 subjects fit.
const BODY_LIMIT: usize = 16 << 20;
/// How long the reasons of a refusal are waited for.
const REASONS_PATIENCE: Duration = Duration::from_millis(500);
/// What is quoted of a registry's text in an error.
const QUOTE_LIMIT: usize = 2_000;

/// One version under a subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Latest {
    pub version: u32,
    pub id: SchemaId,
    pub schema: String,
}

/// Against which registered versions to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    Latest,
    /// Those that the subject's level asks for: the latest, or all of them where it is a transitive one.
    All,
    Version(u32),
}

/// The registry's judgement. Not every registry gives messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Compatibility {
    pub is_compatible: bool,
    #[serde(default)]
    pub messages: Vec<String>,
}

type OnRetry = dyn Fn(&Retry) + Send + Sync;

/// The client of one registry. Cheap to clone; clones share connections and cache.
#[derive(Clone)]
pub struct Registry {
    http: reqwest::Client,
    config: Arc<Config>,
    cache: Arc<Mutex<Cache>>,
    on_retry: Option<Arc<OnRetry>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Any answer that was not tried again.
struct Answer {
    status: StatusCode,
    body: Vec<u8>,
    url: String,
    what: String,
}

#[derive(Deserialize, Default)]
struct ErrorBody {
    error_code: Option<u32>,
    #[serde(default)]
    message: String,
}

#[derive(serde::Serialize)]
struct SchemaBody<'a> {
    schema: &'a str,
    #[serde(rename = "schemaType")]
    kind: &'static str,
}

impl<'a> SchemaBody<'a> {
    fn avro(schema: &'a str) -> Self {
        Self { schema, kind: "AVRO" }
    }
}

impl Registry {
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let http = tls::http_client(&config)?;
        Ok(Self { http, config: Arc::new(config), cache: Arc::default(), on_retry: None })
    }

    /// Called before each wait, besides the warning in the log.
    #[must_use]
    pub fn on_retry(mut self, call: impl Fn(&Retry) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Arc::new(call));
        self
    }

    /// The address, free of credentials.
    pub fn url(&self) -> &Url {
        self.config.url()
    }

    /// The subject of one half of a topic's records, by the configured strategy; `record` is the full name of its record.
    pub fn subject(&self, topic: &str, part: Part, record: &str) -> String {
        subject(self.config.subject_naming, topic, part, record)
    }

    /// The id of a schema, asked once per subject and text: the schema is registered, or found registered where
    /// [`Config::register`] is false.
    ///
    /// # Errors
    ///
    /// [`RegisterError::is_transient`] tells an outage, on which the same call may succeed later, from an answer.
    pub async fn register(
        &self,
        subject: &str,
        schema: &str,
        until: Option<Instant>,
    ) -> Result<SchemaId, RegisterError> {
        if let Some(id) = self.cached(subject, schema) {
            return Ok(id);
        }
        let id = if self.config.register {
            self.add(subject, schema, until).await?
        } else {
            self.find(subject, schema, until).await?
        };
        self.know(subject, schema, id);
        Ok(id)
    }

    async fn add(&self, subject: &str, schema: &str, until: Option<Instant>) -> Result<SchemaId, RegisterError> {
        let body = SchemaBody::avro(schema);
        let path = ["subjects", subject, "versions"];
        let answer = self.ask(Method::POST, &path, &[], Some(&body), subject, until).await?;
        let (code, reason) = answer.error();
        let subject = subject.to_owned();
        match answer.status.as_u16() {
            200..300 => Ok(answer.parse::<Id>()?.id),
            409 => {
                let messages = self.reasons(&subject, schema, reason, until).await;
                Err(RegisterError::Incompatible { subject, messages })
            }
            422 if code == Some(42205) => Err(RegisterError::ReadOnly { subject, reason }),
            422 => Err(RegisterError::Invalid { subject, reason }),
            _ => Err(answer.unexpected().into()),
        }
    }

    async fn find(&self, subject: &str, schema: &str, until: Option<Instant>) -> Result<SchemaId, RegisterError> {
        match self.look_up(subject, schema, until).await? {
            Some(id) => Ok(id),
            None => Err(RegisterError::NotRegistered { subject: subject.to_owned(), schema: schema.to_owned() }),
        }
    }

    /// Why a schema is incompatible, one sentence each if the registry gives them soon; else what the refusal said. The refusal
    /// is an answer already: half of the time that is left has to do, so that it arrives before the caller gives up.
    async fn reasons(&self, subject: &str, schema: &str, refusal: String, until: Option<Instant>) -> Vec<String> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()) / 2);
        let patience = left.map_or(REASONS_PATIENCE, |left| left.min(REASONS_PATIENCE));
        let soon = Instant::now().checked_add(patience);
        let judged = self.check_compatibility(subject, schema, Against::All, soon);
        match tokio::time::timeout(patience, judged).await {
            Ok(Ok(judged)) if !judged.messages.is_empty() => judged.messages,
            _ => vec![refusal],
        }
    }

    /// The request that registers a schema, as a command for a shell. It carries no login.
    pub fn registration(&self, subject: &str, schema: &str) -> String {
        // A struct of two texts always becomes JSON.
        let body = serde_json::to_string(&SchemaBody::avro(schema)).unwrap_or_default().replace('\'', r"'\''");
        let url = self.address(&["subjects", subject, "versions"], &[]);
        format!("curl -X POST -H 'Content-Type: {CONTENT}' --data '{body}' '{url}'")
    }

    /// The id of a schema that is already registered under the subject; registers nothing.
    pub async fn look_up(
        &self,
        subject: &str,
        schema: &str,
        until: Option<Instant>,
    ) -> Result<Option<SchemaId>, RequestError> {
        let body = SchemaBody::avro(schema);
        let answer = self.ask(Method::POST, &["subjects", subject], &[], Some(&body), subject, until).await?;
        Ok(answer.found::<Id>()?.map(|Id { id }| id))
    }

    /// The text of a schema.
    pub async fn schema_by_id(&self, id: SchemaId, until: Option<Instant>) -> Result<Option<String>, RequestError> {
        #[derive(Deserialize)]
        struct Text {
            schema: String,
        }
        let number = id.to_string();
        let path = ["schemas", "ids", number.as_str()];
        let answer = self.ask(Method::GET, &path, &[], None, &format!("schema {id}"), until).await?;
        Ok(answer.found::<Text>()?.map(|Text { schema }| schema))
    }

    /// The newest version under the subject, `None` if there is none.
    pub async fn latest(&self, subject: &str, until: Option<Instant>) -> Result<Option<Latest>, RequestError> {
        let path = ["subjects", subject, "versions", "latest"];
        self.ask(Method::GET, &path, &[], None, subject, until).await?.found()
    }

    /// The numbers of the versions under the subject, oldest first; empty when the registry does not know the subject.
    /// Deleted versions are not among them.
    pub async fn versions(&self, subject: &str, until: Option<Instant>) -> Result<Vec<u32>, RequestError> {
        let path = ["subjects", subject, "versions"];
        let found = self.ask(Method::GET, &path, &[], None, subject, until).await?.found::<Vec<u32>>()?;
        let mut versions = found.unwrap_or_default();
        // Nobody promises an order.
        versions.sort_unstable();
        Ok(versions)
    }

    /// One version under the subject, `None` if there is none with this number, or if it was deleted.
    pub async fn version(
        &self,
        subject: &str,
        version: u32,
        until: Option<Instant>,
    ) -> Result<Option<Latest>, RequestError> {
        let number = version.to_string();
        let path = ["subjects", subject, "versions", number.as_str()];
        self.ask(Method::GET, &path, &[], None, subject, until).await?.found()
    }

    /// Asks the registry to judge a schema by the subject's level, without registering it. A subject without versions
    /// accepts any.
    ///
    /// # Errors
    ///
    /// [`CheckError::Invalid`] when it is no schema; a 404 when [`Against::Version`] names one that is not there.
    pub async fn check_compatibility(
        &self,
        subject: &str,
        schema: &str,
        against: Against,
        until: Option<Instant>,
    ) -> Result<Compatibility, CheckError> {
        let answer = match against {
            Against::Latest => self.judge(subject, schema, Some("latest"), until).await?,
            Against::Version(version) => self.judge(subject, schema, Some(&version.to_string()), until).await?,
            Against::All => match self.judge(subject, schema, None, until).await {
                // Karapace and Redpanda have no such address. Asked about the latest version, they judge all of them where
                // the level is transitive.
                Err(RequestError::NotARegistry { status: 404, .. }) => {
                    self.judge(subject, schema, Some("latest"), until).await?
                }
                answer => answer?,
            },
        };
        match (answer.status.as_u16(), against) {
            (422, _) => Err(CheckError::Invalid { subject: subject.to_owned(), reason: answer.error().1 }),
            (404, Against::Version(_)) => Err(answer.unexpected().into()),
            (404, _) => Ok(Compatibility { is_compatible: true, messages: Vec::new() }),
            (200..300, _) => Ok(answer.parse()?),
            _ => Err(answer.unexpected().into()),
        }
    }

    async fn judge(
        &self,
        subject: &str,
        schema: &str,
        version: Option<&str>,
        until: Option<Instant>,
    ) -> Result<Answer, RequestError> {
        let mut path = vec!["compatibility", "subjects", subject, "versions"];
        path.extend(version);
        let body = SchemaBody::avro(schema);
        self.ask(Method::POST, &path, &[("verbose", "true")], Some(&body), subject, until).await
    }

    /// The level in force for the subject, in the registry's word: its own, or the registry's.
    pub async fn level(&self, subject: &str, until: Option<Instant>) -> Result<String, RequestError> {
        let query = [("defaultToGlobal", "true")];
        let answer = self.ask(Method::GET, &["config", subject], &query, None, subject, until).await?;
        match answer.found::<LevelBody>()? {
            Some(found) => Ok(found.level),
            None => self.global_level(until).await,
        }
    }

    /// The registry's own level, in its word.
    pub async fn global_level(&self, until: Option<Instant>) -> Result<String, RequestError> {
        let answer = self.ask(Method::GET, &["config"], &[], None, "the global level", until).await?;
        match answer.status.as_u16() {
            200..300 => answer.parse::<LevelBody>().map(|found| found.level),
            _ => Err(answer.unexpected()),
        }
    }

    /// Whether something that speaks as a registry answers, and takes our credentials.
    pub async fn ping(&self, until: Option<Instant>) -> Result<(), RequestError> {
        self.global_level(until).await.map(drop)
    }

    /// All subjects.
    pub async fn subjects(&self, until: Option<Instant>) -> Result<Vec<String>, RequestError> {
        let answer = self.ask(Method::GET, &["subjects"], &[], None, "the list of subjects", until).await?;
        match answer.status.as_u16() {
            200..300 => answer.parse(),
            _ => Err(answer.unexpected()),
        }
    }

    /// Takes an id as given, so that [`Registry::register`] does not ask for it: one that a checkpoint remembers, after a
    /// restart while the registry is away. An id never changes its schema, so it holds unless the schema was deleted for
    /// good.
    pub fn know(&self, subject: &str, schema: &str, id: SchemaId) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(subject, schema, id);
    }

    /// Forgets all cached ids, after the registry was restored or replaced.
    pub fn forget(&self) {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }

    fn cached(&self, subject: &str, schema: &str) -> Option<SchemaId> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(subject, schema)
    }

    /// One request, tried until it is answered. `what` names the object in errors.
    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&SchemaBody<'_>>,
        what: &str,
        until: Option<Instant>,
    ) -> Result<Answer, RequestError> {
        let url = self.address(path, query);
        let since = Instant::now();
        let mut attempt = 1;
        loop {
            let (reason, retry_after) = match self.attempt(&method, &url, body, what).await {
                Ok(answer) => return answer.judged(),
                Err(Failure::Lasting(error)) => return Err(error),
                Err(Failure::Passing { reason, retry_after }) => (reason, retry_after),
            };
            let wait = self.config.retry.wait(attempt, retry_after);
            if until.is_some_and(|until| Instant::now() + wait >= until) {
                return Err(RequestError::Unreachable {
                    url: self.config.url().to_string(),
                    what: what.to_owned(),
                    attempts: attempt,
                    over: since.elapsed(),
                    reason,
                });
            }
            self.report(&Retry { url: url.to_string(), attempt, wait, reason });
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    fn report(&self, retry: &Retry) {
        let Retry { url, attempt, wait, reason } = retry;
        tracing::warn!(url, attempt, ?wait, reason, "the schema registry did not answer, trying again");
        if let Some(call) = &self.on_retry {
            call(retry);
        }
    }

    /// Each element becomes one segment of the path, with what means something else in an address escaped.
    fn address(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.config.url().clone();
        // An http address always has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn attempt(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&SchemaBody<'_>>,
        what: &str,
    ) -> Result<Answer, Failure> {
        let mut request = self.http.request(method.clone(), url.clone()).header(ACCEPT, CONTENT);
        request = match &self.config.auth {
            Auth::None => request,
            Auth::Basic { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            Auth::Bearer { token } => request.bearer_auth(token.expose_secret()),
        };
        if let Some(body) = body {
            // The type is set first: `json` keeps one that is there.
            request = request.header(CONTENT_TYPE, CONTENT).json(body);
        }
        let request = request.build().map_err(|error| self.unsendable(what, &error))?;
        let mut response = self.http.execute(request).await.map_err(|error| Failure::passing(&error))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = header.and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
            let body = self.read(&mut response, what).await.unwrap_or_default();
            let (_, reason) = Answer { status, body, url: String::new(), what: String::new() }.error();
            return Err(Failure::Passing { reason: format!("{status}: {reason}"), retry_after });
        }
        let body = self.read(&mut response, what).await?;
        Ok(Answer { status, body, url: self.config.url().to_string(), what: what.to_owned() })
    }

    async fn read(&self, response: &mut reqwest::Response, what: &str) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| Failure::passing(&error))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(Failure::Lasting(RequestError::Unexpected {
                    url: self.config.url().to_string(),
                    what: what.to_owned(),
                    status: response.status().as_u16(),
                    reason: format!("its answer is larger than {BODY_LIMIT} bytes"),
                }));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unsendable(&self, what: &str, error: &reqwest::Error) -> Failure {
        let (url, reason) = (self.config.url().to_string(), innermost(error));
        Failure::Lasting(RequestError::Unsendable { url, what: what.to_owned(), reason })
    }
}

/// An attempt without an answer that could be used.
enum Failure {
    /// The next attempt may succeed.
    Passing { reason: String, retry_after: Option<Duration> },
    /// Every other attempt would end in the same way.
    Lasting(RequestError),
}

impl Failure {
    fn passing(error: &reqwest::Error) -> Self {
        let reason = if error.is_timeout() { "no answer in time".to_owned() } else { innermost(error) };
        Self::Passing { reason, retry_after: None }
    }
}

/// The outer error only says that a request failed: the reason is its innermost source.
fn innermost(error: &reqwest::Error) -> String {
    let mut reason = "the request failed".to_owned();
    let mut source = error.source();
    while let Some(inner) = source {
        reason = inner.to_string();
        source = inner.source();
    }
    reason
}

impl Answer {
    /// Takes out what no operation can make sense of.
    fn judged(self) -> Result<Self, RequestError> {
        match self.status.as_u16() {
            status @ (401 | 403) => Err(RequestError::Unauthorized { url: self.url, status, what: self.what }),
            // A registry's 404 carries a code of its own (40401, ...); anything else's, and that of Confluent's registry for
            // a path that it does not serve, does not.
            status @ 404 if matches!(self.error().0, None | Some(404)) => {
                Err(RequestError::NotARegistry { url: self.url, status })
            }
            status @ 300..=399 => Err(RequestError::NotARegistry { url: self.url, status }),
            _ => Ok(self),
        }
    }

    /// The registry's error code and text, or the raw text.
    fn error(&self) -> (Option<u32>, String) {
        let parsed: ErrorBody = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = if parsed.message.is_empty() { &*String::from_utf8_lossy(&self.body) } else { &*parsed.message };
        (parsed.error_code, text.chars().take(QUOTE_LIMIT).collect())
    }

    /// The value, or `None` for the registry's own "not found".
    fn found<T: DeserializeOwned>(self) -> Result<Option<T>, RequestError> {
        match self.status.as_u16() {
            200..300 => self.parse().map(Some),
            404 => Ok(None),
            _ => Err(self.unexpected()),
        }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        serde_json::from_slice(&self.body).map_err(|error| RequestError::Unexpected {
            url: self.url.clone(),
            what: self.what.clone(),
            status: self.status.as_u16(),
            reason: format!("its answer cannot be read: {error}"),
        })
    }

    fn unexpected(self) -> RequestError {
        let (_, reason) = self.error();
        RequestError::Unexpected { url: self.url, what: self.what, status: self.status.as_u16(), reason }
    }
}

#[derive(Deserialize)]
struct Id {
    id: SchemaId,
}

/// Confluent's registry calls the same field differently in answer to GET and to PUT.
#[derive(Deserialize)]
struct LevelBody {
    #[serde(rename = "compatibilityLevel", alias = "compatibility")]
    level: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`Config::validate`] lets no such login pass; whatever else makes a request impossible makes all of them so.
    #[tokio::test]
    async fn a_request_that_cannot_be_made_is_not_tried_again() {
        let mut config = Config::new("http://localhost:1").unwrap();
        let mut registry = Registry::new(config.clone()).unwrap();
        config.auth = Auth::Bearer { token: "hunter2\n".into() };
        registry.config = Arc::new(config);
        let error = registry.subjects(Some(Instant::now())).await.unwrap_err();
        assert!(!error.is_transient() && !error.to_string().contains("hunter2"), "{error}");
    }
}
