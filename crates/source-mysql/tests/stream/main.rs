//! The stream against real servers: rows, positions, and what is refused.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::time::Duration;

use change::{Position, Resume, Source, SourceError, Started};
use source_mysql::{Config, MySqlSource};
use testkit::lines::{Line, changes, commits, next, read_silence, read_until};
use testkit::{Flavour, MySql, MySqlDatabase, shared};

mod positions;
mod statements;

const PATIENCE: Duration = Duration::from_secs(30);

fn config(database: &MySqlDatabase, tables: &[&str]) -> Config {
    let tables = tables.iter().map(|table| format!("{}.{table}", database.name));
    Config::new(&database.name, database.url(), tables)
}

fn started(config: &Config, from: Option<&Resume>) -> (MySqlSource, Started) {
    let mut source = MySqlSource::new(config.clone()).unwrap();
    let started = source.start(from).unwrap();
    (source, started)
}

fn resume(position: &Position, started: &Started) -> Resume {
    let server_identity = started.info.server_identity.clone();
    Resume { position: position.clone(), server_identity, progress: Default::default() }
}

fn read(source: &mut MySqlSource, count: usize) -> Vec<Line> {
    read_until(source, PATIENCE, commits(count)).unwrap()
}

/// What the source stops with, reading on.
fn stopped(source: &mut MySqlSource) -> (String, String) {
    let begin = std::time::Instant::now();
    loop {
        match next(source) {
            Ok(last) => assert!(begin.elapsed() < PATIENCE, "it went on; the last is {last:?}"),
            Err(SourceError::Stop { what, help }) => return (what, help),
            Err(SourceError::Retry { what }) => panic!("it would be tried again: {what}"),
        }
    }
}

fn refused(config: &Config, from: &Resume) -> (String, String) {
    match MySqlSource::new(config.clone()).unwrap().start(Some(from)) {
        Err(SourceError::Stop { what, help }) => (what, help),
        other => panic!("{other:?}"),
    }
}

/// On each server, in a database of the test's own.
fn everywhere(test: fn(&MySqlDatabase)) {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        test(&shared::mysql(flavour).create_database().unwrap());
    }
}

#[test]
fn rows_of_every_kind_of_change() {
    everywhere(|database| {
        database
            .execute(
                "create table d (id int primary key, a text, big text); create table n (a int, b text); \
                 create table other (id int primary key)",
            )
            .unwrap();
        let (mut source, _) = started(&config(database, &["d", "n"]), None);
        database.execute("insert into d values (1, 'one', repeat('x', 9000)), (2, null, null)").unwrap();
        database
            .execute(
                "begin; update d set a = 'uno' where id = 1; insert into other values (1); \
                 update d set id = 3 where id = 2; delete from d where id = 3; commit",
            )
            .unwrap();
        database.execute("insert into other values (2)").unwrap();
        database
            .execute("insert into n values (1, 'k'), (1, 'k'); update n set b = 'l' limit 1; delete from n")
            .unwrap();
        database.execute("truncate d; truncate table other; insert into d values (4, 'four', null)").unwrap();
        let lines = read(&mut source, 7);
        let x = "x".repeat(9000);
        assert_eq!(
            changes(&lines),
            [
                format!("1/1 insert d - (1,one,{x})"),
                "2/2 insert d - (2,null,null)".to_owned(),
                format!("1/1 update d (1,one,{x}) (1,uno,{x})"),
                "2/2 update d (2,null,null) (3,null,null)".to_owned(),
                "3/3 delete d (3,null,null) -".to_owned(),
                "1/1 insert n - (1,k)".to_owned(),
                "2/2 insert n - (1,k)".to_owned(),
                "1/1 update n (1,k) (1,l)".to_owned(),
                "1/1 delete n (1,l) -".to_owned(),
                "2/2 delete n (1,k) -".to_owned(),
                "1/1 truncate d - -".to_owned(),
                "1/1 insert d - (4,four,null)".to_owned(),
            ]
        );
        source.close().unwrap();
    });
}

