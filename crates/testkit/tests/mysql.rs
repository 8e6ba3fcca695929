//! The kit's promises for MySQL and MariaDB: each starts, keeps its rows and their binlog, and leaves no process.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, SslOpts};
use testkit::process::{is_alive, peak_rss};
use testkit::{Flavour, MySql, shared, wait};

/// Every server through its life: a row, a restart, a kill, an end.
fn lives(flavour: Flavour, version: &str) -> Result<()> {
    let begin = Instant::now();
    let server = MySql::start(flavour)?;
    println!("{} ready after {:?}", server.version()?, begin.elapsed());
    // another one is what unstable has by now: `scripts/setup.sh` said so when it took it
    ensure!(
        flavour != Flavour::MariaDb || server.version()?.starts_with(version),
        "{} is not {version}",
        server.version()?
    );
    ensure!(server.version()?.contains("MariaDB") == flavour.is_mariadb(), "{} is no {flavour:?}", server.version()?);
    let database = server.create_database()?;
    // the text in the row is not the text in the statement, which MariaDB logs beside it
    let insert = "INSERT INTO t VALUES (1, CONCAT('gre', 'en')), (2, NULL)";
    database.execute(&format!("CREATE TABLE t (id int PRIMARY KEY, note text); {insert}"))?;
    server.restart()?;
    let rows = database.query("SELECT * FROM t ORDER BY id")?;
    assert_eq!(rows, [vec![Some("1".to_owned()), Some("green".to_owned())], vec![Some("2".to_owned()), None]]);
    let events = database.query("SHOW BINLOG EVENTS IN 'bin.000001'")?;
    let table = format!("({}.t)", database.name);
    let mapped = events.iter().position(|event| event.iter().flatten().any(|text| text.contains(&table)));
    let mapped = mapped.with_context(|| format!("no table map of {table} in {events:?}"))?;
    let kind = events.get(mapped + 1).and_then(|event| event[2].clone()).context("nothing after the table map")?;
    ensure!(kind.starts_with("Write_rows"), "{kind} after the table map");
    let binlog = fs::read(server.data_dir().join("bin.000001"))?;
    ensure!(binlog.windows(5).any(|bytes| bytes == b"green"), "the row is not in the binlog");
    database.execute("INSERT INTO t VALUES (3, 'grün')")?;
    let identity = database.value("SELECT @@server_id")?;
    server.kill()?;
    server.start_again()?;
    assert_eq!(database.value("SELECT note FROM t WHERE id = 3")?, "grün");
    assert_eq!(database.value("SELECT @@server_id")?, identity);
    let pid = server.pid().context("it runs")?;
    println!("{flavour:?}: {} MiB", peak_rss(pid)? >> 20);
    server.stop()?;
    assert_eq!(server.pid(), None);
    ensure!(!is_alive(pid), "{flavour:?} {pid} is left after its stop");
    server.start_again()?;
    let pid = server.pid().context("it runs")?;
    drop((database, server));
    ensure!(!is_alive(pid), "{flavour:?} {pid} is left");
    Ok(())
}

#[test]
fn mysql_keeps_its_data_over_a_restart_and_a_kill() -> Result<()> {
    lives(Flavour::MySql, "9.7")
}

#[test]
fn mariadb_keeps_its_data_over_a_restart_and_a_kill() -> Result<()> {
    lives(Flavour::MariaDb, "10.11")
}

#[test]
fn the_newer_mariadb_keeps_its_data_over_a_restart_and_a_kill() -> Result<()> {
    lives(Flavour::MariaDbUnstable, "11.8")
}

#[test]
fn shared_servers_log_rows_with_global_ids_and_their_databases_go() -> Result<()> {
    for flavour in Flavour::ALL {
        let server = shared::mysql(flavour);
        let global = if flavour.is_mariadb() { "@@gtid_strict_mode" } else { "@@gtid_mode = 'ON'" };
        let settings = format!("SELECT @@binlog_format, @@binlog_row_metadata, {global}");
        let set = server.maintenance().query(&settings)?.concat();
        assert_eq!(set, ["ROW", "FULL", "1"].map(|text| Some(text.to_owned())), "{flavour:?}");
        let database = server.create_database()?;
        let name = database.name.clone();
        database.execute("CREATE TABLE t (id int PRIMARY KEY) ENGINE = InnoDB")?;
        let mut open = database.connect_sync()?;
        let open = wait(async move {
            open.query_drop("START TRANSACTION; INSERT INTO t VALUES (1)").await?;
            mysql_async::Result::Ok(open)
        })?;
        // in spite of the open transaction
        drop(database);
        let left = server.maintenance().query(&format!("SHOW DATABASES LIKE '{name}'"))?;
        ensure!(left.is_empty(), "{flavour:?}: {name} is left");
        drop(open);
        ensure!(server.maintenance().execute("SELECT * FROM not_there").is_err(), "{flavour:?}: no error");
        ensure!(server.maintenance().query("SELECT x'ff'").is_err(), "{flavour:?}: bytes as text");
    }
    let ids = Flavour::ALL.map(|flavour| shared::mysql(flavour).maintenance().value("SELECT @@server_id").ok());
    ensure!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "servers share an id: {ids:?}");
    Ok(())
}

#[test]
fn users_prove_themselves_by_their_plugin_and_tls_is_signed() -> Result<()> {
    for flavour in Flavour::ALL {
        let server = MySql::builder(flavour).set("max-connections", "77").ssl().start()?;
        let database = server.create_database()?;
        assert_eq!(database.value("SELECT @@max_connections")?, "77");
        let plugin = if flavour.is_mariadb() { "mysql_native_password" } else { "caching_sha2_password" };
        server.create_user("reader", plugin, "secret")?;
        let maintenance = server.maintenance();
        maintenance.execute(&format!("GRANT SELECT ON {}.* TO reader", database.name))?;
        if flavour == Flavour::MariaDbUnstable {
            server.create_user("modern", "ed25519", "secret")?;
            assert_eq!(maintenance.value("SELECT plugin FROM mysql.user WHERE user = 'modern'")?, "ed25519");
        }
        let ca = server.certificates().context("it has some")?.ca.clone();
        let tls = SslOpts::default().with_root_certs(vec![ca.into()]);
        let options = database.options().user(Some("reader"));
        for (password, tls, right) in
            [("secret", None, true), ("secret", Some(tls.clone()), true), ("wrong", Some(tls), false)]
        {
            let (options, secure) = (options.clone().pass(Some(password)).ssl_opts(tls.clone()), tls.is_some());
            let seen: mysql_async::Result<Option<(String, String)>> = wait(async move {
                Conn::new(options).await?.query_first("SHOW SESSION STATUS LIKE 'Ssl_version'").await
            });
            match seen {
                Ok(Some((_, version))) if right => assert_eq!(version.starts_with("TLS"), secure, "{flavour:?}"),
                Err(mysql_async::Error::Server(error)) if !right => assert_eq!(error.code, 1045, "{flavour:?}"),
                other => panic!("{flavour:?}, password {password}, TLS {secure}: {other:?}"),
            }
        }
    }
    Ok(())
}
