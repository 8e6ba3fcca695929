//! headwater proves who it is by a certificate, where the servers ask for one.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use testkit::{Certificates, Kafka, Postgres, shared};

use crate::support::{Neighbours, PATIENCE, Scene, insert_journaled};

/// Lines for the configuration: where the files are.
fn files(ca: &Path, certificate: &Path, key: &Path) -> String {
    format!(
        "sslrootcert = \"{}\"\nsslcert = \"{}\"\nsslkey = \"{}\"",
        ca.display(),
        certificate.display(),
        key.display()
    )
}

#[test]
fn postgres_lets_in_whom_a_certificate_names() -> Result<()> {
    let postgres = Postgres::builder()
        .ssl()
        .hba("hostssl all certified 127.0.0.1/32 cert")
        .hba("hostnossl all certified 127.0.0.1/32 reject")
        .start()?;
    let certificates = postgres.certificates().context("it was started with TLS")?;
    postgres.maintenance().execute("create role certified superuser login; create role other superuser login")?;
    let database = postgres.create_database()?;
    let url = database.url().replace("//postgres@", "//certified@") + "?sslmode=verify-full";
    let neighbours = Neighbours { brokers: shared::kafka().bootstrap(), registry: shared::registry().url(), url };
    let mut scene = Scene::journaled_on("certified", database, neighbours)?;
    let (certificate, key) = certificates.client("certified")?;
    // A path is a path, whatever a URL would make of its letters.
    let odd = certificate.with_file_name("50% a&b=c?.pem");
    std::fs::copy(&certificate, &odd)?;
    scene.source = files(&certificates.ca, &odd, &key);
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.judge().with_context(|| headwater.output())?;
    let user = format!("select usename from pg_stat_replication where application_name = 'headwater:{}'", scene.name);
    assert_eq!(scene.database.value(&user)?, "certified");
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());

    let (other, other_key) = certificates.client("other")?;
    let strangers = Certificates::generate()?;
    let (stranger, stranger_key) = strangers.client("certified")?;
    let none = format!("sslrootcert = \"{}\"", certificates.ca.display());
    for (what, lines, words) in [
        ("no certificate", none, ["certificate", "source.sslcert"]),
        ("another user's", files(&certificates.ca, &other, &other_key), ["certified", "source.sslcert"]),
        ("a stranger's", files(&certificates.ca, &stranger, &stranger_key), ["alert", "source.sslcert"]),
        ("a key that is not its own", files(&certificates.ca, &certificate, &other_key), ["sslkey", "belong together"]),
    ] {
        scene.source = lines;
        let headwater = scene.launch()?;
        let code = headwater.wait_exit(PATIENCE).context(what)?;
        let output = headwater.output();
        ensure!(code == 3, "{what}: ended with {code}\n{output}");
        for word in words {
            ensure!(output.contains(word), "{what}: {word} is missing in\n{output}");
        }
    }
    Ok(())
}

#[test]
fn kafka_lets_in_whom_a_certificate_names() -> Result<()> {
    let kafka = Kafka::builder().ssl().set("ssl.client.auth", "required").start()?;
    let certificates = kafka.certificates().context("it was started with TLS")?;
    let mut scene = Scene::journaled("mutual")?;
    let properties = |more: String| {
        let ca = certificates.ca.display();
        format!("[kafka.properties]\n\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"{ca}\"\n{more}")
    };
    let of = |(certificate, key): (std::path::PathBuf, std::path::PathBuf)| {
        properties(format!(
            "\"ssl.certificate.location\" = \"{}\"\n\"ssl.key.location\" = \"{}\"",
            certificate.display(),
            key.display()
        ))
    };
    scene.neighbours.brokers = kafka.ssl_bootstrap();
    scene.more = of(certificates.client("headwater")?);
    let headwater = scene.start()?;
    insert_journaled(&scene.database, 1, 10)?;
    scene.neighbours.brokers = kafka.bootstrap(); // the judge's own way
    scene.judge().with_context(|| headwater.output())?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());

    scene.neighbours.brokers = kafka.ssl_bootstrap();
    for (what, more) in
        [("no certificate", properties(String::new())), ("a stranger's", of(Certificates::generate()?.client("x")?))]
    {
        scene.more = more;
        let headwater = scene.launch()?;
        let code = headwater.wait_exit(PATIENCE).context(what)?;
        let output = headwater.output();
        ensure!(code == 3, "{what}: ended with {code}\n{output}");
        for word in ["certificate", "ssl.certificate.location", "[kafka.properties]"] {
            ensure!(output.contains(word), "{what}: {word} is missing in\n{output}");
        }
    }
    Ok(())
}