/// Events with more rows than are looked at together, each kind in turn, and small ones between them.
#[test]
fn rows_come_in_their_order_out_of_large_events() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = MySql::builder(flavour).set("binlog-row-event-max-size", "1048576").start().unwrap();
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key, a tinyint, b tinyint, c tinyint null, d int)").unwrap();
        let (mut source, begun) = started(&config(&database, &["t"]), None);
        let rows: Vec<String> = (0..3000).map(|n| format!("({n}, 1, 2, null, 0)")).collect();
        let sql = format!(
            "begin; insert into t values (-1, 1, 2, 3, 4); insert into t values {}; update t set d = id where id >= 0; \
             delete from t where id < 0; delete from t; commit",
            rows.join(",")
        );
        database.execute(&sql).unwrap();
        let lines = read(&mut source, 1);
        source.close().unwrap();
        let inserts = (0..3000).map(|n| format!("insert t - ({n},1,2,null,0)"));
        // The row that does not change is not logged.
        let updates = (1..3000).map(|n| format!("update t ({n},1,2,null,0) ({n},1,2,null,{n})"));
        let deletes = (0..3000).map(|n| format!("delete t ({n},1,2,null,{n}) -"));
        let expected: Vec<String> = std::iter::once("insert t - (-1,1,2,3,4)".to_owned())
            .chain(inserts)
            .chain(updates)
            .chain(std::iter::once("delete t (-1,1,2,3,4) -".to_owned()))
            .chain(deletes)
            .zip(1..)
            .map(|(text, order)| format!("{order}/{order} {text}"))
            .collect();
        assert_eq!(changes(&lines), expected);
        // A cut anywhere among them is met again.
        let rows: Vec<&Line> = lines.iter().filter(|line| line.text.contains('/')).collect();
        for at in (0..rows.len()).step_by(977) {
            let (mut source, _) = started(&config(&database, &["t"]), Some(&resume(&rows[at].position, &begun)));
            assert_eq!(changes(&read(&mut source, 1)), expected[at + 1..], "{at}");
            source.close().unwrap();
        }
    }
}

const COLUMNS: &str = "a tinyint, b tinyint unsigned, c smallint, d mediumint unsigned, e int not null, f int unsigned, g bigint, \
    h bigint unsigned, i float, j double, k decimal(65,30), l decimal(5,0) unsigned, m bit(1), n bit(64), o year, p date, q time, \
    r time(3), s datetime, t datetime(6), u timestamp null, v timestamp(6) null, w char(3), x varchar(20), y varchar(300), \
    z char(30) character set latin1, aa varchar(10) character set sjis, ab tinytext, ac text, ad mediumtext, ae longtext, \
    af binary(3), ag varbinary(20), ah tinyblob, ai blob, aj mediumblob, ak longblob, al enum('x','é'), am set('a','b','c'), \
    an json, ao geometry, ap point, aq bool, ar text character set utf16, at varchar(5) collate utf8mb4_bin, au int(5) zerofill, \
    av int generated always as (e + 1) stored, aw int generated always as (e + 1) virtual, `ax y.z``é` int, \
    primary key (e, w)";

/// What the catalogue declares is what the log shows: else a schema would be registered that no event has.
#[test]
fn tables_are_described_before_their_first_row() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let database = shared::mysql(flavour).create_database().unwrap();
        let more = match flavour {
            Flavour::MySql => ", ba vector(3), bb varchar(9) invisible",
            Flavour::MariaDb => ", ba inet6, bb uuid, bc varchar(9) invisible, bd inet4",
            Flavour::MariaDbUnstable => ", ba inet6, bb uuid, bc varchar(9) invisible, bd inet4, be vector(3)",
        };
        database.execute(&format!("create table t ({COLUMNS}{more}); create table keyless (a int)")).unwrap();
        let (mut source, started) = started(&config(&database, &["*"]), None);
        database.execute("insert into t (e, w) values (1, 'a'); insert into keyless values (1)").unwrap();
        let mut seen = Vec::new();
        while seen.len() < 2 {
            if let change::Step::Table(table) = source.next(PATIENCE).unwrap() {
                seen.push(std::sync::Arc::clone(table));
            }
        }
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        for (seen, declared) in seen.iter().zip(&started.tables) {
            for (seen, declared) in seen.columns.iter().zip(&declared.columns) {
                assert_eq!(seen, declared);
            }
            assert_eq!(seen, declared);
        }
        assert_eq!(started.tables.len(), 2);
    }
}

