//! `headwater doctor` against real servers: a fit one has no problem, each defect is named, and what is proposed mends it.

#![allow(clippy::unwrap_used, reason = "a test")]

use change::{Finding, Severity, Source, SourceError};
use source_mysql::{Config, Connection, MySqlSource, Purpose, check};
use testkit::{Flavour, MySql, MySqlDatabase};

fn config(database: &MySqlDatabase, tables: &[&str]) -> Config {
    Config::new("test", database.url(), tables.iter().map(|table| format!("{}.{table}", database.name)))
}

/// The same as another account, which has the password `pw`, without a database: logging in to one needs a right there.
fn as_account(config: &Config, user: &str) -> Config {
    let url = config.url.replacen("root@", &format!("{user}:pw@"), 1);
    let (url, _) = url.rsplit_once('/').unwrap();
    Config { url: url.to_owned(), ..config.clone() }
}

/// Without any right.
fn account(server: &MySql, name: &str) {
    let plugin = if server.flavour().is_mariadb() { "mysql_native_password" } else { "caching_sha2_password" };
    server.create_user(name, plugin, "pw").unwrap();
}

/// As the manual's page gives them to an account.
fn grants(flavour: Flavour, database: &str, user: &str) -> [String; 2] {
    let status = if flavour.is_mariadb() { "BINLOG MONITOR" } else { "REPLICATION CLIENT" };
    [
        format!("GRANT REPLICATION SLAVE, {status} ON *.* TO '{user}'@'%'"),
        format!("GRANT SELECT ON {database}.* TO '{user}'@'%'"),
    ]
}

fn all(config: &Config) -> Vec<Finding> {
    check(config).unwrap()
}

fn of(config: &Config, severity: Severity) -> Vec<Finding> {
    all(config).into_iter().filter(|finding| finding.severity == severity).collect()
}

/// The worst finding of this subject.
#[track_caller]
fn about(config: &Config, subject: &str) -> Finding {
    let found = all(config);
    let of = found.iter().filter(|finding| finding.subject == subject);
    of.max_by_key(|finding| finding.severity).unwrap_or_else(|| panic!("{subject}: {found:#?}")).clone()
}

/// Does what a finding proposes, as somebody who reads it: what stands behind two dashes is not for the server.
#[track_caller]
fn mend(server: &MySql, finding: &Finding) {
    for line in finding.help.as_deref().unwrap_or_default().lines() {
        let sql = line.split(" -- ").next().unwrap();
        server.maintenance().execute(sql).unwrap_or_else(|error| panic!("{finding:#?}: {error:#}"));
    }
}

fn everywhere(test: fn(&MySql)) {
    std::thread::scope(|scope| {
        for flavour in Flavour::ALL {
            scope.spawn(move || test(&MySql::start(flavour).unwrap()));
        }
    });
}

#[test]
fn a_fit_server_has_no_problem() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        database
            .execute("create table orders (id int, line int, primary key (id, line)); create view v as select 1 as one")
            .unwrap();
        account(server, "reader");
        for grant in grants(server.flavour(), &database.name, "reader") {
            server.maintenance().execute(&grant).unwrap();
        }
        let config = as_account(&config(&database, &["*"]), "reader");
        let findings = all(&config);
        let warnings: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Good)
            .map(|finding| finding.subject.as_str())
            .collect();
        // MariaDB keeps its log for ever unless it is told otherwise.
        let expected: &[&str] = if server.flavour().is_mariadb() { &["binlog_expire_logs_seconds"] } else { &[] };
        assert_eq!(warnings, expected, "{findings:#?}");
        let table = format!("table {}.orders", database.name);
        let orders = findings.iter().find(|finding| finding.subject == table).unwrap();
        assert_eq!(orders.what, "primary key (id, line)");
        assert_eq!(findings.iter().filter(|finding| finding.subject.starts_with("table ")).count(), 1);
        let version = server.version().unwrap();
        assert!(findings.iter().any(|finding| finding.subject == "version" && finding.what.contains(&version)));
    });
}

