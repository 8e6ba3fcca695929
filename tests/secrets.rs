//! Secrets reach the servers they are meant for, and nobody else.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use testkit::{Headwater, Kafka, eventually};

use crate::bad_input::{grumpy_registry, guarded_postgres};
use crate::support::{BINARY, PATIENCE, Scene, insert_journaled};

const IN_URL: &str = "hunter2-in-the-url";
const PASSWORD: &str = "hunter2-password";
const SASL: &str = "hunter2-sasl";
const KEY: &str = "hunter2-key";
const REGISTRY: &str = "hunter2-registry";
/// What all of them have.
const SECRET: &str = "hunter2";
const VARIABLES: [(&str, &str); 3] = [("TEST_PASSWORD", PASSWORD), ("TEST_SASL", SASL), ("TEST_REGISTRY", REGISTRY)];
const PROPERTIES: &str = "\"sasl.password\" = \"${env:TEST_SASL}\"\n\"ssl.key.password\" = \"hunter2-key\"";

fn clean(output: &str, of: &str) -> Result<()> {
    let line = output.lines().find(|line| line.contains(SECRET));
    ensure!(line.is_none(), "{of} shows a secret: {}", line.unwrap_or_default());
    Ok(())
}

/// Runs it until it stands still, and looks at everything that it shows anywhere.
fn run(config: &str, what: &str) -> Result<Headwater> {
    let headwater = Headwater::start_with(BINARY, config, |command| {
        command.args(["--log-level", "trace"]).envs(VARIABLES);
    })?;
    eventually(PATIENCE, "an end or a reason", || {
        if headwater.process().exited()?.is_some() {
            return Ok(());
        }
        let status = headwater.status()?;
        ensure!(!status["reason"].is_null() || status["state"] == "streaming", "{status}");
        for page in ["/status", "/metrics", "/"] {
            clean(&headwater.get(page)?, page)?;
        }
        Ok(())
    })?;
    ensure!(headwater.output().len() > 100, "trace shows more than this: {}", headwater.output());
    clean(&headwater.output(), what)?;
    Ok(headwater)
}

/// Every other verb with the same file.
fn verbs(headwater: &Headwater, what: &str) -> Result<()> {
    let config = headwater.config().display().to_string();
    let all: [&'static [&'static str]; 7] = [
        &["config", "check"],
        &["config", "check", "--output", "json"],
        &["doctor"],
        &["doctor", "--output", "json"],
        &["checkpoint", "show"],
        &["accept", "gap"],
        &["accept", "identity", "--yes"],
    ];
    // All at once: with a neighbour away each has to wait for it.
    let start = |verb: &'static [&'static str]| {
        let mut command = Command::new(BINARY);
        command.args(verb).args(["-c", &config, "--log-level", "trace"]).envs(VARIABLES);
        (verb, std::thread::spawn(move || command.output()))
    };
    for (verb, running) in all.map(start) {
        let done = running.join().map_err(|_| anyhow::anyhow!("{verb:?}: the thread panicked"))??;
        for output in [&done.stdout, &done.stderr] {
            clean(&String::from_utf8_lossy(output), &format!("{verb:?}, {what}"))?;
        }
    }
    Ok(())
}

#[test]
fn secrets_never_appear() -> Result<()> {
    let postgres = guarded_postgres("another")?;
    let nobody = testkit::Port::reserve()?;
    let mut scene = Scene::journaled("secrets")?;
    let good = scene.neighbours.clone();
    scene.source = "password = \"${env:TEST_PASSWORD}\"".to_owned();
    let user = format!("username = \"me\"\npassword = \"${{env:TEST_REGISTRY}}\"\n[kafka.properties]\n{PROPERTIES}\n");
    let token = format!("token = \"${{env:TEST_REGISTRY}}\"\n[kafka.properties]\n{PROPERTIES}\n");
    let open = format!("postgres://postgres:{IN_URL}@127.0.0.1:{}/{}", scene.database.port(), scene.database.name);
    let guarded = format!("postgres://guarded:{IN_URL}@127.0.0.1:{}/postgres", postgres.port());
    let refusing = format!("http://127.0.0.1:{}", grumpy_registry("401 Unauthorized")?);
    let away = format!("127.0.0.1:{}", nobody.number());
    let cases = [
        ("all is well", &open, &good.brokers, &good.registry),
        ("no broker", &open, &away, &good.registry),
        ("wrong password", &guarded, &good.brokers, &good.registry),
        ("registry refuses", &open, &good.brokers, &refusing),
    ];
    for (number, (what, url, brokers, registry)) in cases.into_iter().enumerate() {
        (scene.neighbours.url, scene.neighbours.brokers) = (url.clone(), brokers.clone());
        scene.neighbours.registry.clone_from(registry);
        scene.more = if number % 2 == 0 { user.clone() } else { token.clone() };
        let headwater = run(&scene.config(), what)?;
        verbs(&headwater, what)?;
    }
    // A mistake beside a secret, in a flag and in the file.
    let (_, output) = crate::support::command(&["run", "--source-url", &format!("mysql://me:{IN_URL}@h/d")])?;
    clean(&output, "a wrong flag")?;
    scene.more = format!("pasword = \"{REGISTRY}\"\n[kafka.properties]\n\"ssl.key.password\" = [\"{KEY}\"]\n");
    clean(&scene.launch().and_then(|it| it.wait_exit(PATIENCE).map(|_| it.output()))?, "a wrong file")
}

#[test]
fn brokers_with_passwords_and_tls_are_served() -> Result<()> {
    let kafka = Kafka::builder().sasl("writer", SASL).ssl().start()?;
    let mut scene = Scene::journaled("secure")?;
    let ca = kafka.certificates().context("it was started with TLS")?.ca.display().to_string();
    let sasl = |mechanism: &str, password: &str| {
        format!(
            "[kafka.properties]\n\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"{mechanism}\"\n\
             \"sasl.username\" = \"writer\"\n\"sasl.password\" = \"{password}\""
        )
    };
    let ways = [
        (kafka.sasl_bootstrap(), sasl("PLAIN", SASL)),
        (kafka.sasl_bootstrap(), sasl("SCRAM-SHA-256", SASL)),
        (kafka.sasl_bootstrap(), sasl("SCRAM-SHA-512", SASL)),
        (
            kafka.ssl_bootstrap(),
            format!("[kafka.properties]\n\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"{ca}\""),
        ),
    ];
    for (number, (brokers, properties)) in ways.into_iter().enumerate() {
        (scene.neighbours.brokers, scene.more) = (brokers, properties);
        let headwater = scene.start()?;
        insert_journaled(&scene.database, 1 + 10 * number as u64, 10)?;
        scene.neighbours.brokers = kafka.bootstrap(); // the judge's own way
        scene.judge().with_context(|| headwater.output())?;
        assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
        clean(&headwater.output(), "a secured broker")?;
    }
    // Refused is said, and waited for: a password may be changed on the broker's side too.
    scene.neighbours.brokers = kafka.sasl_bootstrap();
    scene.more = sasl("SCRAM-SHA-256", "hunter2-wrong");
    let headwater = scene.launch()?;
    eventually(PATIENCE, "the refusal", || {
        let output = headwater.output();
        ensure!(output.to_lowercase().contains("authentication"), "{output}");
        Ok(())
    })?;
    clean(&headwater.output(), "a refused login")
}