/// From each place that a checkpoint could name the rest comes, and nothing but the rest.
#[test]
fn restart_at_every_position() {
    everywhere(|database| {
        database.execute("create table t (id int primary key, v text); create table u (id int primary key)").unwrap();
        let config = config(database, &["*"]);
        let (mut first, begun) = started(&config, None);
        let rows: Vec<String> = (1..=12).map(|id| format!("({id}, 'v{id}')")).collect();
        database
            .execute(&format!(
                "insert into t values {}; begin; update t set v = 'w' where id < 8; insert into u values (1), (2); \
                 delete from t where id > 9; commit; truncate t; insert into u values (3)",
                rows.join(",")
            ))
            .unwrap();
        let all = read(&mut first, 4);
        first.close().unwrap();
        assert_eq!(changes(&all).len(), 12 + 7 + 2 + 3 + 1 + 1);
        for (index, at) in all.iter().enumerate() {
            let (mut again, _) = started(&config, Some(&resume(&at.position, &begun)));
            let done = all[..=index].iter().filter(|line| line.text == "commit").count();
            let rest = read(&mut again, 4 - done);
            assert_eq!(changes(&rest), changes(&all[index + 1..]), "after {} ({})", at.text, at.position);
            assert_eq!(
                rest.last().map(|line| &line.position),
                all.last().map(|line| &line.position).filter(|_| done < 4)
            );
            again.close().unwrap();
        }
        // More rows than the transaction has: nothing is guessed.
        let inside = all.iter().find(|line| line.position.as_str().ends_with("rows=3")).unwrap();
        let wrong = Position::new(inside.position.as_str().replace("rows=3", "rows=300"));
        let (mut again, _) = started(&config, Some(&resume(&wrong, &begun)));
        let (what, help) = stopped(&mut again);
        assert!(what.contains("were not met") && help.contains("accept gap"), "{what} {help}");
        // Another server's files.
        let (place, cut) = inside.position.as_str().split_once(";server=").unwrap();
        let (server, rest) = cut.split_once(';').unwrap();
        let foreign = Position::new(format!("{place};server={server}0;{rest}"));
        let (what, _) = refused(&config, &resume(&foreign, &begun));
        assert!(what.contains("lies inside a transaction of server"), "{what}");
    });
}

/// A table that changes its columns keeps its rows right, on both sides of the change.
#[test]
fn columns_change_between_rows() {
    everywhere(|database| {
        database.execute("create table t (id int primary key, a int)").unwrap();
        let config = config(database, &["t"]);
        let (mut source, _) = started(&config, None);
        // Everything is in the log before the first row is read: the catalogue shows the end only.
        database
            .execute(
                "insert into t values (1, 10); alter table t add b varchar(10) default 'x' after id; \
                 insert into t values (2, 'two', 20); alter table t drop a; insert into t values (3, 'three'); \
                 alter table t modify b char(5); insert into t values (4, 'four')",
            )
            .unwrap();
        let lines = read(&mut source, 4);
        assert_eq!(
            changes(&lines),
            [
                "1/1 insert t - (1,10)",
                "1/1 insert t - (2,two,20)",
                "1/1 insert t - (3,three)",
                "1/1 insert t - (4,four)"
            ]
        );
        let tables = lines.iter().filter(|line| line.text.starts_with("table ")).count();
        assert_eq!(tables, 4, "{lines:#?}");
    });
}

/// What the catalogue says now is not taken for what a column was when its rows were logged.
#[test]
fn a_column_that_took_anothers_place_does_not_give_it_its_type() {
    for flavour in [Flavour::MariaDb, Flavour::MariaDbUnstable] {
        println!("{flavour:?}");
        let database = shared::mysql(flavour).create_database().unwrap();
        database.execute("create table t (id int primary key, old binary(16))").unwrap();
        let (mut source, _) = started(&config(&database, &["t"]), None);
        database
            .execute(
                "insert into t values (1, repeat('a', 16)); alter table t drop old; alter table t add young uuid; \
                 insert into t values (2, '00112233-4455-6677-8899-aabbccddeeff')",
            )
            .unwrap();
        let mut kinds = Vec::new();
        while kinds.len() < 2 {
            if let change::Step::Table(table) = source.next(PATIENCE).unwrap() {
                kinds.push((table.columns[1].name.clone(), table.columns[1].kind));
            }
        }
        let expected = [("old", change::ColumnType::Bytes), ("young", change::ColumnType::Uuid)];
        assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }
}