#[test]
fn settings_that_lack_something() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key)").unwrap();
        let config = config(&database, &["t"]);
        let (warning, problem) = (Severity::Warning, Severity::Problem);
        let mut defects = vec![
            ("binlog_row_image = 'MINIMAL'", warning, "absent"),
            ("binlog_row_image = 'NOBLOB'", warning, "is NOBLOB"),
            ("binlog_row_metadata = 'MINIMAL'", warning, "ALTER TABLE"),
            ("binlog_format = 'STATEMENT'", problem, "is STATEMENT"),
            ("binlog_format = 'MIXED'", problem, "is MIXED"),
            ("binlog_expire_logs_seconds = 3600", warning, "1 h"),
            ("binlog_expire_logs_seconds = 0", warning, "never purged"),
        ];
        match server.flavour() {
            Flavour::MySql => {
                defects.push(("server_id = 0", problem, "is 0"));
                defects.push(("binlog_expire_logs_auto_purge = OFF", warning, "never purged"));
                defects.push(("gtid_mode = ON_PERMISSIVE", warning, "ON_PERMISSIVE"));
                defects.push(("gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = OFF_PERMISSIVE", warning, "failover"));
                defects.push((
                    "gtid_mode = ON_PERMISSIVE; SET GLOBAL gtid_mode = OFF_PERMISSIVE; SET GLOBAL gtid_mode = OFF; \
                     SET GLOBAL enforce_gtid_consistency = OFF",
                    warning,
                    "is OFF",
                ));
            }
            Flavour::MariaDb => defects.push(("gtid_strict_mode = OFF", warning, "is OFF")),
            Flavour::MariaDbUnstable => {
                defects.push(("gtid_strict_mode = OFF", warning, "is OFF"));
                defects.push(("max_binlog_total_size = 1073741824", warning, "1.0 GiB"));
                // The new row lacks what the old one has: together they are whole.
                defects.push(("binlog_row_image = 'FULL_NODUP'", Severity::Good, "whole rows"));
            }
        }
        for (setting, severity, says) in defects {
            server.maintenance().execute(&format!("SET GLOBAL {setting}")).unwrap();
            let name = setting.split(' ').next().unwrap();
            let subject = if name == "binlog_expire_logs_auto_purge" { "binlog_expire_logs_seconds" } else { name };
            let found = about(&config, subject);
            assert!(found.severity == severity && found.what.contains(says), "{setting}: {found:#?}");
            mend(server, &found);
            let after = all(&config);
            let left = after.iter().find(|finding| finding.subject == subject && finding.severity > Severity::Good);
            assert_eq!(left, None, "{setting}");
        }
        // What is in force survives a restart where the server can remember it.
        if server.flavour() == Flavour::MySql {
            server.restart().unwrap();
            assert_eq!(of(&config, Severity::Warning), []);
        }
    });
}

#[test]
fn an_account_with_too_few_rights() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key, v int); create table u (id int primary key)").unwrap();
        account(server, "reader-é");
        let by_name = as_account(&config(&database, &["t"]), "reader-%C3%A9");
        let problems = of(&by_name, Severity::Problem);
        let subjects: Vec<&str> = problems.iter().map(|finding| finding.subject.as_str()).collect();
        let (who, table) = ("account `reader-é`@`%`", format!("table {}.t", database.name));
        assert_eq!(subjects, [who, table.as_str()], "{problems:#?}");
        for problem in &problems {
            mend(server, problem);
        }
        assert_eq!(of(&by_name, Severity::Problem), []);
        // What hides tables cannot be seen yet.
        let status = about(&by_name, who);
        assert!(status.severity == Severity::Warning && status.what.contains("binlog_do_db"), "{status:#?}");
        mend(server, &status);
        assert_eq!(about(&by_name, who).severity, Severity::Good);
        // By pattern; the right to write shows the table, and is not enough.
        server.maintenance().execute(&format!("GRANT INSERT ON {}.u TO `reader-é`@`%`", database.name)).unwrap();
        let by_pattern = as_account(&config(&database, &["*"]), "reader-%C3%A9");
        let hidden = about(&by_pattern, &format!("table {}.u", database.name));
        assert!(hidden.severity == Severity::Problem && hidden.what.contains("select"), "{hidden:#?}");
        mend(server, &hidden);
        assert_eq!(of(&by_pattern, Severity::Problem), []);
        // Of some columns only.
        server
            .maintenance()
            .execute(&format!(
                "REVOKE SELECT ON {0}.t FROM `reader-é`@`%`; GRANT SELECT (id) ON {0}.t TO `reader-é`@`%`",
                database.name
            ))
            .unwrap();
        let some = about(&by_pattern, &table);
        assert!(some.severity == Severity::Problem && some.what.contains("all of its columns"), "{some:#?}");
        mend(server, &some);
        assert_eq!(of(&by_pattern, Severity::Problem), []);
        // Rights of a role count where it is active.
        account_with_role(server, &database.name);
        assert_eq!(of(&as_account(&config(&database, &["*"]), "member"), Severity::Problem), []);
    });
}

