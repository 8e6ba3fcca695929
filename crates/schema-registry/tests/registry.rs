//! What the client makes of a registry's answers, against a stub that plays them.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not recognise as such outside test functions"
)]

use schema_registry::{Against, Auth, Config, RegisterError, Registry, RequestError, RetryPolicy, SchemaId};
use serde_json::json;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[]}"#;

fn config(url: &str) -> Config {
    let mut config = Config::new(url).unwrap();
    config.retry = RetryPolicy { first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    config
}

fn client(server: &MockServer) -> Registry {
    Registry::new(config(&server.uri())).unwrap()
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(5))
}

fn error(status: u16, code: u32, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"error_code": code, "message": message}))
}

async fn answer(server: &MockServer, verb: &str, at: &str, response: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(response).mount(server).await;
}

#[tokio::test]
async fn registers_once_per_subject_and_text() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/subjects/t-value/versions"))
        .and(header("content-type", "application/vnd.schemaregistry.v1+json"))
        .and(body_json(json!({"schema": SCHEMA, "schemaType": "AVRO"})))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": 7})))
        .expect(1)
        .mount(&server)
        .await;
    let registry = client(&server);
    for _ in 0..3 {
        assert_eq!(registry.register("t-value", SCHEMA, soon()).await.unwrap(), SchemaId(7));
    }
}

#[tokio::test]
async fn the_path_of_the_address_is_kept_and_the_subject_is_one_segment() {
    let server = MockServer::start().await;
    let escaped = "/apis/ccompat/v7/subjects/a%2Fb%20c%3F%25/versions";
    answer(&server, "POST", escaped, ResponseTemplate::new(200).set_body_json(json!({"id": 1}))).await;
    for end in ["", "/"] {
        let registry = Registry::new(config(&format!("{}/apis/ccompat/v7{end}", server.uri()))).unwrap();
        registry.register("a/b c?%", SCHEMA, soon()).await.unwrap();
    }
}