/// Names of columns that the log does not have are those of the time when the rows were written, also for a process that
/// starts when the table was altered already.
#[test]
fn names_are_those_of_the_time_of_the_rows() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = MySql::builder(flavour).set("binlog-row-metadata", "MINIMAL").start().unwrap();
        let database = server.create_database().unwrap();
        database
            .execute("create table t (id int primary key, a int, b varchar(9)); create table u (id int primary key)")
            .unwrap();
        let config = config(&database, &["*"]);
        let (mut source, begun) = started(&config, None);
        let mut known = std::collections::BTreeMap::new();
        let mut note = |lines: &[Line]| {
            for (key, text) in lines.iter().filter_map(|line| line.text.strip_prefix("progress ")?.split_once(' ')) {
                known.insert(key.to_owned(), text.to_owned());
            }
        };
        database.execute("insert into t values (1, 10, 'x')").unwrap();
        let lines = read(&mut source, 1);
        note(&lines);
        let at = source.position();
        source.close().unwrap();
        // A rename that changes no type, and one more when the first is already over.
        database.execute("insert into t values (2, 20, 'y'); alter table t rename column a to c").unwrap();
        database.execute("insert into t values (3, 30, 'z')").unwrap();
        let from = Resume { progress: known, ..resume(&at, &begun) };
        // Where a person has put it, nothing that was noted before holds.
        let chosen = Resume { position: Position::new(format!("{at};anew")), ..from.clone() };
        let (mut source, _) = started(&config, Some(&chosen));
        let noted = next(&mut source).unwrap().unwrap();
        assert!(noted.starts_with("progress shape/") && noted.contains("\"c\""), "{noted}");
        drop(source);
        let (mut source, _) = started(&config, Some(&from));
        let mut names = Vec::new();
        let mut rows = 0;
        while rows < 2 {
            match source.next(PATIENCE).unwrap() {
                change::Step::Table(table) => names.push(table.columns[1].name.clone()),
                change::Step::Change(_) => rows += 1,
                _ => {}
            }
        }
        assert_eq!(names, ["a", "c"]);
    }
}

/// `CREATE TABLE … SELECT` is one transaction of a statement and rows, whoever captures the table.
#[test]
fn tables_that_are_made_from_a_query_have_their_rows() {
    everywhere(|database| {
        database.execute("create table t (id int primary key); insert into t values (1), (2)").unwrap();
        let (mut source, _) = started(&config(database, &["t", "made*"]), None);
        database.execute("create table made (primary key (id)) as select id from t").unwrap();
        database
            .execute("create table aside (primary key (id)) as select id from t; insert into t values (3)")
            .unwrap();
        let lines = read(&mut source, 2);
        assert_eq!(changes(&lines), ["1/1 insert made - (1)", "2/2 insert made - (2)", "1/1 insert t - (3)"]);
    });
}

/// What is undone leaves nothing, and ends where it ends.
#[test]
fn what_is_rolled_back_is_not_there() {
    everywhere(|database| {
        database
            .execute("create table t (id int primary key); create table m (id int primary key) engine = MyISAM")
            .unwrap();
        let (mut source, _) = started(&config(database, &["t"]), None);
        database
            .execute(
                "begin; insert into t values (1); rollback; \
                 begin; insert into t values (2); savepoint a; insert into t values (3); rollback to a; commit; \
                 begin; create temporary table aside (id int); insert into aside values (1); \
                 drop temporary table aside; rollback",
            )
            .unwrap();
        if database.flavour() != Flavour::MySql {
            // MySQL with GTIDs allows none of these.
            database
                .execute(
                    "begin; insert into m values (1); savepoint b; insert into m values (2); rollback to b; rollback; \
                     begin; update m set id = id + 10; insert into m select id + 20 from m; rollback; \
                     begin; insert into m values (3); create temporary table aside as select * from m; \
                     drop temporary table aside; rollback",
                )
                .unwrap();
        }
        database.execute("insert into t values (7)").unwrap();
        let lines = read(&mut source, 2);
        assert_eq!(changes(&lines), ["1/1 insert t - (2)", "1/1 insert t - (7)"]);
    });
}

