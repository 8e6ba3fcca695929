//! The copies' bookkeeping without a server: what workers would answer is put in by hand.

use change::{Column, ColumnType, Identity, Reason};

use super::*;
use crate::flavour::Flavour;
use crate::gtid::mysql::{GtidSet, Source};
use crate::table::Shape;
use crate::value::Meaning;
use crate::value::charset::Charset;
use crate::wire::cell::Cell;
use copying::Snapshot;

fn shape() -> Arc<Shape> {
    let column = Column {
        name: "k".to_owned(),
        kind: ColumnType::Text,
        sql_type: "varchar(9)".to_owned(),
        labels: Vec::new(),
        nullable: None,
        number: None,
    };
    let table = Table { name: name(1), columns: vec![column], key: vec![0], identity: Identity::Full, relation: None };
    Arc::new(Shape { table, extents: Vec::new(), meanings: vec![Meaning::Text(Charset::Utf8)] })
}

fn name(number: u32) -> TableName {
    TableName::new("s", format!("t{number}"))
}

fn place(offset: u64) -> FilePlace {
    FilePlace { file: "bin.000001".to_owned(), offset }
}

fn set(last: u64) -> GtidSet {
    let mut set = GtidSet::default();
    set.add_range(Source::default(), 1, last);
    set
}

fn mark(number: u64) -> Mark {
    Mark::new(Some((Source::default(), number)), place(number))
}

/// Rows with these keys, as a snapshot shows them that has all transactions up to this number.
fn read(keys: &[&str], last: u64) -> Rows {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for key in keys {
        starts.push(bytes.len());
        bytes.push(u8::try_from(key.len()).unwrap());
        bytes.extend_from_slice(key.as_bytes());
    }
    let shape = shape();
    Rows {
        table: Arc::new(shape.table.clone()),
        shape,
        by: Vec::new(),
        seen: Seen::Set(set(last)),
        high: place(100),
        taken: 0,
        bytes: Arc::new(bytes),
        starts,
        reach: Reach::Next { after: Some(vec!["00".to_owned()]), end: false },
    }
}

/// Nobody listens there: what the workers would answer is up to the test.
fn snapshots(tables: u32) -> Snapshots {
    let mut config = Config::new("none", "mysql://nobody@127.0.0.1:1/none", ["s.*"]);
    config.snapshot = Snapshot::Initial;
    let server = Server {
        flavour: Flavour::MySql,
        version: String::new(),
        identity: "me".to_owned(),
        gtids: true,
        log_bin: true,
        format: "ROW".to_owned(),
        image: "FULL".to_owned(),
        metadata: String::new(),
        folds_names: false,
    };
    let queue = Arc::new(Queue::new(1));
    let mut snapshots = Snapshots::new(&config, &server, &queue, BTreeMap::new(), Copies::default(), None);
    let member = |number| Member { name: name(number), is_keyless: false, estimate: None };
    snapshots.add((1..=tables).map(member).collect()).unwrap();
    snapshots
}

fn order(snapshots: &mut Snapshots) {
    snapshots.order(&place(4), &Passed::MySql(set(1)));
}

fn image(key: &[u8]) -> Image {
    let shape = shape();
    let mut image = Image::new(Arc::new(key.to_vec()), Arc::clone(&shape), Reason::Unchanged);
    image.cells = vec![Cell::Bytes { start: 0, length: key.len() }];
    image
}

/// The rows of the first table's first chunk that are published in the end.
fn published(snapshots: &mut Snapshots) -> Vec<String> {
    let mut chunk = snapshots.poll(&place(100), &Passed::MySql(set(1))).unwrap().unwrap();
    let mut keys = Vec::new();
    while chunk.next_row().unwrap() {
        keys.push(String::from_utf8(chunk.image.bytes_of(0).to_vec()).unwrap());
    }
    keys
}

/// Chunks that wait for the stream are memory: they hold back the tables behind them.
#[test]
fn no_more_tables_are_read_than_there_are_workers() {
    let mut snapshots = snapshots(9);
    for ahead in 1..=3 {
        order(&mut snapshots);
        let chunks: Vec<usize> = snapshots.tasks.iter().map(|task| task.chunks.len()).collect();
        let expected = ahead.min(AHEAD);
        assert_eq!(chunks, [expected, expected, 0, 0, 0, 0, 0, 0, 0]);
        for task in &mut snapshots.tasks {
            if let Some(chunk) = task.chunks.back_mut() {
                chunk.rows = Some(read(&["a"], 1));
            }
        }
    }
}

/// A chunk is published at the place that its snapshot can show at most, without what is newer.
#[test]
fn what_was_touched_behind_the_snapshot_is_not_published() {
    let mut snapshots = snapshots(1);
    snapshots.idle = None;
    order(&mut snapshots);
    let (a, b, c) = (image(b"a"), image(b"b"), image(b"c"));
    snapshots.touch(&name(1), &mark(5), Kind::Update, &a, &a);
    snapshots.touch(&name(1), &mark(6), Kind::Update, &b, &b);
    snapshots.take(1, Answer::Rows(Box::new(read(&["a", "b", "c", "d"], 5)))).unwrap();
    snapshots.touch(&name(1), &mark(4), Kind::Delete, &c, &c);
    snapshots.touch(&name(1), &mark(7), Kind::Delete, &c, &c);
    assert!(snapshots.poll(&place(99), &Passed::MySql(set(1))).unwrap().is_none(), "it is not passed yet");
    assert_eq!(published(&mut snapshots), ["a", "d"]);
}