fn account_with_role(server: &MySql, database: &str) {
    account(server, "member");
    let activate = if server.flavour().is_mariadb() {
        "SET DEFAULT ROLE readers FOR 'member'@'%'"
    } else {
        "SET DEFAULT ROLE readers TO 'member'@'%'"
    };
    server
        .maintenance()
        .execute(&format!(
            "CREATE ROLE readers; GRANT REPLICATION SLAVE ON *.* TO readers; GRANT SELECT ON {database}.* TO readers; \
             GRANT readers TO 'member'@'%'; {activate}"
        ))
        .unwrap();
}

#[test]
fn nobody_may_see_a_table() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key)").unwrap();
        account(server, "nobody");
        let config = as_account(&config(&database, &["*"]), "nobody");
        let url = format!("{}/{}", config.url, database.name);
        match check(&Config { url, ..config.clone() }) {
            Err(SourceError::Stop { help, .. }) => assert!(help.contains("GRANT SELECT ON"), "{help}"),
            other => panic!("{other:?}"),
        }
        let found = about(&config, "tables");
        assert!(found.severity == Severity::Problem && found.what.contains("sees no table"), "{found:#?}");
        mend(server, &found);
        assert!(about(&config, &format!("table {}.t", database.name)).severity == Severity::Good);
    });
}

#[test]
fn tables_that_cannot_be_captured_well() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        let name = &database.name;
        database
            .execute(
                "create table orders (id int primary key); create table loose (id int primary key) engine = MyISAM; \
                 create table heap (v int, w text); create view v as select id from orders",
            )
            .unwrap();
        let table = |table: &str| format!("table {name}.{table}");
        let config = config(&database, &["*", "v", "Orders", "oders", "invoices"]);
        let found = about(&config, &table("v"));
        assert!(found.severity == Severity::Problem && found.what.contains("is a view"), "{found:#?}");
        for (wrong, meant) in [("Orders", true), ("oders", true), ("invoices", false)] {
            let found = about(&config, &table(wrong));
            let help = found.help.clone().unwrap();
            assert!(found.severity == Severity::Problem, "{found:#?}");
            assert_eq!(help.contains(&format!("is {name}.orders meant?")), meant, "{help}");
            assert!(help.contains(&format!("GRANT SELECT ON `{name}`.`{wrong}` TO `root`@`")), "{help}");
        }
        for (defect, says) in [("loose", "its engine is MyISAM"), ("heap", "no primary key")] {
            let found = about(&config, &table(defect));
            assert!(found.severity == Severity::Warning && found.what.contains(says), "{found:#?}");
            mend(server, &found);
            assert_eq!(about(&config, &table(defect)).severity, Severity::Good);
        }
        // Both at once are one finding.
        database.execute("create table both_of_them (v int) engine = MyISAM").unwrap();
        let found: Vec<Finding> =
            all(&config).into_iter().filter(|finding| finding.subject == table("both_of_them")).collect();
        assert!(found.len() == 1 && found[0].what.contains("MyISAM") && found[0].what.contains("key"), "{found:#?}");
        mend(server, &found[0]);
        assert_eq!(about(&config, &table("both_of_them")).severity, Severity::Good);

        let nothing = Config { tables: vec![format!("{name}x.*")], ..config };
        let found = about(&nothing, "tables");
        assert!(found.what.contains("none of the 4 tables"), "{found:#?}");
        assert!(found.help.unwrap().contains(&format!("{name}.")));
        if server.flavour().is_mariadb() {
            more_of_mariadb(server, &database);
        }
    });
}

