//! `headwater schema …`: a migration is judged before it is made, and looking at it leaves nothing behind.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use testkit::{Database, Flavour, MySql, MySqlDatabase, eventually};

use crate::support::{BINARY, PATIENCE, Scene, Store, command};

const TABLES: &str = "
    create type mood as enum ('sad', 'fine');
    create domain email as text check (value like '%@%');
    create table orders (id bigint primary key, price numeric(10,2) not null, note text, mood mood default 'fine',
        contact email, moods mood[]);
    create table quiet (id bigint primary key, v text);";

/// The script that the documentation gives to CI jobs.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/ci/schema-check.sh");

/// A pipeline that has run, so that its schemas are registered, and has ended.
fn ran(label: &str) -> Result<Scene<Database>> {
    let scene = Scene::new(label, TABLES)?;
    let headwater = scene.start()?;
    scene.database.execute("insert into orders values (1, 9.90, 'a'); insert into quiet values (1, 'a')")?;
    scene.events("orders", 1)?;
    scene.events("quiet", 1)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    Ok(scene)
}

/// What every command of this kind is given: no Kafka, no name, no file.
fn neighbours<D: Store>(scene: &Scene<D>) -> Vec<String> {
    ["--registry-url", &scene.neighbours.registry, "--tables", &scene.tables[0], "--topic-prefix", &scene.name]
        .map(str::to_owned)
        .to_vec()
}

fn schema<D: Store>(scene: &Scene<D>, arguments: &[&str]) -> Result<(i32, String)> {
    let all = neighbours(scene);
    let all: Vec<&str> = ["schema"].iter().chain(arguments).copied().chain(all.iter().map(String::as_str)).collect();
    let (code, text) = command(&all)?;
    Ok((code, text.replace(&scene.name, "shop")))
}

/// A file in a folder of the test's own.
fn file(scene_name: &str, name: &str, text: &str) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(scene_name);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Runs the script with a migration on a server; `FAIL_ON` is as given.
fn script<D: Store>(scene: &Scene<D>, server: &str, sql: &str, fail_on: &str) -> Result<(i32, String)> {
    let path = file(&scene.name, "migration.sql", sql)?;
    let output = Command::new("sh")
        .arg(SCRIPT)
        .arg(&path)
        .env("HEADWATER", BINARY)
        .env("SERVER_URL", server)
        .env("REGISTRY_URL", &scene.neighbours.registry)
        .env("TABLES", &scene.tables[0])
        .env("TOPIC_PREFIX", &scene.name)
        .env("FAIL_ON", fail_on)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code().unwrap_or(-1), text.replace(&scene.name, "shop")))
}

/// How many versions the registry has under the pipeline's subjects.
fn versions<D: Store>(scene: &Scene<D>, table: &str) -> Result<usize> {
    let shown = schema(scene, &["show", table, "--output", "json"])?;
    ensure!(shown.0 == 0, "{}", shown.1);
    let shown: Json = serde_json::from_str(&shown.1)?;
    let subjects = shown["subjects"].as_array().context("no subjects")?;
    Ok(subjects.iter().filter_map(|subject| subject["versions"].as_array()).map(Vec::len).sum())
}

/// A role that may make databases and nothing else: all that it makes can be counted.
struct Role<'a> {
    scene: &'a Scene<Database>,
    url: String,
}

impl<'a> Role<'a> {
    fn new(scene: &'a Scene<Database>) -> Result<Self> {
        scene.database.execute(&format!("create role {} login createdb", scene.name))?;
        let url = scene.database.url().replace("postgres@", &format!("{}@", scene.name));
        Ok(Self { scene, url })
    }

    /// The databases that it has.
    fn databases(&self) -> Result<String> {
        self.scene.database.value(&format!(
            "select count(*) from pg_database d join pg_roles r on r.oid = d.datdba where rolname = '{}'",
            self.scene.name
        ))
    }
}

