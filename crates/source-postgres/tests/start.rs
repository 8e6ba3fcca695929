//! Starting against a real server: every refusal is one sentence with the next step, and every way in works.

mod common;

use change::Source;
use change::{Position, Resume, SourceError};
use common::{Server, certificates, changes, commits, read_until, resume, source, started, stop};
use secrecy::SecretString;

#[test]
fn what_cannot_work_is_refused_with_the_next_step() {
    let server = Server::logical();
    server.sql("create table orders (id int primary key)");
    let (what, help) = stop(source(&server.config(&["public.order"])).start(None));
    assert_eq!(
        (what.as_str(), help.as_str()),
        ("tables: there is no table public.order", "did you mean public.orders?")
    );
    server.sql("create table bare (id int)");
    let (what, help) = stop(source(&server.config(&["public.*"])).start(None));
    assert!(what.contains("public.bare has no primary key"), "{what}");
    assert!(help.contains("ALTER TABLE public.bare REPLICA IDENTITY FULL;"), "{help}");
    server.sql("create view v as select 1; create unlogged table un (id int primary key)");
    assert!(stop(source(&server.config(&["public.v"])).start(None)).0.contains("is a view"));
    assert!(stop(source(&server.config(&["public.un"])).start(None)).0.contains("is unlogged"));
    server.sql(
        "create materialized view mv as select 1; create extension file_fdw; create server f foreign data wrapper file_fdw; \
         create foreign table ft (l text) server f options (filename '/dev/null'); create sequence sq",
    );
    for (name, why) in [
        ("mv", "public.mv is a view: capture the tables that it reads"),
        ("ft", "public.ft is a foreign table: capture it where it lives"),
        ("sq", "there is no table public.sq"),
    ] {
        let (what, help) = stop(source(&server.config(&[&format!("public.{name}")])).start(None));
        assert!(what.contains(why) && !help.is_empty(), "{what}; {help}");
    }
    // Nothing was made on the way.
    assert_eq!(server.sql("select count(*) from pg_publication"), "0");
    assert_eq!(server.sql("select count(*) from pg_replication_slots"), "0");
    // Wildcards pass over what nobody asked for.
    let (_, begun) = started(&server.config(&["public.*", "!public.bare"]), None);
    assert_eq!(begun.tables.len(), 1);
}

#[test]
fn gaps_and_strangers_are_refused() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    let config = server.config(&["public.*"]);
    let (mut stream, begun) = started(&config, None);
    stream.close().unwrap();
    let at = |position: &str, identity: &str| Resume {
        position: Position::new(position),
        server_identity: identity.to_owned(),
        progress: Default::default(),
    };
    let identity = &begun.info.server_identity;
    assert!(stop(source(&config).start(Some(&at("0/1", "1/1")))).0.contains("another server"));
    assert!(stop(source(&config).start(Some(&at("FF/0", identity)))).0.contains("behind the checkpoint"));
    assert!(stop(source(&config).start(Some(&at("0/1", identity)))).0.contains("ahead of the checkpoint"));
    assert!(source_postgres::drop_slot(&config).unwrap());
    let (what, _) = stop(source(&config).start(Some(&resume(&begun.position, &begun))));
    assert!(what.contains("slot hw is gone"), "{what}");
    server.sql("select pg_create_logical_replication_slot('hw', 'test_decoding')");
    assert!(stop(source(&config).start(None)).0.contains("another plugin"));
}

#[test]
fn wal_level_and_rights() {
    let server = Server::start(&["wal_level=replica"]);
    server.sql("create table t (id int primary key)");
    let (what, help) = stop(source(&server.config(&["public.*"])).start(None));
    assert!(what.contains("wal_level is replica") && help.contains("ALTER SYSTEM SET wal_level"), "{what}");
    let server = Server::logical();
    server.sql("create table t (id int primary key); create role plain login; create role repl login replication; grant select on t to repl");
    let mut config = server.config(&["public.*"]);
    config.url = server.url("plain", "sslmode=disable");
    let (what, help) = stop(source(&config).start(None));
    assert!(what.contains("role plain may not read the log") && help == "ALTER ROLE plain REPLICATION;", "{what}");
    config.url = server.url("repl", "sslmode=disable");
    let (what, help) = stop(source(&config).start(None));
    assert!(what.contains("publication hw is missing"), "{what}");
    assert!(help.contains("CREATE PUBLICATION hw FOR TABLE public.t;"), "{help}");
    server.sql("CREATE PUBLICATION hw FOR TABLE public.t");
    let (mut stream, _) = started(&config, None);
    server.sql("insert into t values (7)");
    assert_eq!(changes(&read_until(&mut stream, commits(1))), ["1/1 insert t - (7)"]);
    config.url = server.url("postgres", "sslmode=disable").replace("/postgres?", "/nowhere?");
    assert!(stop(source(&config).start(None)).0.contains("3D000"));
}