#[test]
fn a_table_that_is_emptied_behind_the_snapshot_has_no_rows() {
    for (number, expected) in [(5, &["a", "b"][..]), (6, &[])] {
        let mut snapshots = snapshots(1);
        snapshots.idle = None;
        order(&mut snapshots);
        let nobody = image(b"");
        snapshots.touch(&name(1), &mark(number), Kind::Truncate, &nobody, &nobody);
        snapshots.take(1, Answer::Rows(Box::new(read(&["a", "b"], 5)))).unwrap();
        assert_eq!(published(&mut snapshots), expected);
    }
}

/// One transaction writes so many different rows that not all their keys can be kept.
fn write_much(snapshots: &mut Snapshots, number: u64) {
    let length = 1 << 20;
    for byte in 0..=TOUCHED_BYTES / length {
        let new = image(&vec![u8::try_from(byte).unwrap(); length]);
        snapshots.touch(&name(1), &mark(number), Kind::Insert, &new, &new);
    }
}

#[test]
fn too_much_written_makes_the_next_chunk_smaller_and_peace_makes_it_grow_again() {
    let mut snapshots = snapshots(1);
    let orders = snapshots.idle.take().unwrap().0;
    let mut halvings = Vec::new();
    for _ in 0..9 {
        order(&mut snapshots);
        write_much(&mut snapshots, 7);
        assert!(snapshots.tasks[0].chunks.is_empty());
        halvings.push(orders.try_recv().unwrap().halvings);
    }
    assert_eq!(halvings, [0, 1, 2, 3, 4, 5, 6, 6, 6]);
    // What the rows show costs nothing, however much it is.
    order(&mut snapshots);
    snapshots.tasks[0].chunks[0].rows = Some(read(&[], 7));
    write_much(&mut snapshots, 7);
    assert_eq!(snapshots.tasks[0].chunks.len(), 1);
    for expected in [5, 4, 3, 2, 1, 0, 0] {
        snapshots.advance(&mut Publishing::new(0, read(&[], 7), Touched::default()));
        assert_eq!(snapshots.tasks[0].halvings, expected);
    }
}

/// Rows that get other keys while their table is copied are remembered one by one, but not without an end.
#[test]
fn many_rows_that_move_begin_the_copy_anew() {
    let mut snapshots = snapshots(1);
    let long = "x".repeat(500);
    let row = |n: u32| image(format!("a{n}{long}").as_bytes());
    assert_eq!(snapshots.moved(&name(1), &row(1), &row(2)), None, "nothing was read yet");
    order(&mut snapshots);
    // Before the first chunk is published nobody knows what the key is made of; the row is remembered nevertheless.
    assert!(snapshots.moved(&name(1), &row(9000), &row(9001)).is_some());
    let rows = Rows { by: vec!["k/varchar(9)/".to_owned()], ..read(&["a"], 7) };
    snapshots.advance(&mut Publishing::new(0, rows, Touched::default()));
    assert_eq!(snapshots.tasks[0].progress.again.len(), 1);
    let mut go = |n| snapshots.moved(&name(1), &row(n), &row(n + 2000));
    let texts: Vec<String> = (0..1000).map_while(|n| Some(go(n)?.1)).collect();
    assert!(texts.len() > 200 && texts.len() < 300, "{}", texts.len());
    assert!(texts.iter().all(|text| text.len() <= MOST_PROGRESS));
    let task = &snapshots.tasks[0];
    assert!(task.chunks.is_empty() && task.progress == Progress::default(), "{:?}", task.progress);
}

/// MariaDB: what a predecessor passed lies before the log's end at the start.
#[test]
fn a_snapshot_has_to_show_what_a_predecessor_may_have_passed() {
    let mut snapshots = snapshots(1);
    snapshots.floor = Some(place(50));
    let passed = Passed::MariaDb(crate::gtid::mariadb::GtidSet::default());
    assert_eq!(snapshots.must_see(&place(4), &passed), Seen::Place(place(50)));
    assert_eq!(snapshots.must_see(&place(60), &passed), Seen::Place(place(60)));
    assert_eq!(snapshots.must_see(&place(60), &Passed::MySql(set(3))), Seen::Set(set(3)));
}

/// What a table without a key leaves to its copy has to be in it.
#[test]
fn the_copy_of_a_table_without_a_key_shows_what_was_left_to_it() {
    let mut snapshots = snapshots(0);
    snapshots.add(vec![Member { name: name(1), is_keyless: true, estimate: None }]).unwrap();
    order(&mut snapshots);
    assert!(snapshots.shows(&name(1), &place(70)));
    let mut ready = |offset| {
        let (reply, verdict) = channel();
        snapshots.take(1, Answer::Ready(place(offset), reply)).unwrap();
        (verdict.recv().unwrap(), snapshots.is_standing())
    };
    assert_eq!(ready(70), (false, false));
    assert_eq!(ready(80), (true, true));
    let (taken, _) = channel();
    let rows = Rows { high: place(80), reach: Reach::Part { end: true, taken }, ..read(&["a"], 1) };
    snapshots.tasks[0].chunks.clear();
    snapshots.advance(&mut Publishing::new(0, rows, Touched::default()));
    assert!(!snapshots.is_standing());
    assert!(snapshots.shows(&name(1), &place(79)) && !snapshots.shows(&name(1), &place(80)));
}
