//! What is answered, mended or shown only when it is in the checkpoint. Nothing is ever durable here but what the test
//! confirms.
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod common;

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use change::{Resume, Source, SourceError, Wish};
use common::{Line, Server, line, read_until, resume, started};
use source_postgres::{Config, PostgresSource, Snapshot};

/// More steps than the thread that looks at the catalogue needs for several looks.
const STEPS: usize = 20;

fn copying(server: &Server) -> Config {
    let mut config = server.config(&["public.*"]);
    config.snapshot = Snapshot::Initial;
    config
}

fn progress(lines: &[Line]) -> Option<&str> {
    lines.iter().rev().find_map(|line| line.text.strip_prefix("progress public.t "))
}

fn has(words: &'static str) -> impl FnMut(&[Line]) -> bool {
    move |lines| progress(lines).is_some_and(|text| text.contains(words))
}

/// What a checkpoint after these lines would hold.
fn from_here(source: &PostgresSource, lines: &[Line], first: &Resume) -> Resume {
    let text = progress(lines).unwrap().to_owned();
    Resume { position: source.position(), progress: [("public.t".to_owned(), text)].into(), ..first.clone() }
}

fn confirm(source: &mut PostgresSource) {
    let position = source.position();
    source.confirm(&position).unwrap();
}

/// Reads on for a while, without confirming anything.
fn go_on(source: &mut PostgresSource) -> Vec<String> {
    (0..STEPS).filter_map(|_| line(source).unwrap()).collect()
}

#[test]
fn a_wish_is_answered_when_it_is_durable_in_whichever_session() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text); insert into t select i, 'x' from generate_series(1, 5) i");
    let config = copying(&server);
    let (mut source, begun) = started(&config, None);
    let lines = read_until(&mut source, has("\"end\":true"));
    confirm(&mut source);
    let first = from_here(&source, &lines, &resume(&begun.position, &begun));
    let ask = |source: &PostgresSource| {
        source.copies().ask(Wish::Again { table: "public.t".to_owned(), condition: Some("id > 3".to_owned()) })
    };
    let waits = |answer: &Receiver<_>| matches!(answer.try_recv(), Err(TryRecvError::Empty));
    let answer = ask(&source);
    assert!(has("\"condition\":\"id > 3\"")(&read_until(&mut source, has("\"asked\":true"))));
    assert!(waits(&answer));
    go_on(&mut source);
    assert!(waits(&answer), "answered, but nothing was confirmed");
    // The session fails before that is durable, and the next one reads a checkpoint that knows nothing of it.
    source.start(Some(&first)).unwrap();
    read_until(&mut source, has("\"asked\":true"));
    assert!(waits(&answer), "forgotten, or answered too early");
    go_on(&mut source);
    assert!(waits(&answer));
    confirm(&mut source);
    let begin = Instant::now();
    while waits_again(&answer, &mut source) {
        assert!(begin.elapsed() < Duration::from_secs(10));
    }
    assert!(source.copies().take_asked().is_empty());
}

/// Takes a step; `false` when the answer is there, which has to be a promise.
fn waits_again(answer: &Receiver<change::Answer>, source: &mut PostgresSource) -> bool {
    line(source).unwrap();
    confirm(source);
    match answer.try_recv() {
        Ok(told) => told.unwrap().is_empty(),
        Err(error) => error == TryRecvError::Empty || panic!("nobody answers any more"),
    }
}

