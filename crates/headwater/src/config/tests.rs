//! The exact texts that people see, and that no secret is among them.

use std::path::Path;

use insta::assert_snapshot;
use secrecy::ExposeSecret;

use super::*;

const WHOLE: &str = r#"name = "shop"
[source]
url = "postgres://headwater:hunter2@localhost:5432/shop"
password = "${env:SOURCE_PASSWORD}"
tables = ["public.*", "!public.audit_*"]
[kafka]
brokers = "${env:BROKERS}"
topic_prefix = "shop"
[kafka.topics]
partitions = 6
config = { retention.ms = 604800000 }
[kafka.batch]
max_bytes = "8MiB"
[kafka.properties]
sasl.password = "hunter2"
"sasl.username" = "alice"
[registry]
url = "http://localhost:8081"
username = "registry"
password = "hunter2"
"#;

fn variable(name: &str) -> Option<String> {
    match name {
        "SOURCE_PASSWORD" => Some("hunter2".into()),
        "BROKERS" => Some("hunter2:9092".into()),
        "BAD_NAME" => Some("Hunter2".into()),
        _ => None,
    }
}

fn load(text: &str, flags: &FlagValues) -> Result<Loaded, ConfigError> {
    Loaded::assemble(Some(Document::new(Path::new("shop.toml"), text.into())), flags, &[], &variable)
}

/// The text of the error; also checks that no way to print it shows a secret.
fn error(text: &str) -> String {
    let error = load(text, &Vec::new()).map(|_| ()).unwrap_err();
    let shown = error.to_string();
    for printed in [&shown, &format!("{error:?}")] {
        assert!(!printed.to_lowercase().contains("hunter2"), "a secret in: {printed}");
    }
    shown
}

/// The error of a file that is right but for some lines in place of others.
fn mistake(right: &str, wrong: &str) -> String {
    assert!(WHOLE.contains(right), "{right}");
    error(&WHOLE.replacen(right, wrong, 1))
}

#[test]
fn a_whole_file_is_read() {
    let config = load(WHOLE, &Vec::new()).unwrap().config;
    assert_eq!(config.name, "shop");
    assert_eq!(config.source.slot, "shop");
    assert_eq!(config.source.password.unwrap().expose_secret(), "hunter2");
    assert_eq!(config.source.tables, ["public.*", "!public.audit_*"]);
    assert_eq!(config.kafka.brokers, "hunter2:9092");
    assert_eq!(config.kafka.delivery, Delivery::ExactlyOnce);
    assert_eq!(config.kafka.topics.partitions, 6);
    assert_eq!(config.kafka.topics.config["retention.ms"], "604800000");
    assert_eq!(config.kafka.batch.max_bytes, 8 << 20);
    assert_eq!(config.kafka.properties["sasl.password"].expose_secret(), "hunter2");
    assert_eq!(config.kafka.properties["sasl.username"].expose_secret(), "alice");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9808");
    assert!(matches!(config.registry.login, Login::Basic { .. }));
}

#[test]
fn every_key_of_the_table_is_used_and_every_used_key_is_in_the_table() {
    let mut settings = Settings::read(Some(Document::new(Path::new("f"), WHOLE.into())), &Vec::new(), &variable);
    assert!(Config::assemble(&mut settings).is_some());
    let known: std::collections::BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
    assert_eq!(*settings.taken(), known);
    let page = reference_markdown();
    for key in KEYS {
        assert!(page.contains(&format!("| `{}` |", key.leaf())), "{}", key.path);
        if let Absent::Value(text) = key.absent {
            assert!(value::parse(key.kind, secret::Text::new(text, false)).is_ok(), "default of {}", key.path);
        }
        if let Absent::Required { .. } = key.absent {
            assert!(key.flag.is_some(), "{} is required and has no flag", key.path);
        }
    }
}

#[test]
fn flags_suffice_and_win() {
    let flags = vec![
        ("name", vec!["other".into()]),
        ("source.url", vec!["postgres://u:hunter2@h/d".into()]),
        ("source.tables", vec!["public.a".into(), "public.b".into()]),
        ("kafka.brokers", vec!["h:9092".into()]),
        ("kafka.topic_prefix", vec!["p".into()]),
        ("kafka.delivery", vec!["at-least-once".into()]),
        ("registry.url", vec!["http://h".into()]),
    ];
    let alone = Loaded::assemble(None, &flags, &[], &variable).unwrap();
    assert_eq!(alone.config.source.tables, ["public.a", "public.b"]);
    assert_eq!(alone.config.kafka.delivery, Delivery::AtLeastOnce);
    let loaded = load(WHOLE, &flags[..1].to_vec()).unwrap();
    assert_eq!(loaded.config.name, "other");
    assert_eq!(loaded.config.source.slot, "other");
    assert_eq!(loaded.shown()[0], Shown { key: "name", value: "other".into(), origin: "--name".into() });
}