/// As an account that may only read: foreign keys are not shown to everybody.
#[test]
fn cascades_that_are_not_logged() {
    let native = |flavour| MySql::builder(flavour).set("innodb-native-foreign-keys", "ON").start();
    let plain = MySql::start;
    for (server, silent) in [
        (plain(Flavour::MySql), false),
        (native(Flavour::MySql), true),
        (plain(Flavour::MariaDb), true),
        (plain(Flavour::MariaDbUnstable), true),
    ] {
        let server = server.unwrap();
        let database = server.create_database().unwrap();
        database
            .execute(
                "create table parents (id int primary key); \
                 create table strict (id int primary key, parent int, foreign key (parent) references parents (id)); \
                 create table children (id int primary key, parent int, constraint of_parent foreign key (parent) \
                 references parents (id) on delete cascade)",
            )
            .unwrap();
        account(&server, "reader");
        for grant in grants(server.flavour(), &database.name, "reader") {
            server.maintenance().execute(&grant).unwrap();
        }
        let config = as_account(&config(&database, &["*"]), "reader");
        let found = about(&config, &format!("table {}.children", database.name));
        let expected = if silent { Severity::Warning } else { Severity::Good };
        assert_eq!(found.severity, expected, "{:?}: {found:#?}", server.flavour());
        assert_eq!(found.what.contains("of_parent"), silent, "{found:#?}");
        assert_eq!(about(&config, &format!("table {}.strict", database.name)).severity, Severity::Good);
    }
}

/// Sequences, and times as they were stored before MariaDB 10.1.
fn more_of_mariadb(server: &MySql, database: &MySqlDatabase) {
    database.execute("create sequence numbers").unwrap();
    server.maintenance().execute("SET GLOBAL mysql56_temporal_format = OFF").unwrap();
    database.execute("create table old_times (id int primary key, t datetime(3), d datetime)").unwrap();
    server.maintenance().execute("SET GLOBAL mysql56_temporal_format = ON").unwrap();
    let config = config(database, &["numbers", "old_times"]);
    let found = about(&config, &format!("table {}.numbers", database.name));
    assert!(found.severity == Severity::Problem && found.what.contains("is a sequence"), "{found:#?}");
    let subject = format!("table {}.old_times", database.name);
    let found = about(&config, &subject);
    assert!(found.severity == Severity::Problem && found.what.contains("column t has an old form"), "{found:#?}");
    mend(server, &found);
    assert_eq!(about(&config, &subject).severity, Severity::Good);
}

#[test]
fn a_server_without_a_log() {
    for flavour in Flavour::ALL {
        // The last word on the command line counts.
        let server = MySql::builder(flavour).set("disable-log-bin", "1").start().unwrap();
        let config = Config::new("test", server.maintenance().url(), ["shop.*"]);
        let found = about(&config, "log_bin");
        assert!(found.severity == Severity::Problem && found.help.unwrap().contains("log_bin = binlog"));
    }
}

/// What the doctor is content with is enough to begin; what it asks for is what beginning asks for.
#[test]
fn the_rights_that_are_proposed_are_enough() {
    everywhere(rights_are_enough);
    // Without GTIDs more is asked for.
    let server = MySql::builder(Flavour::MySql).set("gtid-mode", "OFF").set("enforce-gtid-consistency", "OFF");
    rights_are_enough(&server.start().unwrap());
}