/// Where names know no capitals, a statement may write them otherwise than the catalogue does.
#[test]
fn a_truncate_is_met_however_it_is_written() {
    for flavour in [Flavour::MariaDb, Flavour::MariaDbUnstable] {
        println!("{flavour:?}");
        let server = MySql::builder(flavour).set("lower-case-table-names", "1").start().unwrap();
        let database = server.create_database().unwrap();
        database.execute("create table Orders (id int primary key); insert into orders values (1)").unwrap();
        let (mut source, _) = started(&config(&database, &["orders"]), None);
        database.execute("truncate table ORDERS; insert into orders values (2)").unwrap();
        let lines = read(&mut source, 2);
        assert_eq!(changes(&lines), ["1/1 truncate orders - -", "1/1 insert orders - (2)"]);
    }
}

/// The server keeps its files encrypted, and sends what is in them in plain, behind a word that they are.
#[test]
fn an_encrypted_log_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::write(&keys, format!("1;{}\n", "5a".repeat(32))).unwrap();
    // The server runs as somebody else.
    for (path, mode) in [(folder.path(), 0o755), (keys.as_path(), 0o644)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    // The older MariaDB comes without the plugin.
    let mariadb = MySql::builder(Flavour::MariaDbUnstable)
        .set("plugin-load-add", "file_key_management")
        .set("file-key-management-filename", &keys.display().to_string())
        .set("encrypt-binlog", "ON");
    an_encrypted_log(&mariadb.start().unwrap(), "encrypt_binlog");
    let mysql = MySql::builder(Flavour::MySql).keyring().set("binlog-encryption", "ON");
    an_encrypted_log(&mysql.start().unwrap(), "binlog_encryption");
}

fn an_encrypted_log(server: &MySql, setting: &str) {
    let database = server.create_database().unwrap();
    assert_eq!(database.value(&format!("select @@{setting}")).unwrap(), "1");
    database.execute("create table t (id int primary key, v text)").unwrap();
    let (mut source, begun) = started(&config(&database, &["t"]), None);
    database.execute("insert into t values (1, 'secret')").unwrap();
    let lines = read(&mut source, 1);
    assert_eq!(changes(&lines), ["1/1 insert t - (1,secret)"]);
    source.close().unwrap();
    // From the beginning of a file, where it says so, and from within one.
    database.execute("insert into t values (2, 'two'); flush binary logs; insert into t values (3, 'three')").unwrap();
    let from = resume(&lines.last().unwrap().position, &begun);
    let (mut source, _) = started(&config(&database, &["t"]), Some(&from));
    assert_eq!(changes(&read(&mut source, 2)), ["1/1 insert t - (2,two)", "1/1 insert t - (3,three)"]);
}

/// The dance of online schema-change tools, and a swap of two tables.
#[test]
fn tables_are_renamed() {
    everywhere(|database| {
        database
            .execute(
                "create table t (id int primary key, a int); create table `_t_gho` (id int primary key, a int, b int)",
            )
            .unwrap();
        let (mut source, _) = started(&config(database, &["t"]), None);
        database
            .execute(
                "insert into t values (1, 1); insert into _t_gho values (1, 1, 0); \
                 rename table t to _t_del, _t_gho to t; insert into t values (2, 2, 2); insert into _t_del values (9, 9); \
                 rename table t to x, _t_del to t, x to _t_del; insert into t values (3, 3)",
            )
            .unwrap();
        let lines = read(&mut source, 3);
        assert_eq!(changes(&lines), ["1/1 insert t - (1,1)", "1/1 insert t - (2,2,2)", "1/1 insert t - (3,3)"]);
    });
}

#[test]
fn a_statement_in_the_place_of_rows_is_refused() {
    // On servers of its own: a statement stops every stream of its server.
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = MySql::start(flavour).unwrap();
        let database = &server.create_database().unwrap();
        database.execute("create table t (id int primary key); create table other (id int primary key)").unwrap();
        let (mut source, _) = started(&config(database, &["t"]), None);
        database
            .execute("set session binlog_format = 'STATEMENT'; insert into t values (1); insert into t values (2)")
            .unwrap();
        let (what, help) = stopped(&mut source);
        assert!(what.contains("statement (insert)"), "{what}");
        assert!(help.contains("SET GLOBAL binlog_format = 'ROW'"), "{help}");
    }
}

