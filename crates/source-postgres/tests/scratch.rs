//! The throw-away database of a schema check: what is let into it, and that it goes away.

mod common;

use change::{Column, ColumnType, Identity, SourceError, Table, TableName};
use common::Server;
use source_postgres::Scratch;

fn databases(server: &Server) -> String {
    server.sql("select string_agg(datname, ' ' order by datname) from pg_database where not datistemplate")
}

fn stop(error: SourceError) -> (String, String) {
    match error {
        SourceError::Stop { what, help } => (what, help),
        other => panic!("{other:?}"),
    }
}

fn table(sql_type: &str, labels: &[&str]) -> Table {
    let column = Column {
        name: "c".to_owned(),
        kind: ColumnType::Text,
        sql_type: sql_type.to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        nullable: Some(true),
        number: None,
    };
    Table {
        name: TableName::new("public", "t"),
        columns: vec![column],
        key: Vec::new(),
        identity: Identity::Default,
        relation: None,
    }
}

/// The types come from a registry, where others write, too.
#[test]
fn a_type_is_one_type_and_nothing_else() {
    let server = Server::logical();
    let config = server.config(&["public.*"]);
    let attacks = [
        "numeric(4)); create table public.stolen (id int); --",
        "numeric(4)); copy (select 1) to program 'true'; --",
        "text, stolen int",
        "text default pg_sleep(9)",
        "text as stolen",
        "public.a b",
        "public.\"a(b\"",
    ];
    for (number, attack) in attacks.into_iter().enumerate() {
        let scratch = Scratch::create(&config, &format!("check_{number}")).unwrap();
        match scratch.build(&[table(attack, &["x\"); create table public.stolen (id int); --"])]) {
            Ok(()) => {
                let columns = &scratch.describe().unwrap().tables[..];
                assert!(columns.len() == 1 && columns[0].columns.len() == 1, "{attack}: {columns:?}");
                assert_eq!(columns[0].columns[0].sql_type, "text", "{attack}");
            }
            Err(error) => assert!(stop(error).0.contains("none of the server's"), "{attack}"),
        }
        scratch.remove().unwrap();
    }
    let scratch = Scratch::create(&config, "check").unwrap();
    for (name, labels) in [
        ("numeric(10,-2)", &[][..]),
        ("timestamp(3) with time zone", &[]),
        ("\"char\"", &[]),
        ("shop.\"odd; (mood)\"", &["it's"]),
        ("shop.mood[]", &["fine"]),
        ("shop.point(2)", &[]),
        ("type 1234 (dropped since)", &[]),
    ] {
        let mut table = table(name, labels);
        table.name.schema = name.to_owned();
        scratch.build(&[table]).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    scratch.remove().unwrap();
    assert_eq!(databases(&server), "postgres");
}

#[test]
fn a_file_has_what_psql_alone_can_run() {
    let server = Server::logical();
    let scratch = Scratch::create(&server.config(&["public.*"]), "check").unwrap();
    let run = |sql: &str| scratch.run("base.sql", sql, &|| true);
    // Nobody but a superuser could, and one leaves it out as well.
    run("create table t (id int);\ncreate event trigger e on ddl_command_end execute function nowhere();").unwrap();
    for copy in ["copy t from stdin", "copy t from stdin(format csv)"] {
        let (what, help) = stop(run(&format!("select 1;\n{copy};\n")).unwrap_err());
        assert_eq!(what, "base.sql, line 2: COPY FROM STDIN cannot be run here");
        assert!(help.contains("use INSERT"), "{help}");
    }
}

/// What cannot be dropped is named with the statement that drops it, and tried again when the value goes.
#[test]
fn a_database_that_stays_behind_is_named() {
    let mut server = Server::logical();
    let config = server.config(&["public.*"]);
    let scratch = Scratch::create(&config, "check").unwrap();
    server.sql("alter database \"check\" is_template true");
    let (what, help) = stop(scratch.remove().unwrap_err());
    assert!(what.contains("the database check may be left behind"), "{what}");
    assert_eq!(help, "run: DROP DATABASE IF EXISTS \"check\" WITH (FORCE);");
    server.sql("alter database \"check\" is_template false");
    server.sql("drop database \"check\"");
    let scratch = Scratch::create(&config, "check").unwrap();
    server.halt();
    let (what, help) = stop(scratch.remove().unwrap_err());
    assert!(what.contains("the database check may be left behind") && help.contains("DROP DATABASE"), "{what} {help}");
}
