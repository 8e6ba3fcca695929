//! An outage is told from a refusal, in a time that the caller sets, whatever kind of outage it is.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not recognise as such outside test functions"
)]

use schema_registry::{Config, RegisterError, Registry, RetryPolicy, SchemaId};
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[]}"#;
const PATIENCE: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_millis(200);

/// Looks a schema up and registers one; both must fail as an outage does, in time. Gives the errors' texts.
async fn outage(url: &str) -> [String; 2] {
    let mut texts = Vec::new();
    for register in [false, true] {
        let mut config = Config::new(url).unwrap();
        config.retry = RetryPolicy { first: Duration::from_millis(20), longest: Duration::from_millis(50) };
        config.timeout = TIMEOUT;
        config.register = register;
        let registry = Registry::new(config).unwrap();
        let begin = Instant::now();
        let error = registry.register("t", SCHEMA, begin.checked_add(PATIENCE)).await.unwrap_err();
        // The rest is for a machine that is busy with other tests.
        assert!(begin.elapsed() < PATIENCE + TIMEOUT + Duration::from_secs(5), "{:?}", begin.elapsed());
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("was not reached for t"), "{error}");
        texts.push(error.to_string());
        // What is known needs no registry.
        registry.know("t", SCHEMA, SchemaId(7));
        assert_eq!(registry.register("t", SCHEMA, Some(begin)).await.unwrap(), SchemaId(7));
    }
    texts.try_into().unwrap()
}

#[tokio::test]
async fn nobody_answers() {
    // The system accepts connections for whoever listens, and this listener never takes them.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for text in outage(&format!("http://{}", listener.local_addr().unwrap())).await {
        assert!(text.contains("no answer in time"), "{text}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for text in outage(&format!("http://{address}")).await {
        assert!(text.contains("Connection refused"), "{text}");
    }
}

#[tokio::test]
async fn nobody_has_this_name() {
    outage("http://registry.invalid:8081").await;
}

#[tokio::test]
async fn it_is_unavailable() {
    let server = MockServer::start().await;
    let starting = ResponseTemplate::new(503).set_body_string("<html>no backend</html>");
    Mock::given(any()).respond_with(starting).expect(4..).mount(&server).await;
    for text in outage(&server.uri()).await {
        assert!(text.contains("503 Service Unavailable: <html>no backend</html>"), "{text}");
    }
}

/// A wish to wait longer than the caller has time is told at once: waiting would not help.
#[tokio::test]
async fn it_is_busy_for_longer_than_there_is_time() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("Retry-After", "3600");
    let busy = busy.set_body_json(json!({"error_code": 42901, "message": "slow down"}));
    Mock::given(any()).respond_with(busy).expect(2).mount(&server).await;
    for text in outage(&server.uri()).await {
        assert!(text.contains("429 Too Many Requests: slow down"), "{text}");
        assert!(text.contains("in 1 attempts"), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_is_no_outage() {
    for (status, code) in [(409, 409), (422, 42201), (422, 42205), (401, 401), (404, 404), (400, 400)] {
        let server = MockServer::start().await;
        let refusal = ResponseTemplate::new(status).set_body_json(json!({"error_code": code, "message": "no"}));
        Mock::given(any()).respond_with(refusal).mount(&server).await;
        let registry = Registry::new(Config::new(&server.uri()).unwrap()).unwrap();
        let until = Instant::now().checked_add(PATIENCE);
        let error: RegisterError = registry.register("t", SCHEMA, until).await.unwrap_err();
        assert!(!error.is_transient(), "{status} {error}");
    }
}