fn rights_are_enough(server: &MySql) {
    let database = server.create_database().unwrap();
    database.execute("create table t (id int primary key)").unwrap();
    account(server, "reader");
    let config = as_account(&config(&database, &["t"]), "reader");
    let begin = || MySqlSource::new(config.clone()).unwrap().start(None);
    match begin() {
        Err(SourceError::Stop { help, .. }) => assert!(help.starts_with("run: GRANT REPLICATION "), "{help}"),
        other => panic!("{other:?}"),
    }
    for problem in of(&config, Severity::Problem) {
        mend(server, &problem);
    }
    begin().unwrap();
}

/// Every type of the corpus, as each server's catalogue writes it.
#[test]
fn every_type_is_known() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut count = 0;
        for file in files.filter(|path| path.extension().is_some_and(|ending| ending == "sql")) {
            let text = std::fs::read_to_string(file).unwrap();
            // Not every server has every type.
            let made = text
                .lines()
                .filter(|line| line.starts_with("create table "))
                .filter(|line| database.execute(line).is_ok());
            count += made.count();
        }
        assert!(count >= 20, "{count}");
        let findings = all(&config(&database, &["*"]));
        let strange: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Problem).collect();
        assert!(strange.is_empty(), "{strange:#?}");
        let tables = findings.iter().filter(|finding| finding.subject.starts_with("table ")).count();
        assert!(tables >= 20, "{findings:#?}");
    });
}

#[test]
fn databases_that_are_not_logged() {
    for flavour in Flavour::ALL {
        let server = MySql::builder(flavour).set("binlog-ignore-db", "hidden").start().unwrap();
        server
            .maintenance()
            .execute(
                "create database hidden; create table hidden.t (id int primary key); create database seen; \
                      create table seen.t (id int primary key)",
            )
            .unwrap();
        let config = Config::new("test", server.maintenance().url(), ["seen.*"]);
        assert_eq!(of(&config, Severity::Problem), []);
        let config = Config { tables: vec!["*.t".to_owned()], ..config };
        let problems = of(&config, Severity::Problem);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].subject == "binlog_ignore_db" && problems[0].what.contains("hidden"), "{problems:#?}");
        drop(server);
        let server = MySql::builder(flavour).set("binlog-do-db", "seen").start().unwrap();
        server.maintenance().execute("create database other; create table other.t (id int primary key)").unwrap();
        let config = Config::new("test", server.maintenance().url(), ["other.*"]);
        let found = about(&config, "binlog_do_db");
        assert!(found.severity == Severity::Problem && found.help.unwrap().contains("binlog_do_db = other"));
    }
}

#[test]
fn a_replica_that_logs_nothing_of_what_it_replicates() {
    for flavour in Flavour::ALL {
        let (setting, change) = if flavour.is_mariadb() {
            ("log-slave-updates", "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1")
        } else {
            ("log-replica-updates", "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1")
        };
        let subject = setting.replace('-', "_");
        let server = MySql::builder(flavour).set(setting, "OFF").start().unwrap();
        let config = Config::new("test", server.maintenance().url(), ["shop.*"]);
        assert!(all(&config).iter().all(|finding| finding.subject != subject));
        server.maintenance().execute(change).unwrap();
        let found = about(&config, &subject);
        assert!(found.severity == Severity::Problem && found.help.unwrap().contains(&subject), "{}", found.what);
    }
}

#[test]
fn another_reader_has_our_number() {
    everywhere(|server| {
        let database = server.create_database().unwrap();
        let config = Config { server_id: Some(4711), ..config(&database, &["*"]) };
        let mut other = Connection::open(&config, Purpose::Control).unwrap();
        let mut command = vec![0x15];
        command.extend(4711_u32.to_le_bytes());
        command.extend(b"\x05other\0\0");
        command.extend([0; 2 + 4 + 4]);
        other.command("registering", &command).unwrap();
        let found = about(&config, "reader 4711");
        assert!(found.severity == Severity::Problem && found.what.contains("\"other\""), "{found:#?}");
        assert!(found.help.unwrap().contains("server_id under [source]"));
        let config = Config { server_id: Some(4712), ..config };
        assert_eq!(about(&config, "reader 4712").severity, Severity::Good);
        other.close();
    });
}
