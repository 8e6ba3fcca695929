//! Whatever is wrong is said in one sentence with the next step, with the exit code that was promised, and without a
//! secret.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use anyhow::{Result, ensure};
use testkit::{Headwater, Postgres, http};

use crate::support::{BINARY, PATIENCE, Scene, insert_journaled};

/// Ends with this code and says all of these words.
fn ends(scene: &Scene, code: i32, words: &[&str]) -> Result<String> {
    let headwater = scene.launch()?;
    let seen = headwater.wait_exit(PATIENCE)?;
    let output = headwater.output();
    ensure!(seen == code, "exit code {seen} instead of {code}:\n{output}");
    says(&output, words)?;
    Ok(output)
}

/// A sentence, a next step, no trace of a panic.
fn says(output: &str, words: &[&str]) -> Result<()> {
    for word in words.iter().chain(&["error: ", "help: "]) {
        ensure!(output.contains(word), "{word:?} is missing in:\n{output}");
    }
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        ensure!(!output.contains(word), "{word:?} is in:\n{output}");
    }
    Ok(())
}

/// A server that wants a password from the role `guarded`.
pub(crate) fn guarded_postgres(password: &str) -> Result<Postgres> {
    let postgres = Postgres::builder().hba("host all guarded 127.0.0.1/32 scram-sha-256").start()?;
    let role = format!("create role guarded superuser login replication password '{password}'");
    postgres.maintenance().execute(&role)?;
    Ok(postgres)
}

/// A registry that answers everything with this status.
pub(crate) fn grumpy_registry(status: &'static str) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 16 * 1024];
            let body = r#"{"error_code":40101,"message":"no such user"}"#;
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // a client that went away needs no answer
            if stream.read(&mut request).is_ok() {
                stream.write_all(answer.as_bytes()).ok();
            }
        }
    });
    Ok(port)
}

#[test]
fn a_wrong_password_is_said() -> Result<()> {
    let postgres = guarded_postgres("right-one")?;
    let mut scene = Scene::journaled("password")?;
    scene.database = postgres.create_database()?;
    scene.database.execute(
        "create table items (id bigint primary key, version bigint not null, note text);
        create table journal (xid bigint, changes bigint)",
    )?;
    let address = format!("127.0.0.1:{}/{}", scene.database.port(), scene.database.name);
    scene.neighbours.url = format!("postgres://guarded:wrong-one@{address}");
    let output = ends(&scene, 3, &["password authentication failed", "guarded", "check `password`"])?;
    ensure!(!output.contains("wrong-one"), "{output}");
    scene.neighbours.url = format!("postgres://guarded@{address}");
    scene.source = "password = \"right-one\"".to_owned();
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 3)?;
    scene.judge()?;
    ensure!(!headwater.output().contains("right-one"), "{}", headwater.output());
    Ok(())
}

#[test]
fn a_server_without_logical_decoding_is_said() -> Result<()> {
    let postgres = Postgres::builder().set("wal_level", "replica").start()?;
    let mut scene = Scene::journaled("replica")?;
    scene.database = postgres.create_database()?;
    scene.neighbours.url = scene.database.url();
    ends(&scene, 3, &["wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'"]).map(drop)
}

#[test]
fn a_mistyped_table_is_said() -> Result<()> {
    let mut scene = Scene::new("typo", "create table orders (id int primary key)")?;
    scene.tables = vec!["public.ordrs".to_owned()];
    ends(&scene, 3, &["there is no table public.ordrs", "did you mean public.orders?"]).map(drop)
}

#[test]
fn a_mistyped_key_is_said_with_its_place() -> Result<()> {
    let mut scene = Scene::journaled("key")?;
    scene.kafka = "delivry = \"exactly-once\"".to_owned();
    let line = scene.config().lines().position(|line| line.starts_with("delivry")).unwrap_or_default() + 1;
    ends(&scene, 2, &["delivry", "delivery", &format!("headwater.toml:{line}:")]).map(drop)
}

#[test]
fn a_broker_out_of_reach_is_said_and_waited_for() -> Result<()> {
    let mut scene = Scene::journaled("nobroker")?;
    let port = testkit::Port::reserve()?;
    scene.neighbours.brokers = format!("127.0.0.1:{}", port.number());
    let headwater = scene.launch()?;
    testkit::eventually(PATIENCE, "a reason in /readyz", || {
        let ready = http::get(headwater.admin_port(), "/readyz")?;
        ensure!(ready.status == 503 && ready.body.contains("kafka"), "{} {}", ready.status, ready.body);
        Ok(())
    })?;
    assert_eq!(http::get(headwater.admin_port(), "/healthz")?.status, 200);
    let output = headwater.output();
    ensure!(output.contains(&scene.neighbours.brokers), "the broker's address is missing:\n{output}");
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(())
}

#[test]
fn a_registry_that_refuses_us_is_said() -> Result<()> {
    let mut scene = Scene::journaled("grumpy")?;
    scene.neighbours.registry = format!("http://127.0.0.1:{}", grumpy_registry("401 Unauthorized")?);
    ends(&scene, 3, &["401", "public.items", "registry.username"]).map(drop)
}

#[test]
fn an_illegal_topic_prefix_is_said() -> Result<()> {
    let scene = Scene::journaled("prefix")?;
    let headwater = Headwater::start(
        BINARY,
        &scene.config().replace(&format!("topic_prefix = \"{}\"", scene.name), "topic_prefix = \"with space\""),
    )?;
    assert_eq!(headwater.wait_exit(PATIENCE)?, 2, "{}", headwater.output());
    let output = headwater.output();
    for word in ["headwater.toml:11:", "`kafka.topic_prefix`:", "with space", "only letters, digits"] {
        ensure!(output.contains(word), "{word:?} is missing in:\n{output}");
    }
    Ok(())
}