#[test]
fn nothing_shows_a_secret() {
    let loaded = load(WHOLE, &Vec::new()).unwrap();
    for printed in [format!("{loaded:?}"), format!("{loaded:#?}"), serde_json::to_string(loaded.shown()).unwrap()] {
        assert!(!printed.contains("hunter2") && !printed.contains("alice"), "{printed}");
    }
    assert_snapshot!(format!("{loaded:#?}"), @r###"
{
    "name": "shop",
    "source.url": "postgres://headwater:***@localhost:5432/shop",
    "source.password": "[hidden]",
    "source.tables": "public.*, !public.audit_*",
    "source.snapshot": "initial",
    "source.snapshot_workers": "2",
    "source.slot": "shop",
    "source.publication": "shop",
    "source.table_refresh": "10s",
    "source.connect_timeout": "10s",
    "source.read_timeout": "60s",
    "kafka.brokers": "[hidden]",
    "kafka.topic_prefix": "shop",
    "kafka.delivery": "exactly-once",
    "kafka.checkpoint_topic": "__headwater_checkpoints",
    "kafka.tombstones": "true",
    "kafka.transaction_timeout": "60s",
    "kafka.topics.partitions": "6",
    "kafka.topics.replication_factor": "-1",
    "kafka.topics.config": "retention.ms = 604800000",
    "kafka.batch.max_bytes": "8MiB",
    "kafka.batch.max_time": "250ms",
    "kafka.properties": "sasl.password = [hidden], sasl.username = [hidden]",
    "registry.url": "http://localhost:8081",
    "registry.username": "registry",
    "registry.password": "[hidden]",
    "registry.register": "true",
    "registry.subject_naming": "topic",
    "evolution.on_change": "evolve",
    "admin.listen": "127.0.0.1:9808",
}
"###);
}

#[test]
fn a_crate_s_own_judgement_points_at_the_line() {
    let loaded = load(WHOLE, &Vec::new()).unwrap();
    assert_snapshot!(loaded.refuse("kafka.properties.sasl.password", "headwater sets this itself", None), @r###"
shop.toml:15:17: headwater sets this itself
  15 | sasl.password = [hidden]
     |                 ^^^^^^^^
"###);
    assert_snapshot!(loaded.refuse("kafka.brokers", "no such host", Some("ask the network".into())), @r###"
shop.toml:7:11: no such host
  7 | brokers = "${env:BROKERS}"
    |           ^^^^^^^^^^^^^^^^
  help: ask the network
"###);
    assert_snapshot!(loaded.refuse("kafka.delivery", "the broker is too old", None), @r#"`kafka.delivery`: the broker is too old"#);
}

#[test]
fn unknown_keys_name_the_nearest() {
    assert_snapshot!(mistake("tables = [", "tabels = ["), @r###"
shop.toml:5:1: unknown key `source.tabels`
  5 | tabels = [hidden]
    | ^^^^^^
  help: did you mean `tables`?
"###);
    assert_snapshot!(mistake("[registry]", "[registy]"), @r###"
shop.toml:17:2: unknown key `registy`
  17 | [registy]
     |  ^^^^^^^
  help: did you mean `registry`?
"###);
    assert_snapshot!(mistake("topic_prefix = \"shop\"", "topic_prefix = \"shop\"\ntables = [\"a.b\"]"), @r###"
shop.toml:9:1: unknown key `kafka.tables`
  9 | tables = [hidden]
    | ^^^^^^
  help: `tables` stands in [source]
"###);
    assert_snapshot!(mistake("\npassword = \"hunter2\"", "\npasswrd = \"hunter2\""), @r###"
shop.toml:20:1: unknown key `registry.passwrd`
  20 | passwrd = [hidden]
     | ^^^^^^^
  help: did you mean `password`?

shop.toml:19:12: `registry.username`: a user and a password go together
  19 | username = "registry"
     |            ^^^^^^^^^^
  help: set `password` in [registry]
"###);
    assert_snapshot!(mistake("partitions = 6", "partitions = 6\nzzz = \"hunter2\""), @r###"
shop.toml:11:1: unknown key `kafka.topics.zzz`
  11 | zzz = [hidden]
     | ^^^
  help: known in [kafka.topics]: `config`, `partitions`, `replication_factor`
"###);
}

#[test]
fn wrong_types_say_what_is_right() {
    assert_snapshot!(mistake("\"shop\"", "5"), @r###"
shop.toml:1:8: `name`: expected a text, found a number without quotes
  1 | name = 5
    |        ^
  help: write name = "…"
"###);
    assert_snapshot!(mistake("[\"public.*\", \"!public.audit_*\"]", "true"), @r###"
shop.toml:5:10: `source.tables`: expected a list of texts, found true or false
  5 | tables = true
    |          ^^^^
  help: write tables = ["…"]
"###);
    assert_snapshot!(mistake("\"!public.audit_*\"", "7"), @r###"
shop.toml:5:23: `source.tables`: expected a text, found a number without quotes
  5 | tables = ["public.*", 7]
    |                       ^
  help: put it between double quotes
"###);
    assert_snapshot!(mistake("partitions = 6", "partitions = [6]"), @r###"
shop.toml:10:14: `kafka.topics.partitions`: expected a whole number, found a list
  10 | partitions = [6]
     |              ^^^
  help: write partitions = 1
"###);
    assert_snapshot!(mistake("\"hunter2\"\n\"sasl", "[\"hunter2\"]\n\"sasl"), @r###"
shop.toml:15:17: `kafka.properties`: expected a text, found a list
  15 | sasl.password = [hidden]
     |                 ^^^^^^^^
  help: put it between double quotes
"###);
    assert_snapshot!(mistake("[registry]", "[[registry]]"), @r###"
shop.toml:17:1: `registry` is a section, not a value
  17 | [[registry]]
     | ^^^^^^^^^^^^
  help: write [registry] on a line of its own, and its keys below
"###);
    assert_snapshot!(mistake("\npassword = \"hunter2\"", "\npassword = 7272"), @r###"
shop.toml:20:12: `registry.password`: expected a text, found a number without quotes
  20 | password = [hidden]
     |            ^^^^
  help: write password = "…"

shop.toml:19:12: `registry.username`: a user and a password go together
  19 | username = "registry"
     |            ^^^^^^^^^^
  help: set `password` in [registry]
"###);
}

#[test]
fn illegal_values_say_what_is_legal() {
    assert_snapshot!(mistake("name = \"shop\"", "name = \"Shop-1\""), @r###"
shop.toml:1:8: `name`: `Shop-1` cannot name a pipeline or a replication slot: only lower case letters, digits and `_`, 1 to 63 of them
  1 | name = "Shop-1"
    |        ^^^^^^^^
  help: write "shop_1"
"###);
    assert_snapshot!(mistake("name = \"shop\"", "name = \"${env:BAD_NAME}\""), @r###"
shop.toml:1:8: `name`: this value cannot name a pipeline or a replication slot: only lower case letters, digits and `_`, 1 to 63 of them
  1 | name = "${env:BAD_NAME}"
    |        ^^^^^^^^^^^^^^^^^
"###);
    assert_snapshot!(mistake("topic_prefix = \"shop\"", "topic_prefix = \"my shop\""), @r###"
shop.toml:8:16: `kafka.topic_prefix`: `my shop` cannot begin a topic's name: only letters, digits, `.`, `_` and `-`, 1 to 121 of them
  8 | topic_prefix = "my shop"
    |                ^^^^^^^^^
"###);
    assert_snapshot!(mistake("\"8MiB\"", "\"8 mega\""), @r###"
shop.toml:13:13: `kafka.batch.max_bytes`: `8 mega` is not a size
  13 | max_bytes = "8 mega"
     |             ^^^^^^^^
  help: write bytes, or a number with a unit: "512KiB" or "16MiB"
"###);
    assert_snapshot!(mistake("\"8MiB\"", "12"), @r###"
shop.toml:13:13: `kafka.batch.max_bytes`: `12` is too small
  13 | max_bytes = 12
     |             ^^
  help: write a value from 1KiB to 1GiB
"###);
    assert_snapshot!(mistake("max_bytes = \"8MiB\"", "max_time = \"10\""), @r###"
shop.toml:13:12: `kafka.batch.max_time`: `10` is not a duration
  13 | max_time = "10"
     |            ^^^^
  help: write a number with a unit: "500ms", "10s", "5m" or "1h"
"###);
    assert_snapshot!(mistake("max_bytes = \"8MiB\"", "max_time = \"1h\""), @r###"
shop.toml:13:12: `kafka.batch.max_time`: `1h` is too large
  13 | max_time = "1h"
     |            ^^^^
  help: write a value from 1ms to 5s
"###);
    assert_snapshot!(mistake("partitions = 6", "partitions = 0"), @r###"
shop.toml:10:14: `kafka.topics.partitions`: `0` is too small
  10 | partitions = 0
     |              ^
  help: write a value from 1 to 10000
"###);
    assert_snapshot!(mistake("tables = [\"public.*\"", "snapshot = \"no\"\ntables = [\"public.*\""), @r###"
shop.toml:5:12: `source.snapshot`: `no` is not one of the choices
  5 | snapshot = "no"
    |            ^^^^
  help: write "initial" or "never"
"###);
    assert_snapshot!(mistake("\"public.*\", \"!public.audit_*\"", "\"orders\""), @r###"
shop.toml:5:10: `source.tables`: `orders` names no schema
  5 | tables = ["orders"]
    |          ^^^^^^^^^^
  help: write "public.orders"
"###);
    assert_snapshot!(mistake("\"public.*\", ", ""), @r###"
shop.toml:5:10: `source.tables`: no table is captured
  5 | tables = ["!public.audit_*"]
    |          ^^^^^^^^^^^^^^^^^^^
  help: add a pattern without `!`, such as "public.*"
"###);
    assert_snapshot!(mistake("postgres://headwater", "oracle://headwater"), @r###"
shop.toml:3:7: `source.url`: the URL of the database must begin with postgres://, mysql:// or mariadb://
  3 | url = "oracle://headwater:***@localhost:5432/shop"
    |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: write postgres://user@host:5432/database, or mysql://user@host:3306
"###);
    let slot = "mysql://headwater:hunter2@localhost:5432/shop\"\nslot = \"s\"";
    assert_snapshot!(mistake("postgres://headwater:hunter2@localhost:5432/shop\"", slot), @r###"
shop.toml:4:8: `source.slot`: only for PostgreSQL
  4 | slot = "s"
    |        ^^^
  help: leave it out
"###);
    assert_snapshot!(mistake("[source]", "[source]\nserver_id = 7"), @r###"
shop.toml:3:13: `source.server_id`: only for MySQL and MariaDB
  3 | server_id = 7
    |             ^
  help: leave it out
"###);
    assert_snapshot!(mistake("username = \"registry\"\n", ""), @r###"
shop.toml:19:12: `registry.password`: a user and a password go together
  19 | password = [hidden]
     |            ^^^^^^^^
  help: set `username` in [registry]
"###);
    assert_snapshot!(mistake("http://localhost:8081", "http://me:hunter2@localhost:8081"), @r###"
shop.toml:18:7: `registry.url`: the registry's URL carries a login
  18 | url = "http://me:***@localhost:8081"
     |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  help: take it out of the URL, and set `username` and `password` in [registry]
"###);
}

#[test]
fn what_is_missing_is_named_with_its_flag() {
    assert_snapshot!(error("name = \"shop\"\n"), @r###"
shop.toml: `source.url` is required
  help: write url = "postgres://headwater@localhost:5432/shop" in [source], or pass --source-url 'postgres://headwater@localhost:5432/shop'

shop.toml: `source.tables` is required
  help: write tables = ["public.*"] in [source], or pass --tables 'public.*'

shop.toml: `kafka.brokers` is required
  help: write brokers = "localhost:9092" in [kafka], or pass --brokers 'localhost:9092'

shop.toml: `kafka.topic_prefix` is required
  help: write topic_prefix = "shop" in [kafka], or pass --topic-prefix 'shop'

shop.toml: `registry.url` is required
  help: write url = "http://localhost:8081" in [registry], or pass --registry-url 'http://localhost:8081'
"###);
    assert_snapshot!(Loaded::assemble(None, &Vec::new(), &[], &variable).unwrap_err().to_string().lines().take(2).collect::<Vec<_>>().join("\n"), @r###"
`name` is required
  help: pass --name 'shop', or name a file with -c
"###);
    assert_snapshot!(mistake("${env:SOURCE_PASSWORD}", "${env:NO_SUCH}"), @r###"
shop.toml:4:12: `source.password`: environment variable `NO_SUCH` is not set
  4 | password = [hidden]
    |            ^^^^^^^^
  help: set it before the start: export NO_SUCH=…
"###);
    assert_snapshot!(mistake("${env:SOURCE_PASSWORD}", "${file:/no/such/file}"), @r###"
shop.toml:4:12: `source.password`: cannot read the file `/no/such/file`: No such file or directory (os error 2)
  4 | password = [hidden]
    |            ^^^^^^^^
  help: look at it as the user that runs headwater: ls -l /no/such/file
"###);
    let missing = Loaded::load(Some(Path::new("/no/such.toml")), &Vec::new()).unwrap_err();
    assert_snapshot!(missing, @r#"cannot read the configuration file /no/such.toml"#);
    let flags = vec![("kafka.delivery", vec!["twice".into()])];
    assert_snapshot!(load(WHOLE, &flags).unwrap_err(), @r###"
--delivery: `twice` is not one of the choices
  help: write "exactly-once" or "at-least-once"
"###);
}

#[test]
fn broken_toml_shows_the_line_but_no_secret() {
    assert_snapshot!(mistake("name = \"shop\"", "name = \"shop"), @r###"
shop.toml:1:13: invalid basic string, expected `"`
  1 | name = "shop
    |             ^
"###);
    assert_snapshot!(mistake("password = \"${env:SOURCE_PASSWORD}\"", "password = hunter2"), @r###"
shop.toml:4:12: string values must be quoted, expected literal string
  4 | password = [hidden]
    |            ^^^^^^^
"###);
    assert_snapshot!(mistake("password = \"${env:SOURCE_PASSWORD}\"", "password \"hunter2\""), @r###"
shop.toml:4:10: key with no value, expected `=`
  4 | password [hidden]
    |          ^
"###);
    assert_snapshot!(mistake("password = \"${env:SOURCE_PASSWORD}\"", "password = \"\"\"\nhunter2\n\"\"\" hunter2"), @r###"
shop.toml:6:5: unexpected key or value, expected newline, `#`
  6 | [hidden]
    |     ^
"###);
    assert_snapshot!(mistake("[registry]", "registry = { url = \"http://h\", password = \"hunter2\""), @r###"
shop.toml:18:1: missing comma between key-value pairs, expected `,`
  18 | url = [hidden]
     | ^
"###);
    assert_snapshot!(mistake("[source]", "[source"), @r###"
shop.toml:2:8: unclosed table, expected `]`
  2 | [source
    |        ^
"###);
}

#[test]
fn the_reference_page_is_whole() {
    assert_snapshot!(reference_markdown().lines().skip(30).take(14).collect::<Vec<_>>().join("\n"), @r###"
|---|---|---|---|
| `name` | text | **required**, e.g. `shop` | The pipeline's name: the key of its checkpoint, and the default of transactional id and PostgreSQL's slot and publication. Lower case letters, digits and `_`, at most 63. Flag: `--name`. |

## `[source]`

| key | type | default | meaning |
|---|---|---|---|
| `url` | text | **required**, e.g. `postgres://headwater@localhost:5432/shop` | The database: `postgres://user@host:port/database`, `mysql://user@host:port` or `mariadb://user@host:port`. TLS is asked for in the URL, in the database's own words: `?sslmode=verify-full`, `?ssl-mode=VERIFY_IDENTITY`. Flag: `--source-url`. |
| `password` | text, secret |  | The password, if it is not in the URL. |
| `tables` | list of texts | **required**, e.g. `public.*` | The tables to capture, as `schema.table`, in MySQL and MariaDB `database.table`. `*` stands for any text; a leading `!` leaves tables out. Flag: `--tables`. |
| `snapshot` | `initial` or `never` | `initial` | Whether the rows that a table already holds when it joins are published too, as events with `op` `r`. |
| `snapshot_workers` | integer, 1 to 32 | `2` | How many tables are copied at the same time, each over a connection of its own. |
| `snapshot_rate` | size, 1KiB to 1024GiB |  | How many bytes of rows all copies together read in a second, such as `20MiB`. Without it they read as fast as they can be published. |
| `snapshot_where` | table of texts |  | By table, which of its rows are copied, as SQL behind `WHERE`: `"public.orders" = "placed > now() - interval '90 days'"`. Changes of other rows are published all the same. |
"###);
}

#[test]
fn a_command_does_without_keys_that_it_does_not_use() {
    let flags: FlagValues = vec![
        ("source.url", vec!["mysql://me@ci".to_owned()]),
        ("source.tables", vec!["shop.*".to_owned()]),
        ("kafka.topic_prefix", vec!["shop".to_owned()]),
        ("registry.url", vec!["http://registry".to_owned()]),
    ];
    let variable = |_: &str| None;
    let loaded = Loaded::assemble(None, &flags, &["name", "kafka.brokers"], &variable).unwrap();
    assert_eq!(
        (loaded.config.name.as_str(), loaded.config.source.tables.as_slice()),
        ("shop", &["shop.*".to_owned()][..])
    );
    let error = Loaded::assemble(None, &flags, &["name"], &variable).unwrap_err().to_string();
    assert!(error.contains("`kafka.brokers` is required"), "{error}");
}
