//! How registries differ, each played by a stub that answers as its sources or its documentation say. The same facts are
//! the table of `docs/registries.md`.
//!
//! * Confluent: `confluentinc/schema-registry`, `core/.../rest/exceptions/Errors.java` and `rest/resources/`; the API
//!   reference at docs.confluent.io/platform/current/schema-registry/develop/api.html.
//! * Apicurio: release 3.3.3, asked by hand at `/apis/ccompat/v7`; `app/.../http/CCompatExceptionMapperService.java`.
//! * Karapace: `Aiven-Open/karapace`, `src/karapace/api/controller.py`, `routers/errors.py`, `http_handlers/__init__.py`.
//! * Redpanda: `redpanda-data/redpanda`, `src/v/pandaproxy/schema_registry/{handlers,error}.cc`, and
//!   `src/v/pandaproxy/api/api-doc/schema_registry.json` for the addresses.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy does not recognise as such outside test functions"
)]

use schema_registry::{Against, CheckError, Config, RegisterError, Registry, RequestError, RetryPolicy, SchemaId};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use wiremock::matchers::{any, body_json, method, path, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SCHEMA: &str = r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#;
/// The same schema as a registry may print it.
const REFORMATTED: &str = r#"{ "name": "r", "type": "record", "fields": [ { "name": "a", "type": "long" } ] }"#;

fn client(server: &MockServer, register: bool) -> Registry {
    let mut config = Config::new(&server.uri()).unwrap();
    config.retry = RetryPolicy { first: Duration::from_millis(5), longest: Duration::from_millis(20) };
    config.register = register;
    Registry::new(config).unwrap()
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(5))
}

fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// A server that gives one answer to everything.
async fn always(status: u16, body: &Value) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer(status, body)).mount(&server).await;
    server
}

async fn on(server: &MockServer, verb: &str, at: &str, status: u16, body: &Value) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer(status, body)).mount(server).await;
}

fn error(code: u32, message: &str) -> Value {
    json!({"error_code": code, "message": message})
}

