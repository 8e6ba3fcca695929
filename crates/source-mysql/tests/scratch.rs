//! The throw-away databases of a schema check: a server that has others is not touched, and they go away.

#![allow(clippy::unwrap_used, reason = "a test")]

use change::SourceError;
use source_mysql::{Config, Scratch};
use testkit::{Flavour, MySql};

fn stop(error: SourceError) -> (String, String) {
    match error {
        SourceError::Stop { what, help } => (what, help),
        other => panic!("{other:?}"),
    }
}

fn check(flavour: Flavour) {
    let server = MySql::start(flavour).unwrap();
    let sql = server.maintenance();
    let config = Config::new("scratch", sql.url(), ["shop.*"]);
    let names = ["shop", "it`s"].map(str::to_owned);
    sql.execute("create database billing").unwrap();
    let (what, help) = stop(Scratch::create(&config, &names).unwrap_err());
    assert!(what.contains("has a database billing") && help.contains("an empty server"), "{what} {help}");
    assert!(sql.query("show databases like 'shop'").unwrap().is_empty());
    sql.execute("drop database billing").unwrap();

    let scratch = Scratch::create(&config, &names).unwrap();
    scratch
        .run(
            "a.sql",
            "create table shop.t (id int); /*Most of it.*/ /*M!100100 create table shop.u (id int) */;",
            &|| true,
        )
        .unwrap();
    scratch.remove().unwrap();
    Scratch::create(&config, &names).unwrap().remove().unwrap();

    // What cannot be dropped is named with the statements that drop it.
    let scratch = Scratch::create(&config, &names).unwrap();
    server.stop().unwrap();
    let (what, help) = stop(scratch.remove().unwrap_err());
    assert!(what.contains("databases may be left behind: shop, it`s"), "{what}");
    assert_eq!(help, "run: DROP DATABASE IF EXISTS `shop`; DROP DATABASE IF EXISTS `it``s`;");
}

#[test]
fn mysql() {
    check(Flavour::MySql);
}

#[test]
fn mariadb() {
    check(Flavour::MariaDb);
}
