//! The kit's own promises: servers start, restart with their content, and never outlive the test process.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;
use testkit::process::{is_alive, peak_rss};
use testkit::proxy::{Direction, END_TXN, Fault, Proxy};
use testkit::{Flavour, Kafka, MySql, Oracle, Postgres, Process, Registry, StopMode, eventually, shared};

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
fn the_registry_keeps_its_ids_over_a_restart() -> Result<()> {
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

#[test]
fn the_oracle_sees_what_is_committed_and_decodes_it() -> Result<()> {
    let servers = shared::all();
    let schema = r#"{"type":"record","name":"v","fields":[
        {"name":"op","type":"string"},
        {"name":"n","type":["null",{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}]},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}}]}"#;
    let id = servers.registry.register("oracle-value", schema)?;
    servers.kafka.create_topic("oracle", 2, &[("retention.ms", "-1")])?;
    let mut config = servers.kafka.client();
    let producer: BaseProducer = config.set("transactional.id", "oracle").create()?;
    producer.init_transactions(SOON)?;
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(id)?.to_be_bytes());
    // "c"; branch 1, two bytes 0xff38 = -200; 1 microsecond (zigzag 2)
    body.extend_from_slice(&[2, b'c', 2, 4, 0xff, 0x38, 2]);
    for commit in [false, true] {
        producer.begin_transaction()?;
        let record = BaseRecord::<(), [u8]>::to("oracle").payload(&body).partition(1);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(SOON)?;
        if commit { producer.commit_transaction(SOON)? } else { producer.abort_transaction(SOON)? }
    }
    let oracle = Oracle::new(servers.kafka, servers.registry);
    let events = oracle.wait_for_count("oracle", 1, SOON)?;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].value, Some(json!({"op": "c", "n": "-2.00", "at": "1970-01-01 00:00:00.000001+00"})));
    assert_eq!(oracle.count_uncommitted("oracle")?, 2);
    assert_eq!(oracle.read("not-there")?, []);
    Ok(())
}

#[test]
fn kafka_restarts_and_its_proxy_loses_the_answer_of_a_commit() -> Result<()> {
    let kafka = Kafka::builder().proxied().sasl("alice", "secret").ssl().start()?;
    kafka.create_topic("kept", 1, &[])?;
    kafka.restart()?;
    assert_eq!(kafka.topics("k")?, ["kept"]);
    let mut config = kafka.client();
    config.set("bootstrap.servers", kafka.proxied_bootstrap()).set("transactional.id", "t");
    let producer: BaseProducer = config.create()?;
    producer.init_transactions(SOON)?;
    producer.begin_transaction()?;
    producer.send(BaseRecord::<(), str>::to("kept").payload("x")).map_err(|(error, _)| error)?;
    producer.flush(SOON)?;
    kafka.proxy().on_api(END_TXN, 1, Fault::CutAfter);
    producer.commit_transaction(SOON)?;
    assert_eq!(kafka.proxy().faults_left(END_TXN), 0);
    ensure!(kafka.proxy().requests(END_TXN) >= 2, "the client did not ask again");
    let mut config = kafka.client();
    config.set("bootstrap.servers", kafka.sasl_bootstrap()).set("security.protocol", "sasl_plaintext");
    config.set("sasl.username", "alice").set("sasl.password", "secret");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let client: BaseConsumer = config.set("sasl.mechanism", mechanism).create()?;
        client.fetch_metadata(None, SOON).context(mechanism)?;
    }
    let ca = kafka.certificates().context("it has some")?.ca.display().to_string();
    let mut config = kafka.client();
    config.set("bootstrap.servers", kafka.ssl_bootstrap()).set("security.protocol", "ssl").set("ssl.ca.location", ca);
    let client: BaseConsumer = config.create()?;
    client.fetch_metadata(None, SOON).context("TLS")?;
    let pid = kafka.pid().context("it runs")?;
    drop(kafka);
    ensure!(!is_alive(pid), "Kafka {pid} is left");
    Ok(())
}