/// A condition is one expression: neither another statement, nor one that reaches beyond the parentheses around it.
#[test]
fn a_condition_is_a_condition_and_nothing_else() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text); insert into t values (1, 'x'), (2, 'a;b')");
    let (mut source, _) = started(&copying(&server), None);
    read_until(&mut source, has("\"end\":true"));
    confirm(&mut source);
    let told = |source: &mut PostgresSource, condition: &str| {
        let wish = Wish::Again { table: "public.t".to_owned(), condition: Some(condition.to_owned()) };
        let answer = source.copies().ask(wish);
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < Duration::from_secs(10), "{condition}");
            line(source).unwrap();
            confirm(source);
            if let Ok(answer) = answer.try_recv() {
                return answer;
            }
        }
    };
    for wrong in [
        "true) limit 0; delete from public.t; select (1",
        "true] from public.t; delete from public.t; select array[true",
        "false) or (true",
        "true) union all select from public.t where (true",
        "id > 1, true",
        "id",
        "nothing > 1",
        "",
        &format!("id in ({}1)", "1, ".repeat(20_000)),
    ] {
        let refusal = told(&mut source, wrong).expect_err(wrong);
        assert!(refusal.contains("the condition cannot be used"), "{wrong}: {refusal}");
    }
    assert_eq!(server.sql("select count(*) from t"), "2");
    for good in
        ["id in (1, 2) -- some", "v = 'a' || chr(59) || 'b'", "(id > 1) or (v is null)", "id = any (array[1, 5])"]
    {
        told(&mut source, good).expect(good);
    }
}

/// A table that is missing is not always the one that is copied.
#[test]
fn a_condition_that_asks_for_a_missing_table_is_not_taken_for_the_end_of_the_copy() {
    let server = Server::logical();
    server.sql("create table t (id int primary key); insert into t values (1)");
    let mut config = copying(&server);
    config.snapshot_where.insert("public.t".to_owned(), "id in (select id from wanted)".to_owned());
    let (mut source, _) = started(&config, None);
    let begin = Instant::now();
    let error = loop {
        assert!(begin.elapsed() < Duration::from_secs(10), "the copy ended without a word");
        if let Err(error) = line(&mut source) {
            break error;
        }
    };
    assert!(
        matches!(&error, SourceError::Stop { what, .. } if what.contains("\"wanted\" does not exist")),
        "{error:?}"
    );
}

/// What an earlier session showed of a table that is gone is not shown for ever.
#[test]
fn a_table_that_is_gone_is_shown_no_more() {
    let server = Server::logical();
    server.sql("create table t (id int primary key); create table u (id int primary key)");
    let (mut source, begun) = started(&copying(&server), None);
    let shown = |source: &PostgresSource| source.copies().all().keys().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&source), ["public.t", "public.u"]);
    server.sql("drop table u");
    source.start(Some(&resume(&begun.position, &begun))).unwrap();
    assert_eq!(shown(&source), ["public.t"]);
}

/// A publication that leaves out changes is set right only when the checkpoint says that some are missing: else a kill
/// right after would leave a topic that lacks them, and nobody who knows.
#[test]
fn a_publication_is_mended_only_when_the_loss_is_noted() {
    let server = Server::logical();
    server.sql("create table t (id int primary key, v text); insert into t values (1, 'x')");
    let config = copying(&server);
    let (mut source, begun) = started(&config, None);
    let lines = read_until(&mut source, has("\"end\":true"));
    confirm(&mut source);
    let first = from_here(&source, &lines, &resume(&begun.position, &begun));
    let is_narrow = || server.sql("select pubupdate from pg_publication") == "f";
    let narrow = || server.sql("alter publication hw set (publish = 'insert')");
    let mended = |source: &mut PostgresSource| {
        let begin = Instant::now();
        while is_narrow() {
            assert!(begin.elapsed() < Duration::from_secs(10));
            line(source).unwrap();
            confirm(source);
        }
    };
    // While it streams.
    narrow();
    server.sql("update t set v = 'missed'");
    read_until(&mut source, has("\"end\":false"));
    assert!(go_on(&mut source).iter().all(|text| !text.contains(" read ")), "copied while changes are left out");
    assert!(is_narrow(), "mended before the loss was noted");
    mended(&mut source);
    let lines = read_until(&mut source, has("\"end\":true"));
    assert!(lines.iter().any(|line| line.text.ends_with("(1,missed)")), "{lines:#?}");
    confirm(&mut source);
    // At a start, which reads a checkpoint where all is copied.
    narrow();
    source.start(Some(&Resume { position: source.position(), ..first })).unwrap();
    assert!(is_narrow(), "mended by the start");
    read_until(&mut source, has("\"end\":false"));
    go_on(&mut source);
    assert!(is_narrow(), "mended before the loss was noted");
    mended(&mut source);
    read_until(&mut source, has("\"end\":true"));
}