/// Rows of an XA transaction are in the log before anybody knows whether it commits.
#[test]
fn a_prepared_transaction_is_never_published() {
    everywhere(|database| {
        database.execute("create table t (id int primary key); create table other (id int primary key)").unwrap();
        let (mut source, _) = started(&config(database, &["t"]), None);
        let xid = &database.name;
        // One that touches no captured table hurts nobody.
        database
            .execute(&format!("xa start '{xid}a'; insert into other values (1); xa end '{xid}a'; xa prepare '{xid}a'"))
            .unwrap();
        // The server lets others end it once it has noticed that its connection is gone.
        let end = |how: &str| {
            testkit::eventually(PATIENCE, how, || database.execute(&format!("xa {how}"))).unwrap();
        };
        end(&format!("commit '{xid}a'"));
        database.execute("insert into t values (1)").unwrap();
        assert_eq!(changes(&read(&mut source, 1)), ["1/1 insert t - (1)"]);
        database
            .execute(&format!("xa start '{xid}b'; insert into t values (2); xa end '{xid}b'; xa prepare '{xid}b'"))
            .unwrap();
        let (what, help) = stopped(&mut source);
        assert!(what.contains("prepared by XA"), "{what}");
        assert!(help.contains("without XA"), "{help}");
        end(&format!("rollback '{xid}b'"));
    });
}

/// What a replica needs, it says; what is not there, too.
#[test]
fn a_log_that_lacks_something_is_refused() {
    for flavour in Flavour::ALL {
        println!("{flavour:?}");
        let server = MySql::start(flavour).unwrap();
        let database = server.create_database().unwrap();
        database.execute("create table t (id int primary key); insert into t values (1)").unwrap();
        let config = config(&database, &["t"]);
        let (mut source, begun) = started(&config, None);
        source.close().unwrap();
        // Purged.
        database.execute("insert into t values (2); flush binary logs; flush binary logs").unwrap();
        // The server keeps files that it still believes to be read by the stream that was closed.
        testkit::eventually(PATIENCE, "the old files to be gone", || {
            let files = database.query("show binary logs")?;
            let last = files.last().and_then(|row| row[0].clone()).unwrap_or_default();
            database.execute(&format!("purge binary logs to '{last}'"))?;
            anyhow::ensure!(files.len() == 1, "{files:?}");
            Ok(())
        })
        .unwrap();
        let from = resume(&begun.position, &begun);
        let (what, help) = match MySqlSource::new(config.clone()).unwrap().start(Some(&from)) {
            Err(SourceError::Stop { what, help }) => (what, help),
            Ok(_) => {
                let (mut source, _) = started(&config, Some(&from));
                stopped(&mut source)
            }
            Err(other) => panic!("{other:?}"),
        };
        assert!(what.contains("purged") || what.contains("no longer"), "{what}");
        assert!(help.contains("accept gap"), "{help}");
        // The checkpoint has more than the server.
        let ahead = begun.position.as_str();
        let ahead = if flavour.is_mariadb() {
            let (stem, number) = ahead.rsplit_once('-').unwrap();
            format!("{stem}-{}", number.parse::<u64>().unwrap() + 1000)
        } else {
            format!("{ahead},aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-5")
        };
        let (what, _) = refused(&config, &resume(&Position::new(ahead), &begun));
        assert!(what.contains("lacks transactions") || what.contains("behind the checkpoint"), "{what}");
    }
}

/// MariaDB's `FULL_NODUP`: the log has the old row, and of the new one what changed.
#[test]
fn a_new_row_is_completed_from_the_old_one() {
    let server = MySql::builder(Flavour::MariaDbUnstable).set("binlog-row-image", "FULL_NODUP").start().unwrap();
    let database = server.create_database().unwrap();
    database.execute("create table t (id int primary key, a text, b text)").unwrap();
    let (mut source, _) = started(&config(&database, &["t"]), None);
    database.execute("insert into t values (1, 'a', null); update t set b = 'b'; delete from t").unwrap();
    let lines = read(&mut source, 3);
    assert_eq!(
        changes(&lines),
        ["1/1 insert t - (1,a,null)", "1/1 update t (1,a,null) (1,a,b)", "1/1 delete t (1,a,b) -"]
    );
}
