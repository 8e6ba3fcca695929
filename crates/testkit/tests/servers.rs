//! The kit's own promises: servers start, restart with their content, and never outlive the test process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use testkit::process::{is_alive, peak_rss};
use testkit::proxy::{Direction, Proxy};
use testkit::{Kafka, Postgres, Process, Registry, StopMode, eventually, shared};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn postgres_keeps_its_data_over_a_restart_and_a_kill() -> Result<()> {
    let server = Postgres::start()?;
    let database = server.create_database()?;
    database.execute("CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'é'), (2, NULL)")?;
    server.restart()?;
    let rows = database.query("SELECT * FROM t ORDER BY id")?;
    assert_eq!(rows, [vec![Some("1".to_owned()), Some("é".to_owned())], vec![Some("2".to_owned()), None]]);
    server.kill()?;
    server.start_again()?;
    assert_eq!(database.value("SELECT count(*) FROM t")?, "2");
    assert_eq!(database.value("SHOW wal_level")?, "logical");
    let pid = server.pid().context("it runs")?;
    drop((database, server));
    ensure!(!is_alive(pid), "PostgreSQL {pid} is left");
    Ok(())
}

#[test]
fn postgres_takes_settings_tls_and_the_socket() -> Result<()> {
    let server = Postgres::builder().set("max_replication_slots", "3").ssl().own_identity().start()?;
    let database = server.create_database()?;
    assert_eq!(database.value("SHOW max_replication_slots")?, "3");
    assert_eq!(database.value("SHOW ssl")?, "on");
    database.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")?;
    let socket: tokio_postgres::Config = database.socket_url().parse()?;
    assert_eq!(socket.get_dbname(), Some(database.name.as_str()));
    let name = database.name.clone();
    drop(database);
    let left = server.maintenance().query(&format!("SELECT 1 FROM pg_database WHERE datname = '{name}'"))?;
    ensure!(left.is_empty(), "the database and its slot are left");
    server.stop(StopMode::Immediate)?;
    assert_eq!(server.pid(), None);
    Ok(())
}

#[test]
fn kafka_and_registry_restart_with_their_content() -> Result<()> {
    let registry = Registry::start()?;
    let id = registry.register("s-value", r#"{"type":"record","name":"r","fields":[{"name":"a","type":"long"}]}"#)?;
    registry.set_level(None, "BACKWARD")?;
    registry.restart()?;
    assert_eq!(registry.subjects()?, ["s-value"]);
    assert_eq!(registry.latest("s-value")?.0, id);
    let pid = registry.pid().context("it runs")?;
    ensure!(peak_rss(pid)? > 1 << 20, "a Java machine of less than a megabyte");
    drop(registry);
    ensure!(!is_alive(pid), "the registry {pid} is left");
    Ok(())
}

#[test]
fn shared_servers_start_side_by_side() {
    let begin = Instant::now();
    let servers = shared::all();
    println!("PostgreSQL, Kafka and the registry: {:?}", begin.elapsed());
    assert!(servers.kafka.pid().is_some() && servers.registry.pid().is_some() && servers.postgres.pid().is_some());
}