#[test]
fn every_way_to_log_in() {
    let server = Server::logical();
    server.sql("create table t (id int primary key)");
    server.sql("set password_encryption = 'md5'; create role m superuser login password 'pä ss'");
    server.sql("create role s superuser login password 'geheim'; create role c superuser login password 'klar'");
    server.hba(
        "local all all trust\nhost all m 127.0.0.1/32 md5\nhost all s 127.0.0.1/32 scram-sha-256\n\
         host all c 127.0.0.1/32 password\nhost all postgres 127.0.0.1/32 trust\n",
    );
    let mut config = server.config(&["public.*"]);
    for (user, password) in [("postgres", None), ("m", Some("pä ss")), ("s", Some("geheim")), ("c", Some("klar"))] {
        config.url = server.url(user, "sslmode=disable");
        config.password = password.map(|password| SecretString::from(password.to_owned()));
        let (mut stream, _) = started(&config, None);
        stream.close().unwrap();
        if password.is_some() {
            config.password = Some(SecretString::from("falsch".to_owned()));
            let (what, help) = stop(source(&config).start(None));
            assert!(what.contains("28P01") && help.contains("password") && !what.contains("falsch"), "{what}");
            config.password = None;
            assert!(stop(source(&config).start(None)).0.contains("none is configured"));
        }
    }
    config.password = None;
    for url in [
        format!("postgres://postgres@/postgres?host={}&port={}", server.directory.path().display(), server.port),
        format!(
            "postgres://postgres@{}:{}/postgres",
            server.directory.path().to_str().unwrap().replace('/', "%2F"),
            server.port
        ),
    ] {
        config.url = url;
        let (mut stream, _) = started(&config, None);
        server.sql("insert into t select coalesce(max(id), 0) + 1 from t");
        read_until(&mut stream, commits(1));
        stream.close().unwrap();
    }
}

#[test]
fn tls_proves_what_its_mode_says() {
    let mut server = Server::logical();
    server.sql("create table t (id int primary key); create role s superuser login password 'geheim'");
    let mut config = server.config(&["public.*"]);
    config.url = server.url("postgres", "sslmode=require");
    assert!(stop(source(&config).start(None)).0.contains("does not speak TLS"));
    config.url = server.url("postgres", "sslmode=prefer");
    started(&config, None).0.close().unwrap();
    let home = server.directory.path().to_path_buf();
    certificates(&home, "localhost");
    server.halt();
    let conf = format!("ssl=on\nssl_cert_file='{0}/server.crt'\nssl_key_file='{0}/server.key'\n", home.display());
    let file = server.data().join("postgresql.conf");
    let old = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, old + &conf).unwrap();
    server.boot();
    server.hba("local all all trust\nhostssl all s 127.0.0.1/32 scram-sha-256\n");
    config.password = Some(SecretString::from("geheim".to_owned()));
    let ca = home.join("ca.crt").display().to_string();
    let localhost = |query: String| server.url("s", &query).replace("127.0.0.1", "localhost");
    for good in [
        server.url("s", "sslmode=require"),
        server.url("s", "sslmode=prefer"),
        server.url("s", "sslmode=allow"),
        server.url("s", &format!("sslmode=verify-ca&sslrootcert={ca}")),
        localhost(format!("sslmode=verify-full&sslrootcert={ca}")),
    ] {
        config.url = good;
        let (mut stream, _) = started(&config, None);
        server.sql("insert into t select coalesce(max(id), 0) + 1 from t");
        read_until(&mut stream, commits(1));
        let used =
            server.sql("select bool_and(s.ssl) from pg_stat_ssl s join pg_replication_slots r on r.active_pid = s.pid");
        assert_eq!(used, "t", "{}", config.url);
        let end = stream.position();
        stream.confirm(&end).unwrap();
        stream.close().unwrap();
    }
    std::fs::create_dir(home.join("other")).unwrap();
    certificates(&home.join("other"), "localhost");
    let stranger = home.join("other/ca.crt").display().to_string();
    for bad in [
        server.url("s", &format!("sslmode=verify-full&sslrootcert={ca}")),
        server.url("s", &format!("sslmode=verify-ca&sslrootcert={stranger}")),
        server.url("s", &format!("sslmode=require&sslrootcert={stranger}")),
        server.url("s", "sslmode=verify-ca&sslrootcert=system"),
    ] {
        config.url = bad;
        let (what, _) = stop(source(&config).start(None));
        assert!(what.contains("TLS") || what.contains("certificate"), "{what}");
    }
    config.url = server.url("s", "sslmode=disable");
    assert!(matches!(source(&config).start(None), Err(SourceError::Stop { .. })));
}

#[test]
fn doctor_names_what_is_wrong_and_changes_nothing() {
    use change::Severity;
    let server = Server::logical();
    server.sql("create table t (id int primary key); create table bare (id int)");
    let config = server.config(&["public.*"]);
    let findings = source_postgres::check(&config).unwrap();
    let of = |subject: &str| findings.iter().find(|finding| finding.subject == subject).unwrap();
    assert_eq!(of("wal_level").severity, Severity::Good);
    assert_eq!(of("table public.t").severity, Severity::Good);
    assert_eq!(of("table public.bare").severity, Severity::Problem);
    assert_eq!(of("publication hw").help.as_deref(), Some("CREATE PUBLICATION hw FOR TABLE public.t;"));
    assert_eq!(server.sql("select count(*) from pg_publication"), "0");
    let status = source_postgres::slot_status(&config).unwrap();
    assert_eq!(status.confirmed_flush_lsn, None);
    let (mut stream, begun) = started(&server.config(&["public.t"]), None);
    let status = source_postgres::slot_status(&config).unwrap();
    assert_eq!(status.server_identity, begun.info.server_identity);
    assert_eq!(status.confirmed_flush_lsn.unwrap().to_string(), begun.position.as_str());
    let findings = source_postgres::check(&config).unwrap();
    assert!(findings.iter().any(|finding| finding.subject == "slot hw" && finding.what.contains("in use by process")));
    stream.close().unwrap();
    assert!(matches!(
        source(&{
            let mut c = config;
            c.url = "postgres://postgres@127.0.0.1:1/x".to_owned();
            c
        })
        .start(None),
        Err(SourceError::Retry { .. })
    ));
}