#[test]
fn a_ci_job_is_told_what_a_migration_does() -> Result<()> {
    let scene = ran("schema_ci")?;
    let role = Role::new(&scene)?;
    let before = versions(&scene, "public.orders")?;
    let run = |sql: &str, fail_on: &str| script(&scene, &role.url, sql, fail_on);
    let (code, text) = run("create index concurrently on orders (price);", "safe-if-agreed")?;
    assert_eq!((code, text.as_str()), (0, "safe: nothing changes\nschema check: go on\n"));
    let (code, text) = run(
        "begin; alter table orders add placed timestamptz; create table fresh (id int primary key); commit;",
        "safe-if-agreed",
    )?;
    assert_eq!(code, 0, "{text}");
    insta::assert_snapshot!(text, @r"
public.fresh (new): safe
  note: its first change makes the topic shop.public.fresh and the first version of its schemas
  for the reviewer: A new table: nobody reads shop.public.fresh yet.

public.orders: safe
  safe  `placed` is new: timestamp with time zone
    running    does not see it, and loses nothing else
    replaying  sees null in events from before the change
    to do      nothing to do
  subject shop.public.orders-value, level NONE: the registry accepts, our evaluation of its level accepts
  for the reviewer: No consumer of shop.public.orders can notice this.

safe: 2 of 3 tables change
schema check: go on
");
    let drop = "alter table orders drop note;";
    assert_eq!(run(drop, "breaks-replay")?.0, 0);
    let (code, text) = run(drop, "safe-if-agreed")?;
    assert_eq!(code, 6, "{text}");
    ensure!(text.contains("Merge this when the consumers of shop.public.orders have agreed: `note` is gone"), "{text}");
    // The number of the column proves it: a registry, and two catalogues, see one that went and one that came.
    let (code, text) =
        run("alter table orders rename note to remark; alter table quiet rename to loud;", "breaks-replay")?;
    assert_eq!(code, 8, "{text}");
    ensure!(text.contains("corrupts-silently  `note` is called `remark`"), "{text}");
    ensure!(text.contains("the registry accepts, our evaluation of its level accepts"), "{text}");
    ensure!(text.contains("public.loud (new)") && text.contains("public.quiet (dropped): safe-if-agreed"), "{text}");
    ensure!(text.ends_with("3 of 3 tables change\nschema check: consumers would read wrong values\n"), "{text}");
    let (code, text) = run("-- a mistake\n\nalter table nowhere add a int;", "breaks-replay")?;
    assert_eq!(code, 3, "{text}");
    ensure!(text.contains("migration.sql, line 3: relation \"nowhere\" does not exist"), "{text}");
    ensure!(text.contains("--base FILE") && text.contains("it could not be done"), "{text}");
    assert_eq!(versions(&scene, "public.orders")?, before, "something was registered");
    assert_eq!(role.databases()?, "0", "a throw-away database was left behind");
    Ok(())
}

#[test]
fn an_interrupted_check_leaves_nothing_behind() -> Result<()> {
    let scene = ran("schema_interrupted")?;
    let role = Role::new(&scene)?;
    let path = file(&scene.name, "slow.sql", &"select pg_sleep(1);\n".repeat(120))?;
    let mut check = Command::new(BINARY)
        .args(["schema", "check", "--server", &role.url, "--migration"])
        .arg(&path)
        .args(neighbours(&scene))
        .spawn()?;
    let sleeping = format!(
        "select count(*) from pg_stat_activity where usename = '{}' and query like '%pg_sleep%' and state = 'active'",
        scene.name
    );
    eventually(PATIENCE, "the migration to run", || {
        ensure!(scene.database.value(&sleeping)? == "1", "it does not");
        Ok(())
    })?;
    assert_eq!(role.databases()?, "1");
    ensure!(Command::new("kill").arg("-INT").arg(check.id().to_string()).status()?.success());
    assert_eq!(check.wait()?.code(), Some(3));
    assert_eq!(role.databases()?, "0", "a throw-away database was left behind");
    Ok(())
}

#[test]
fn a_registry_that_refuses_is_heard() -> Result<()> {
    let scene = ran("schema_level")?;
    let subject = format!("{}-value", scene.topic("orders"));
    testkit::shared::registry().set_level(Some(&subject), "FULL")?;
    scene.database.execute("alter table orders alter note type bigint using null")?;
    let url = scene.database.url();
    let (code, text) = schema(&scene, &["check", "--database", &url, "--output", "json"])?;
    let report: Json = serde_json::from_str(&text)?;
    let table = &report["tables"][0];
    let findings = table["findings"].as_array().context("no findings")?;
    ensure!(code == 7 && findings.iter().any(|finding| finding["rule"] == "registry-refuses"), "{code} {text}");
    let subject = &table["subjects"][0];
    assert_eq!(subject["level"], "FULL");
    assert_eq!((&subject["local"]["compatible"], &subject["registry"]["compatible"]), (&false.into(), &false.into()));
    ensure!(subject["local"]["messages"][0].as_str().is_some_and(|text| text.contains("version 1")), "{text}");
    Ok(())
}

#[test]
fn a_database_with_the_migration_is_compared_with_the_registry() -> Result<()> {
    let scene = ran("schema_database")?;
    let url = scene.database.url();
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    assert_eq!((code, text.as_str()), (0, "safe: nothing changes\n"));
    scene.database.execute(
        "alter table orders alter price type numeric(12,4); alter type mood add value 'glad'; drop table quiet",
    )?;
    let (code, text) = schema(&scene, &["check", "--database", &url, "--output", "json"])?;
    assert_eq!(code, 8, "{text}");
    let report: Json = serde_json::from_str(&text)?;
    assert_eq!(report["verdict"], "corrupts-silently");
    assert_eq!(report["exit_code"], 8);
    let changes = report["tables"].as_array().context("no tables")?;
    let change = |table: &Json| format!("{} {} {}", table["table"], table["change"], table["verdict"]).replace('"', "");
    let changes: Vec<String> = changes.iter().map(change).collect();
    assert_eq!(changes, ["public.orders changed corrupts-silently", "public.quiet dropped safe-if-agreed"]);
    let findings = report["tables"][0]["findings"].as_array().context("no findings")?;
    let of = |column: &str| findings.iter().any(|finding| finding["column"] == column);
    ensure!(of("price") && of("mood"), "{text}");
    let subject = &report["tables"][0]["subjects"][0];
    assert_eq!(subject["subject"], "shop.public.orders-value");
    assert_eq!((&subject["local"]["compatible"], &subject["registry"]["compatible"]), (&true.into(), &true.into()));
    // What the registry lets pass is refused here; in GitHub's words as an error, in a comment as a row.
    let summary = file(&scene.name, "summary.md", "# Job\n")?;
    let output = Command::new(BINARY)
        .args(["schema", "check", "--database", &url, "--output", "github"])
        .args(neighbours(&scene))
        .env("GITHUB_STEP_SUMMARY", &summary)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(text.contains("::error title=public.orders%3A corrupts-silently::`price` "), "{text}");
    ensure!(text.contains("::warning title=public.quiet%3A safe-if-agreed::"), "{text}");
    let summary = std::fs::read_to_string(summary)?;
    ensure!(summary.starts_with("# Job\n## headwater schema check: corrupts-silently\n"), "{summary}");
    ensure!(summary.contains("| **corrupts-silently** | `price` | "), "{summary}");
    // The same for a person who asks for the table.
    let (code, text) = schema(&scene, &["diff", "public.orders", "--source-url", &url])?;
    ensure!(code == 0 && text.starts_with("from version 1 to the database: corrupts-silently\n"), "{text}");
    Ok(())
}

#[test]
fn show_diff_and_history_tell_what_is_registered() -> Result<()> {
    let scene = Scene::new("schema_history", TABLES)?;
    let headwater = scene.start()?;
    scene.database.execute("insert into orders values (1, 9.90, 'a')")?;
    scene.events("orders", 1)?;
    scene.database.execute("alter table orders add placed date; insert into orders values (2, 9.90, 'b')")?;
    scene.events("orders", 2)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    let (code, text) = schema(&scene, &["history", "public.orders"])?;
    ensure!(code == 0 && text.contains("version 2 (id ") && text.contains("`placed` is new: date"), "{text}");
    let (code, text) = schema(&scene, &["diff", "public.orders", "--from", "1", "--to", "2"])?;
    ensure!(code == 0 && text.starts_with("from version 1 to version 2: safe"), "{text}");
    let (code, text) = schema(&scene, &["show", "public.orders"])?;
    assert_eq!(code, 0, "{text}");
    let columns = text.split("\nsubject ").next().unwrap_or_default();
    insta::assert_snapshot!(columns, @r"
public.orders -> shop.public.orders

column   avro             sql type       null  key
id       long             bigint         no    1
price    decimal(10,2)    numeric(10,2)  no
note     string           text           yes
mood     string           public.mood    yes
contact  string           public.email   yes
moods    array of string  public.mood[]  yes
placed   date             date           yes
");
    let (code, text) = schema(&scene, &["show", "public.nowhere"])?;
    ensure!(code == 3 && text.contains("there is no subject shop.public.nowhere-value"), "{text}");
    Ok(())
}

/// As after `schema release --new-version`: the events go to `<topic>.v2`, and nobody writes to the old topic any more.
#[test]
fn a_released_table_is_judged_by_the_newest_version_of_its_topic() -> Result<()> {
    let scene = ran("schema_released")?;
    let url = scene.database.url();
    scene.database.execute("alter table orders rename note to remark")?;
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    ensure!(code == 8 && text.contains("  subject shop.public.orders-value"), "{code} {text}");
    let value = registered(&scene, "orders-value")?.replace("\"name\":\"note\"", "\"name\":\"remark\"");
    for (part, text) in [("key", registered(&scene, "orders-key")?), ("value", value)] {
        testkit::shared::registry().register(&format!("{}.v2-{part}", scene.topic("orders")), &text)?;
    }
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    assert_eq!((code, text.as_str()), (0, "safe: nothing changes\n"));
    scene.database.execute("alter table orders drop remark")?;
    let (code, text) = schema(&scene, &["check", "--database", &url, "--fail-on", "safe-if-agreed"])?;
    ensure!(code == 6 && text.contains("  subject shop.public.orders.v2-value"), "{code} {text}");
    ensure!(text.contains("the consumers of shop.public.orders.v2 have agreed"), "{text}");
    let (code, text) = schema(&scene, &["show", "public.orders"])?;
    ensure!(code == 0 && text.starts_with("public.orders -> shop.public.orders.v2\n"), "{code} {text}");
    ensure!(text.contains("\nremark "), "{text}");
    let (code, text) = schema(&scene, &["history", "public.orders"])?;
    let subjects: Vec<&str> = text.lines().filter(|line| line.starts_with("shop.")).collect();
    let expected =
        ["orders-value", "orders-key", "orders.v2-value", "orders.v2-key"].map(|name| format!("shop.public.{name}"));
    assert_eq!((code, subjects), (0, expected.iter().map(String::as_str).collect()));
    Ok(())
}

/// The subject of a key stays when the key has gone, and that was accepted.
/// The newest version of the schema knows nothing of it, the topic's older events do.
#[test]
fn a_name_that_comes_back_is_found_in_older_versions() -> Result<()> {
    let scene = ran("schema_back")?;
    scene.database.execute("alter table orders drop column note")?;
    let headwater = scene.start()?;
    scene.database.execute("insert into orders values (2, 9.90)")?;
    scene.events("orders", 2)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    let check = |sql: &str| script(&scene, &scene.database.url(), sql, "breaks-replay");
    let (code, text) = check("alter table orders add note bytea")?;
    ensure!(code == 8 && text.contains("`note` is another column than before"), "{code} {text}");
    let (code, text) = check("alter table orders add remark bytea")?;
    ensure!(code == 0 && text.contains("`remark` is new"), "{code} {text}");
    Ok(())
}

#[test]
fn a_key_that_has_gone_is_not_found_missing_for_ever() -> Result<()> {
    let scene = ran("schema_keyless")?;
    let url = scene.database.url();
    scene.database.execute("alter table orders drop constraint orders_pkey")?;
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    ensure!(code == 8 && text.contains("the table has no key instead of the key (id long)"), "{code} {text}");
    let (plain, optional) =
        ("\"name\":\"id\",\"type\":\"long\"", "\"name\":\"id\",\"type\":[\"null\",\"long\"],\"default\":null");
    let value = registered(&scene, "orders-value")?.replacen(plain, optional, 1);
    testkit::shared::registry().register(&format!("{}-value", scene.topic("orders")), &value)?;
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    assert_eq!((code, text.as_str()), (0, "safe: nothing changes\n"));
    Ok(())
}

/// A server that does not let go of the throw-away database costs a warning, not the report.
#[test]
fn a_report_outlives_its_throw_away_database() -> Result<()> {
    let scene = ran("schema_undroppable")?;
    let role = Role::new(&scene)?;
    let sql = "alter table orders drop note;\n\
        do $$ begin execute format('alter database %I is_template true', current_database()); end $$;";
    let (code, text) = script(&scene, &role.url, sql, "safe-if-agreed")?;
    let left = format!(
        "select datname from pg_database d join pg_roles r on r.oid = d.datdba where rolname = '{}'",
        scene.name
    );
    let left = scene.database.value(&left)?;
    scene.database.execute(&format!("alter database {left} is_template false"))?;
    scene.database.execute(&format!("drop database {left}"))?;
    ensure!(code == 6 && text.contains("public.orders: safe-if-agreed"), "{code} {text}");
    ensure!(
        text.contains(&format!("warning: the throw-away database is still there: dropping the database {left}")),
        "{text}"
    );
    Ok(())
}

/// The running process is on this machine; its token is not for a proxy.
#[test]
fn no_proxy_sees_what_the_running_process_is_told() -> Result<()> {
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    proxy.set_nonblocking(true)?;
    let (url, nobody) = (format!("http://{}", proxy.local_addr()?), TcpListener::bind("127.0.0.1:0")?.local_addr()?);
    let mut release = Command::new(BINARY);
    release.args(["schema", "release", "public.orders", "--accept", "--admin-listen", &nobody.to_string()]);
    release.args(["--registry-url", "http://localhost:1", "--topic-prefix", "shop"]);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        release.env(variable, &url);
    }
    let output = release.env_remove("NO_PROXY").env_remove("no_proxy").output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(text.contains(&format!("no answer from the running process at http://{nobody}")), "{text}");
    ensure!(proxy.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the proxy was asked");
    Ok(())
}

#[test]
fn schemas_in_a_folder_need_no_database() -> Result<()> {
    let scene = ran("schema_avsc")?;
    let value = registered(&scene, "orders-value")?;
    let folder = |name: &str, text: &str| -> Result<String> {
        let path = file(&format!("{}_{name}", scene.name), &format!("{name}.avsc"), text)?;
        Ok(path.parent().unwrap_or_else(|| Path::new(".")).display().to_string())
    };
    let check = |folder: &str| schema(&scene, &["check", "--avsc", folder]);
    let (code, text) = check(&folder(&scene.topic("orders"), &value)?)?;
    let expected = "not looked at: public.quiet\n\nsafe: nothing changes; 1 table not looked at\n";
    assert_eq!((code, text.as_str()), (0, expected));
    let scaled = value.replace("\"precision\":10,\"scale\":2", "\"precision\":10,\"scale\":4");
    ensure!(scaled != value, "{value}");
    // Under any name the record inside says which table is meant.
    let (code, text) = check(&folder("orders_of_tomorrow", &scaled)?)?;
    ensure!(code == 8 && text.contains("`price` "), "{code} {text}");
    // A key has consequences without a new value.
    let key = registered(&scene, "orders-key")?.replace("\"long\"", "\"string\"");
    let (code, text) = check(&folder(&format!("{}-key", scene.topic("orders")), &key)?)?;
    ensure!(code == 8 && text.contains("the key (id string) instead of the key (id long)"), "{code} {text}");
    let (code, text) = check(&folder(&format!("{}-key", scene.topic("quiet")), "{")?)?;
    ensure!(code == 3 && text.contains("quiet-key.avsc: "), "{code} {text}");
    let (code, text) = check(&folder("stranger", "{\"type\":\"record\",\"name\":\"Stranger\",\"fields\":[]}")?)?;
    ensure!(code == 3 && text.contains("stranger.avsc belongs to no table"), "{code} {text}");
    Ok(())
}

/// The newest text under a subject, without the part of its name that all have.
fn registered<D: Store>(scene: &Scene<D>, subject: &str) -> Result<String> {
    let url = format!("{}/subjects/{}/versions/latest", scene.neighbours.registry, scene.topic(subject));
    let answer: Json = serde_json::from_str(&ureq::get(&url).call()?.body_mut().read_to_string()?)?;
    Ok(answer["schema"].as_str().context("no schema")?.to_owned())
}

#[test]
fn a_dump_of_the_structure_is_a_base() -> Result<()> {
    let scene = ran("schema_base")?;
    let base = format!("\\restrict x\nselect pg_catalog.set_config('search_path', '', false);\n{QUALIFIED}");
    let base = file(&scene.name, "base.sql", &base)?.display().to_string();
    let migration = file(&scene.name, "migration.sql", "alter table lists add a int; alter table orders drop price;")?;
    let migration = migration.display().to_string();
    let url = scene.database.url();
    let arguments = ["check", "--server", &url, "--base", &base, "--migration", &migration];
    let (code, text) = schema(&scene, &arguments)?;
    ensure!(code == 0 && text.contains("public.lists (new): safe"), "{code} {text}");
    ensure!(text.contains("public.orders: safe-if-agreed") && text.contains("`price` "), "{text}");
    ensure!(text.contains("already before the migration the table differs from what is registered"), "{text}");
    Ok(())
}

/// As `pg_dump` writes it; some columns are not there yet.
const QUALIFIED: &str = "
    create table public.orders (id bigint not null, price numeric(10,2) not null, note text);
    alter table only public.orders add constraint orders_pkey primary key (id);
    create table public.quiet (id bigint primary key, v text);
    create table public.lists (id bigint primary key);
    \\unrestrict x\n";

fn mysql(flavour: Flavour) -> Result<()> {
    let scene: Scene<MySqlDatabase> = Scene::of(
        flavour,
        "schema_mysql",
        "create table orders (id int unsigned primary key, price decimal(10,2) not null, note varchar(40), \
         mood enum('sad','it''s fine'), flag tinyint(1), seen timestamp(3) null, big longtext, part binary(4))",
    )?;
    let headwater = scene.start()?;
    scene.database.execute("insert into orders (id, price) values (1, 9.90)")?;
    scene.events("orders", 1)?;
    assert_eq!(headwater.terminate(PATIENCE)?, 0, "{}", headwater.output());
    let url = scene.database.url();
    let (code, text) = schema(&scene, &["check", "--database", &url])?;
    ensure!(code == 0 && text.ends_with("nothing changes\n"), "{code} {text}");
    // A server with a database, whichever: nothing may be made or dropped there, and the migration could name it.
    let empty = MySql::start(flavour)?;
    let server = empty.maintenance();
    server.execute("create database billing; create table billing.invoices (id int)")?;
    for (url, database) in [(url, ""), (server.url(), "billing")] {
        let (code, text) = script(&scene, &url, "alter table billing.invoices add a int", "breaks-replay")?;
        ensure!(code == 3 && text.contains("an empty server"), "{code} {text}");
        ensure!(text.contains(&format!("has a database {database}")), "{text}");
    }
    assert_eq!(scene.database.value("select count(*) from orders")?, "1");
    server.execute("drop database billing")?;
    let (code, text) = script(
        &scene,
        &server.url(),
        "alter table orders add placed datetime, modify price decimal(12,4) not null;\n\
         delimiter //\ncreate trigger t before insert on orders for each row begin set new.note = 'a'; end//\n",
        "breaks-replay",
    )?;
    ensure!(code == 8 && text.contains("`price` ") && text.contains("`placed` "), "{code} {text}");
    ensure!(!text.contains("already before the migration"), "the table was not rebuilt as it is registered: {text}");
    // Columns have no numbers: the statements say which went, and which is called otherwise.
    let (code, text) = script(
        &scene,
        &server.url(),
        "alter table orders rename column note to `re;mark`, drop big;\nset sql_mode = 'ANSI_QUOTES';\n\
         alter table orders add extra int, modify \"flag\" tinyint(1) as (price > 1) stored;",
        "breaks-replay",
    )?;
    ensure!(code == 8 && text.contains("`note` is called `re;mark`"), "{code} {text}");
    ensure!(text.contains("safe-if-agreed  `big` is gone"), "{text}");
    ensure!(text.contains("safe-if-agreed  `flag` is generated"), "{text}");
    let left = "select count(*) from information_schema.schemata where schema_name like 'db%'";
    assert_eq!(server.value(left)?, "0", "a throw-away database was left behind");
    Ok(())
}

#[test]
fn a_migration_of_mysql() -> Result<()> {
    mysql(Flavour::MySql)
}

#[test]
fn a_migration_of_mariadb() -> Result<()> {
    mysql(Flavour::MariaDb)
}