/// What registries answer for an address that they do not serve.
fn no_such_address() -> [(&'static str, Value); 4] {
    [
        // JAX-RS, for every address without a resource.
        ("Confluent", error(404, "HTTP 404 Not Found")),
        // FastAPI's detail is the whole body.
        ("Karapace", json!("Not Found")),
        // Seastar's own error: not one of the registry.
        ("Redpanda", json!({"message": "Not found", "code": 404})),
        ("Apicurio", json!({"title": "RESTEASY003210: Could not find resource", "status": 404})),
    ]
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_its_message() {
    for (code, message) in [
        // Confluent's, of old and of late.
        (409, r#"Schema being registered is incompatible with an earlier schema for subject "t", details: [...]"#),
        (40901, r#"Schema being registered is incompatible with an earlier schema for subject "t", details: [...]"#),
        // Apicurio
        (
            409,
            "io.apicurio.registry.rules.violation.RuleViolationException: Incompatible artifact: t [AVRO], num of \
             incompatible diffs: {1}, list of diff types: [reader type: STRING not compatible with writer type: LONG]",
        ),
        // Karapace
        (
            409,
            "Incompatible schema, compatibility_mode=BACKWARD. Incompatibilities: reader type: string not compatible \
             with writer type: long",
        ),
        // Redpanda
        (409, "Schema being registered is incompatible with an earlier schema for subject"),
    ] {
        let server = always(409, &error(code, message)).await;
        match client(&server, true).register("t", SCHEMA, soon()).await.unwrap_err() {
            RegisterError::Incompatible { messages, .. } => assert_eq!(messages, [message]),
            other => panic!("{other}"),
        }
    }
}

/// Karapace and Redpanda judge against one version or `latest` only (`routers/compatibility.py`, `schema_registry.json`).
/// Before, Confluent's way to say that an address does not exist was taken for a subject without versions: compatible.
#[tokio::test]
async fn the_latest_version_is_asked_about_where_all_cannot_be() {
    let incompatible = json!({"is_compatible": false, "messages": ["reader type: string"]});
    for (registry, missing) in no_such_address() {
        let server = MockServer::start().await;
        on(&server, "POST", "/compatibility/subjects/t/versions", 404, &missing).await;
        on(&server, "POST", "/compatibility/subjects/t/versions/latest", 200, &incompatible).await;
        let client = client(&server, true);
        let judged = client.check_compatibility("t", SCHEMA, Against::All, soon()).await.unwrap();
        assert!(!judged.is_compatible, "{registry}");
        assert_eq!(judged.messages, ["reader type: string"], "{registry}");
        // And so the reasons of a refusal.
        on(&server, "POST", "/subjects/t/versions", 409, &error(409, "incompatible")).await;
        match client.register("t", SCHEMA, soon()).await.unwrap_err() {
            RegisterError::Incompatible { messages, .. } => assert_eq!(messages, ["reader type: string"], "{registry}"),
            other => panic!("{registry}: {other}"),
        }
    }
}

/// Apicurio 3.3.3 knows `verbose` and gives no messages all the same, and so do older releases of Redpanda.
#[tokio::test]
async fn a_verdict_may_come_without_messages() {
    let server = always(200, &json!({"is_compatible": false})).await;
    let judged = client(&server, true).check_compatibility("t", SCHEMA, Against::Latest, soon()).await.unwrap();
    assert!(!judged.is_compatible && judged.messages.is_empty());
}

/// Asked about the latest version of a subject that does not exist, Apicurio says that anything is compatible, Confluent and
/// Redpanda say 40401, and Karapace says 40402 (`get_old_schema`).
#[tokio::test]
async fn a_subject_without_versions_accepts_any_schema() {
    for (status, body) in [
        (200, json!({"is_compatible": true})),
        (404, error(40401, "Subject 't' not found.")),
        (404, error(40402, "Version latest not found.")),
    ] {
        let server = always(status, &body).await;
        for against in [Against::Latest, Against::All] {
            let judged = client(&server, true).check_compatibility("t", SCHEMA, against, soon()).await.unwrap();
            assert!(judged.is_compatible);
        }
    }
}

/// Before, a version that does not exist was compatible with everything.
#[tokio::test]
async fn a_version_that_does_not_exist_gives_no_verdict() {
    let server = always(404, &error(40402, "Version 77 not found.")).await;
    let error = client(&server, true).check_compatibility("t", SCHEMA, Against::Version(77), soon()).await.unwrap_err();
    assert!(matches!(error, CheckError::Request(RequestError::Unexpected { status: 404, .. })), "{error}");
    assert!(error.to_string().contains("Version 77 not found"), "{error}");
}

/// Before, Confluent's answer for a wrong path was taken for an unknown subject: with `register = false` a wrong
/// `registry.url` looked like a schema that nobody had registered.
#[tokio::test]
async fn a_wrong_path_is_not_an_unknown_subject() {
    for (registry, missing) in no_such_address() {
        let server = always(404, &missing).await;
        let client = client(&server, false);
        for error in [
            client.latest("t", soon()).await.unwrap_err(),
            client.versions("t", soon()).await.unwrap_err(),
            client.look_up("t", SCHEMA, soon()).await.unwrap_err(),
            client.level("t", soon()).await.unwrap_err(),
        ] {
            assert!(matches!(error, RequestError::NotARegistry { status: 404, .. }), "{registry}: {error}");
        }
        let error = client.register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(error.to_string().contains("check the path in registry.url"), "{registry}: {error}");
    }
}

/// Confluent and Redpanda (`defaultToGlobal=true`) answer with the level in force; Apicurio and Karapace do so for subjects
/// that exist, and say 40401 of others; Confluent before 5.5 and whoever ignores the parameter say 40401 or 40408.
#[tokio::test]
async fn the_level_of_a_subject_without_its_own_is_the_global_one() {
    for (status, body) in [
        (200, json!({"compatibilityLevel": "FORWARD_TRANSITIVE"})),
        (404, error(40401, "Subject 't' not found.")),
        (404, error(40408, "Subject 't' does not have subject-level compatibility configured")),
    ] {
        let server = MockServer::start().await;
        on(&server, "GET", "/config/t", status, &body).await;
        on(&server, "GET", "/config", 200, &json!({"compatibilityLevel": "FORWARD_TRANSITIVE"})).await;
        assert_eq!(client(&server, true).level("t", soon()).await.unwrap(), "FORWARD_TRANSITIVE");
    }
}

/// The field is `compatibilityLevel` in answers to GET and `compatibility` in answers to PUT; some proxies mix them up.
/// Apicurio and newer registries of Confluent's add fields of their own.
#[tokio::test]
async fn a_level_is_read_under_both_names() {
    for body in [
        json!({"compatibilityLevel": "NONE"}),
        json!({"compatibility": "NONE", "normalize": false}),
        json!({"compatibilityLevel": "NONE", "alias": "x", "compatibilityPolicy": "STRICT"}),
    ] {
        let server = always(200, &body).await;
        assert_eq!(client(&server, true).global_level(soon()).await.unwrap(), "NONE");
    }
}

#[tokio::test]
async fn a_schema_that_is_not_accepted_is_told_from_a_registry_that_accepts_none() {
    for (code, message) in [
        // Confluent, and Apicurio
        (42201, "Invalid schema {subject=t,version=0,...} with refs [] of type AVRO, details: Invalid default"),
        (42201, "Failed to discover artifact type from content."),
        // Karapace, and Confluent with a limit
        (42201, "Invalid AVRO schema. Error: Unknown named schema"),
        (42209, "Schema is too large"),
        // Redpanda has no code of its own for this.
        (422, "Invalid schema {subject=t,...}"),
    ] {
        let server = always(422, &error(code, message)).await;
        let error = client(&server, true).register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(matches!(&error, RegisterError::Invalid { reason, .. } if reason == message), "{error}");
    }
    for message in [
        // Confluent in mode READONLY, and in mode IMPORT, where only schemas with an id are taken
        "Subject t in context . is in read-only mode",
        "Subject t is not in import mode",
        // Karapace (`OPERATION_NOT_PERMITTED_IN_MODE`), Redpanda
        "Operation not permitted in mode READONLY",
        "Subject t is in read-only mode",
    ] {
        let server = always(422, &error(42205, message)).await;
        let error = client(&server, true).register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(matches!(&error, RegisterError::ReadOnly { reason, .. } if reason == message), "{error}");
        assert!(!error.is_transient());
    }
}

/// A registry without its leader or its storage says so with a 5xx of its own.
#[tokio::test]
async fn trouble_inside_the_registry_is_an_outage() {
    for (status, code, message) in [
        (500, 50001, "Error in the backend data store"),
        (500, 50002, "Operation timed out"),
        (500, 50003, "Error while forwarding the request to the leader"),
        (500, 50004, "Unknown leader"),
        // Karapace without a primary
        (500, 50003, "Error while forwarding the request to the master."),
        // Redpanda, when several write at the same time
        (503, 50301, "Too many retries on write collision"),
    ] {
        let server = always(status, &error(code, message)).await;
        let error = client(&server, true).register("t", SCHEMA, Some(Instant::now())).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(message), "{error}");
    }
}

/// Confluent gives codes to both, Karapace's 403 has none; Karapace says 40401 of what a reader may not see.
#[tokio::test]
async fn missing_rights_are_named() {
    for (status, body) in [
        (401, error(401, "Unauthorized")),
        (403, error(40301, "User is denied operation Write on Subject: t")),
        (403, json!({"message": "Forbidden"})),
    ] {
        let server = always(status, &body).await;
        let error = client(&server, true).register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(matches!(error, RegisterError::Request(RequestError::Unauthorized { .. })), "{error}");
    }
}

/// Redpanda sorts the attributes of an Avro schema (`avro.cc`, sanitize), Karapace and Confluent print it anew, Apicurio
/// gives the text back as the first one sent it. What we sent is what the id stands for: the text is not compared.
#[tokio::test]
async fn the_text_that_comes_back_may_be_formatted_anew() {
    let found = json!({"subject": "t", "version": 1, "id": 5, "schema": REFORMATTED});
    let server = MockServer::start().await;
    on(&server, "POST", "/subjects/t", 200, &found).await;
    on(&server, "GET", "/subjects/t/versions/1", 200, &found).await;
    let client = client(&server, false);
    assert_eq!(client.register("t", SCHEMA, soon()).await.unwrap(), SchemaId(5));
    assert_eq!(client.version("t", 1, soon()).await.unwrap().unwrap().schema, REFORMATTED);
    assert_eq!(client.version("t", 1, soon()).await.unwrap().unwrap().version, 1);
}

/// Equal texts have one id, in Confluent's registry within a context, but that another subject has a schema says nothing of
/// this one: each subject is asked.
#[tokio::test]
async fn each_subject_is_asked_although_ids_are_shared() {
    let server = MockServer::start().await;
    for subject in ["a", "b"] {
        Mock::given(method("POST"))
            .and(path(format!("/subjects/{subject}/versions")))
            .respond_with(answer(200, &json!({"id": 9})))
            .expect(1)
            .mount(&server)
            .await;
    }
    let client = client(&server, true);
    for subject in ["a", "b", "a", "b"] {
        assert_eq!(client.register(subject, SCHEMA, soon()).await.unwrap(), SchemaId(9));
    }
}

/// Apicurio's own ids are 64 bits wide; the frame has 32. Confluent's are positive 32-bit numbers.
#[tokio::test]
async fn an_id_that_does_not_fit_the_frame_is_refused() {
    for (id, fits) in [(json!(2_147_483_647_u32), true), (json!(4_294_967_296_u64), false), (json!(-1), false)] {
        let server = always(200, &json!({ "id": id })).await;
        let registered = client(&server, true).register("t", SCHEMA, soon()).await;
        assert_eq!(registered.is_ok(), fits, "{registered:?}");
        if let Err(error) = registered {
            assert!(!error.is_transient() && error.to_string().contains("cannot be read"), "{error}");
        }
    }
}

/// A version that was deleted leaves a hole, and a subject that was deleted and comes back goes on counting (Apicurio: `[2]`).
/// A deleted version is 40402, a deleted subject 40401; Confluent's and Karapace's 40404 and 40406 are answers to deletions.
#[tokio::test]
async fn versions_have_holes() {
    let server = MockServer::start().await;
    on(&server, "GET", "/subjects/t/versions", 200, &json!([5, 2, 3])).await;
    on(&server, "GET", "/subjects/t/versions/4", 404, &error(40402, "Version 4 not found.")).await;
    on(&server, "GET", "/subjects/gone/versions", 404, &error(40401, "Subject 'gone' not found.")).await;
    let client = client(&server, true);
    assert_eq!(client.versions("t", soon()).await.unwrap(), [2, 3, 5]);
    assert_eq!(client.version("t", 4, soon()).await.unwrap(), None);
    assert_eq!(client.versions("gone", soon()).await.unwrap(), Vec::<u32>::new());
}

#[tokio::test]
async fn schemas_are_sent_as_they_are() {
    let server = MockServer::start().await;
    for at in ["/subjects/t/versions", "/subjects/t"] {
        Mock::given(method("POST"))
            .and(path(at))
            .and(query_param_is_missing("normalize"))
            // Nothing else: no references.
            .and(body_json(json!({"schema": SCHEMA, "schemaType": "AVRO"})))
            .respond_with(answer(200, &json!({"id": 1})))
            .expect(1)
            .mount(&server)
            .await;
    }
    client(&server, true).register("t", SCHEMA, soon()).await.unwrap();
    client(&server, false).register("t", SCHEMA, soon()).await.unwrap();
}

#[tokio::test]
async fn look_up_only_registers_nothing() {
    for missing in [error(40401, "Subject 't' not found."), error(40403, "Schema not found")] {
        let server = MockServer::start().await;
        Mock::given(path("/subjects/t/versions"))
            .respond_with(answer(200, &json!({"id": 1})))
            .expect(0)
            .mount(&server)
            .await;
        on(&server, "POST", "/subjects/t", 404, &missing).await;
        let client = client(&server, false);
        let error = client.register("t", SCHEMA, soon()).await.unwrap_err();
        assert!(!error.is_transient());
        assert_eq!(
            error.to_string(),
            "subject t: the schema is not registered, and registry.register = false forbids headwater to register it"
        );
        assert!(matches!(&error, RegisterError::NotRegistered { schema, .. } if schema == SCHEMA), "{error:?}");
        // Once somebody has registered it, it is found, and asked for no more.
        server.reset().await;
        Mock::given(path("/subjects/t"))
            .respond_with(answer(200, &json!({"subject": "t", "version": 1, "id": 3, "schema": SCHEMA})))
            .expect(1)
            .mount(&server)
            .await;
        for _ in 0..2 {
            assert_eq!(client.register("t", SCHEMA, soon()).await.unwrap(), SchemaId(3));
        }
    }
}

/// The command registers exactly the schema, whatever quotes are in it.
#[tokio::test]
async fn the_command_that_registers_can_be_run_as_it_is_printed() {
    let server = MockServer::start().await;
    let schema = r#"{"type":"record","name":"r","doc":"it's \"quoted\"","fields":[]}"#;
    Mock::given(method("POST"))
        .and(path("/subjects/a%20b/versions"))
        .and(wiremock::matchers::header("content-type", "application/vnd.schemaregistry.v1+json"))
        .and(body_json(json!({"schema": schema, "schemaType": "AVRO"})))
        .respond_with(answer(200, &json!({"id": 1})))
        .expect(1)
        .mount(&server)
        .await;
    let command = client(&server, false).registration("a b", schema);
    let done = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), r#"{"id":1}"#, "{command}");
}