/// A server that sends back what it gets.
fn echo() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let (mut from, mut to) = (&stream, &stream);
                // an error here is a connection that the proxy cut, as it should
                std::io::copy(&mut from, &mut to).ok();
            });
        }
    });
    Ok(port)
}

fn exchange(stream: &mut TcpStream, text: &str) -> Result<()> {
    stream.write_all(text.as_bytes())?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    ensure!(back == text.as_bytes(), "sent {text:?}, got {back:?}");
    Ok(())
}

#[test]
fn the_proxy_breaks_connections_in_every_way_and_mends_them() -> Result<()> {
    let proxy = Proxy::start(echo()?)?;
    let connect = || -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port()))?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        Ok(stream)
    };
    let mut stream = connect()?;
    exchange(&mut stream, "plain")?;
    assert_eq!((proxy.bytes(Direction::Up), proxy.bytes(Direction::Down)), (5, 5));
    proxy.cut()?;
    ensure!(exchange(&mut stream, "cut").is_err(), "a cut connection works");
    let mut stream = connect()?;
    exchange(&mut stream, "again")?;
    proxy.stall();
    ensure!(exchange(&mut stream, "late").is_err(), "a stalled connection works");
    proxy.resume()?;
    let mut late = [0; 4];
    stream.read_exact(&mut late)?;
    assert_eq!(&late, b"late");
    proxy.delay(Direction::Down, Duration::from_millis(100));
    let begin = Instant::now();
    exchange(&mut stream, "slow")?;
    ensure!(begin.elapsed() >= Duration::from_millis(100), "no delay: {:?}", begin.elapsed());
    proxy.resume()?;
    proxy.half_open();
    ensure!(exchange(&mut stream, "lost").is_err(), "a half-open connection works");
    proxy.refuse()?;
    ensure!(connect().is_err(), "a refused connection works");
    proxy.resume()?;
    let mut stream = connect()?;
    proxy.cut_after(3);
    ensure!(exchange(&mut stream, "budget").is_err(), "a connection without budget works");
    eventually(SOON, "no connection", || match proxy.connections() {
        0 => Ok(()),
        left => Err(format!("{left} connections")),
    })?;
    exchange(&mut connect()?, "end")
}

/// Not a test by itself: what the next test starts, and kills.
#[test]
fn helper_that_is_killed() -> Result<()> {
    let Some(path) = std::env::var_os("TESTKIT_HELPER") else { return Ok(()) };
    let server = Postgres::start()?;
    // started through a loader, in case that changes who gets the signal
    let other = MySql::start(Flavour::MariaDbUnstable)?;
    let pids = format!("{} {}", server.pid().context("it runs")?, other.pid().context("it runs")?);
    // whole at once, as the other process may look at any time
    std::fs::write(Path::new(&path).with_extension("half"), pids)?;
    std::fs::rename(Path::new(&path).with_extension("half"), path)?;
    loop {
        std::thread::park();
    }
}

#[test]
fn servers_die_with_a_test_process_that_is_killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let told = folder.path().join("pid");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--exact", "helper_that_is_killed"]).env("TESTKIT_HELPER", &told);
    let helper = Process::spawn("helper", command, &folder.path().join("log"))?;
    let mut servers: Vec<u32> = Vec::new();
    helper.wait_ready(Duration::from_secs(60), || {
        servers = std::fs::read_to_string(&told)?.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        anyhow::Ok(())
    })?;
    ensure!(
        servers.len() == 2 && servers.iter().all(|pid| is_alive(*pid)),
        "the helper's servers do not run: {servers:?}"
    );
    helper.kill()?;
    eventually(SOON, "the servers to die", || match servers.iter().find(|pid| is_alive(**pid)) {
        Some(pid) => Err(anyhow!("{pid} of {servers:?} lives")),
        None => Ok(()),
    })
}