#[tokio::test]
async fn incompatible_carries_the_registrys_reasons() {
    let server = MockServer::start().await;
    answer(&server, "POST", "/subjects/t/versions", error(409, 409, "schema is incompatible")).await;
    let registry = client(&server);
    let messages = |error: RegisterError| match error {
        RegisterError::Incompatible { subject, messages } if subject == "t" => messages,
        other => panic!("{other}"),
    };
    // Without an answer to the question why, the refusal's own text.
    let plain = messages(registry.register("t", SCHEMA, soon()).await.unwrap_err());
    assert_eq!(plain, ["schema is incompatible"]);
    Mock::given(path("/compatibility/subjects/t/versions"))
        .and(query_param("verbose", "true"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_json(json!({"is_compatible": false, "messages": ["field x", "field y"]})),
        )
        .mount(&server)
        .await;
    let verbose = messages(registry.register("t", SCHEMA, soon()).await.unwrap_err());
    assert_eq!(verbose, ["field x", "field y"]);
}

/// The refusal is the answer; the reasons must not make it late.
#[tokio::test]
async fn a_refusal_does_not_wait_for_its_reasons() {
    let server = MockServer::start().await;
    answer(&server, "POST", "/subjects/t/versions", error(409, 409, "schema is incompatible")).await;
    let slow = ResponseTemplate::new(200).set_body_json(json!({"is_compatible": false, "messages": ["field x"]}));
    Mock::given(path("/compatibility/subjects/t/versions"))
        .respond_with(slow.set_delay(Duration::from_secs(60)))
        .mount(&server)
        .await;
    let registry = client(&server);
    // For who has no deadline they have one of their own.
    for patience in [Some(Duration::from_secs(2)), None] {
        let until = patience.map(|patience| Instant::now() + patience);
        let asked = tokio::time::timeout(Duration::from_secs(5), registry.register("t", SCHEMA, until));
        match asked.await.unwrap().unwrap_err() {
            RegisterError::Incompatible { messages, .. } => assert_eq!(messages, ["schema is incompatible"]),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn answers_that_no_repetition_mends_are_told_apart() {
    for (response, text) in [
        (error(422, 42201, "bad avro"), "does not accept the schema: bad avro"),
        (error(422, 42205, "read only"), "set its mode to READWRITE"),
        (error(401, 401, "no"), "check registry.username"),
        (error(403, 40301, "no"), "check registry.username"),
        (ResponseTemplate::new(404).set_body_string("<html>"), "check the path in registry.url"),
        (ResponseTemplate::new(302), "check the path in registry.url"),
        (ResponseTemplate::new(200).set_body_string("{}"), "cannot be read"),
        (error(400, 400, "odd"), "gave 400 for t: odd"),
        (ResponseTemplate::new(200).set_body_bytes(vec![b' '; (16 << 20) + 1]), "its answer is larger than"),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(response).expect(1).mount(&server).await;
        let error = client(&server).register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn too_many_requests_and_server_errors_are_tried_again() {
    let server = MockServer::start().await;
    for response in [error(429, 429, "slow down"), error(500, 50001, "store"), error(503, 503, "starting")] {
        Mock::given(method("POST")).respond_with(response).up_to_n_times(1).mount(&server).await;
    }
    answer(&server, "POST", "/subjects/t/versions", ResponseTemplate::new(200).set_body_json(json!({"id": 3}))).await;
    let retries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&retries);
    let registry = client(&server).on_retry(move |retry| {
        assert_eq!(retry.attempt, counted.fetch_add(1, Ordering::SeqCst) + 1);
        assert!(retry.url.ends_with("/subjects/t/versions"), "{}", retry.url);
    });
    assert_eq!(registry.register("t", SCHEMA, None).await.unwrap(), SchemaId(3));
    assert_eq!(retries.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let server = MockServer::start().await;
    let busy = error(429, 429, "slow down").insert_header("Retry-After", "1");
    Mock::given(method("GET")).respond_with(busy).up_to_n_times(1).mount(&server).await;
    answer(&server, "GET", "/subjects", ResponseTemplate::new(200).set_body_json(json!(["a"]))).await;
    let since = Instant::now();
    assert_eq!(client(&server).subjects(soon()).await.unwrap(), ["a"]);
    assert!(since.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_registry_that_comes_up_later_is_met() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let registry = Registry::new(config(&format!("http://{address}"))).unwrap();
    let error = registry.register("t", SCHEMA, Some(Instant::now())).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert!(error.to_string().contains("in 1 attempts"), "{error}");
    let (refused, seen) = tokio::sync::oneshot::channel();
    let refused = std::sync::Mutex::new(Some(refused));
    let waiting = registry.on_retry(move |_| {
        if let Some(refused) = refused.lock().unwrap().take() {
            refused.send(()).unwrap();
        }
    });
    let asked = async { waiting.register("t", SCHEMA, None).await.unwrap() };
    let server = MockServer::start().await;
    answer(&server, "POST", "/subjects/t/versions", ResponseTemplate::new(200).set_body_json(json!({"id": 5}))).await;
    let up = async {
        seen.await.unwrap();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let (mut inside, _) = listener.accept().await.unwrap();
        let mut outside = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        tokio::io::copy_bidirectional(&mut inside, &mut outside).await.unwrap();
    };
    let id = tokio::select! { id = asked => id, () = up => panic!("the connection ended first") };
    assert_eq!(id, SchemaId(5));
}

#[tokio::test]
async fn credentials_are_sent_and_shown_nowhere() {
    let server = MockServer::start().await;
    let with = |auth| {
        let mut config = config(&server.uri());
        config.auth = auth;
        Registry::new(config).unwrap()
    };
    let basic = with(Auth::Basic { user: "me".into(), password: "hunter2".into() });
    let bearer = with(Auth::Bearer { token: "hunter2-token".into() });
    let address = server.uri().replace("http://", "http://me:hunter2@");
    let in_url = Registry::new(config(&address)).unwrap();
    for (value, registry) in
        [("Basic bWU6aHVudGVyMg==", &basic), ("Bearer hunter2-token", &bearer), ("Basic bWU6aHVudGVyMg==", &in_url)]
    {
        server.reset().await;
        Mock::given(header("authorization", value))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
            .expect(1)
            .mount(&server)
            .await;
        registry.subjects(soon()).await.unwrap();
        server.verify().await;
        for status in [401, 404, 409, 422, 500] {
            server.reset().await;
            Mock::given(method("POST")).respond_with(ResponseTemplate::new(status)).mount(&server).await;
            let now = Some(Instant::now());
            let error = registry.register("t", SCHEMA, now).await.unwrap_err();
            let all = format!("{error} {error:?} {registry:?} {}", registry.url());
            assert!(!all.contains("hunter2") && !all.contains("bWU6"), "{all}");
        }
    }
}

#[tokio::test]
async fn not_found_is_an_answer() {
    let server = MockServer::start().await;
    for verb in ["GET", "POST"] {
        Mock::given(method(verb)).respond_with(error(404, 40401, "subject not found")).mount(&server).await;
    }
    let registry = client(&server);
    assert_eq!(registry.look_up("t", SCHEMA, soon()).await.unwrap(), None);
    assert_eq!(registry.latest("t", soon()).await.unwrap(), None);
    assert_eq!(registry.schema_by_id(SchemaId(1), soon()).await.unwrap(), None);
    let judged = registry.check_compatibility("t", SCHEMA, Against::Latest, soon()).await.unwrap();
    assert!(judged.is_compatible);
}

#[tokio::test]
async fn reads_what_a_registry_gives() {
    let server = MockServer::start().await;
    let ok = |value| ResponseTemplate::new(200).set_body_json(value);
    answer(&server, "POST", "/subjects/t", ok(json!({"subject": "t", "id": 4, "version": 2, "schema": SCHEMA}))).await;
    answer(&server, "GET", "/schemas/ids/4", ok(json!({"schema": SCHEMA}))).await;
    let latest = json!({"subject": "t", "id": 4, "version": 2, "schema": SCHEMA});
    answer(&server, "GET", "/subjects/t/versions/latest", ok(latest)).await;
    answer(&server, "GET", "/config/own", ok(json!({"compatibilityLevel": "FULL_TRANSITIVE"}))).await;
    answer(&server, "GET", "/config/other", error(404, 40401, "not found")).await;
    answer(&server, "GET", "/config", ok(json!({"compatibilityLevel": "BACKWARD"}))).await;
    let registry = client(&server);
    assert_eq!(registry.look_up("t", SCHEMA, soon()).await.unwrap(), Some(SchemaId(4)));
    assert_eq!(registry.schema_by_id(SchemaId(4), soon()).await.unwrap().unwrap(), SCHEMA);
    let latest = registry.latest("t", soon()).await.unwrap().unwrap();
    assert_eq!((latest.version, latest.id, latest.schema.as_str()), (2, SchemaId(4), SCHEMA));
    assert_eq!(registry.level("own", soon()).await.unwrap(), "FULL_TRANSITIVE");
    assert_eq!(registry.level("other", soon()).await.unwrap(), "BACKWARD");
    registry.ping(soon()).await.unwrap();
}

#[tokio::test]
async fn a_slow_registry_is_asked_again() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(200).set_body_json(json!([])).set_delay(Duration::from_secs(30));
    Mock::given(method("GET")).respond_with(slow).mount(&server).await;
    let mut config = config(&server.uri());
    config.timeout = Duration::from_millis(100);
    let registry = Registry::new(config).unwrap();
    let error = registry.subjects(Some(Instant::now() + Duration::from_millis(400))).await.unwrap_err();
    assert!(matches!(&error, RequestError::Unreachable { attempts: 2.., .. }), "{error}");
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

#[tokio::test]
async fn versions_are_listed_in_their_order_and_read_one_by_one() {
    let server = MockServer::start().await;
    answer(&server, "GET", "/subjects/t/versions", ResponseTemplate::new(200).set_body_json(json!([3, 1]))).await;
    let body = json!({"subject": "t", "version": 3, "id": 9, "schema": SCHEMA});
    answer(&server, "GET", "/subjects/t/versions/3", ResponseTemplate::new(200).set_body_json(body)).await;
    answer(&server, "GET", "/subjects/t/versions/2", error(404, 40402, "Version not found.")).await;
    answer(&server, "GET", "/subjects/u/versions", error(404, 40401, "Subject not found.")).await;
    let registry = client(&server);
    assert_eq!(registry.versions("t", soon()).await.unwrap(), [1, 3]);
    assert_eq!(registry.versions("u", soon()).await.unwrap(), Vec::<u32>::new());
    let found = registry.version("t", 3, soon()).await.unwrap().unwrap();
    assert_eq!((found.version, found.id, found.schema.as_str()), (3, SchemaId(9), SCHEMA));
    assert_eq!(registry.version("t", 2, soon()).await.unwrap(), None);
}
