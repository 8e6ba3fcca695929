//! The copies' bookkeeping without a server: what workers would answer is put in by hand.

use change::{Column, ColumnType, Identity};

use super::*;
use copying::Snapshot;

fn read(table: &Candidate) -> Rows {
    let shape = Table {
        name: table.name.clone(),
        columns: Vec::new(),
        key: Vec::new(),
        identity: Identity::Default,
        relation: None,
    };
    Rows {
        table: Arc::new(shape),
        by: Vec::new(),
        joined: 1,
        snapshot: "3:3:".parse().unwrap(),
        high: Lsn(u64::MAX),
        taken: 0,
        bytes: Arc::default(),
        starts: Vec::new(),
        binary: Arc::from([]),
        reach: Reach::Next { after: Some(vec!["1".to_owned()]), end: false },
    }
}

fn candidate(oid: u32) -> Candidate {
    Candidate {
        oid,
        name: TableName::new("public", format!("t{oid}")),
        kind: 'r',
        persistence: 'p',
        identity: 'd',
        has_primary_key: true,
        has_identity_index: false,
        root: None,
        estimate: None,
        entry: None,
    }
}

/// Nobody listens there: what the workers would answer is up to the test.
fn snapshots(tables: u32) -> Snapshots {
    let mut config = Config::new("postgres://nobody@127.0.0.1:1/none", ["public.*"], "slot", "publication");
    let queue = Arc::new(Queue::new(1, Lsn(0)));
    config.snapshot = Snapshot::Initial;
    let mut snapshots = Snapshots::new(&config, &queue, BTreeMap::new(), Copies::default());
    snapshots.add((1..=tables).map(candidate).collect()).unwrap();
    snapshots
}

/// Chunks that wait for the stream are memory: they hold back the tables behind them.
#[test]
fn no_more_tables_are_read_than_there_are_workers() {
    let mut snapshots = snapshots(9);
    for ahead in 1..=3 {
        snapshots.order();
        let chunks: Vec<usize> = snapshots.tasks.iter().map(|task| task.chunks.len()).collect();
        let expected = ahead.min(AHEAD);
        assert_eq!(chunks, [expected, expected, 0, 0, 0, 0, 0, 0, 0]);
        for task in &mut snapshots.tasks {
            let rows = read(&task.table);
            if let Some(chunk) = task.chunks.back_mut() {
                chunk.rows = Some(rows);
            }
        }
    }
}

/// One transaction writes so many different rows that not all their keys can be kept.
fn write_much(snapshots: &mut Snapshots, xid: u32) {
    let column = Column {
        name: "k".to_owned(),
        kind: ColumnType::Text,
        sql_type: "text".to_owned(),
        labels: Vec::new(),
        nullable: None,
        number: None,
    };
    let name = TableName::new("public", "t1");
    let table =
        Arc::new(Table { name, columns: vec![column], key: vec![0], identity: Identity::Default, relation: None });
    let length = 1 << 20;
    for number in 0..=TOUCHED_BYTES / length {
        let bytes = Arc::new(vec![number as u8; length]);
        let mut new = Image::new(Arc::clone(&bytes), Arc::clone(&table));
        new.cells = vec![Cell::Text { start: 0, length }];
        let old = Image::new(bytes, Arc::clone(&table));
        snapshots.touch(1, xid, Kind::Insert, None, &old, &new);
    }
}

#[test]
fn too_much_written_makes_the_next_chunk_smaller_and_peace_makes_it_grow_again() {
    let mut snapshots = snapshots(1);
    let orders = snapshots.idle.take().unwrap().0;
    let mut halvings = Vec::new();
    for _ in 0..9 {
        snapshots.order();
        write_much(&mut snapshots, 7);
        assert!(snapshots.tasks[0].chunks.is_empty());
        halvings.push(orders.try_recv().unwrap().halvings);
    }
    assert_eq!(halvings, [0, 1, 2, 3, 4, 5, 6, 6, 6]);
    // What the rows show costs nothing, however much it is.
    snapshots.order();
    let mut rows = read(&snapshots.tasks[0].table);
    rows.snapshot = "8:8:".parse().unwrap();
    snapshots.tasks[0].chunks[0].rows = Some(rows);
    write_much(&mut snapshots, 7);
    assert_eq!(snapshots.tasks[0].chunks.len(), 1);
    for expected in [5, 4, 3, 2, 1, 0, 0] {
        let rows = read(&snapshots.tasks[0].table);
        snapshots.advance(&mut Publishing::new(0, rows, Touched::default()));
        assert_eq!(snapshots.tasks[0].halvings, expected);
    }
}

/// Rows that get other keys while their table is copied are remembered one by one, but not without an end.
#[test]
fn many_rows_that_move_begin_the_copy_anew() {
    let mut snapshots = snapshots(1);
    let column = Column {
        name: "k".to_owned(),
        kind: ColumnType::Text,
        sql_type: "text".to_owned(),
        labels: Vec::new(),
        nullable: None,
        number: None,
    };
    let name = TableName::new("public", "t1");
    let table =
        Arc::new(Table { name, columns: vec![column], key: vec![0], identity: Identity::Default, relation: None });
    let row = |text: String| {
        let length = text.len();
        let mut image = Image::new(Arc::new(text.into_bytes()), Arc::clone(&table));
        image.cells = vec![Cell::Text { start: 0, length }];
        image
    };
    let long = "x".repeat(1000);
    let place = |n: u32| row(format!("a{n}{long}"));
    assert_eq!(snapshots.moved(1, &place(1), &place(2)), None, "nothing was read yet");
    snapshots.tasks[0].progress = Progress { after: Some(vec!["9".to_owned()]), rows: 5, ..Progress::default() };
    snapshots.order();
    let mut go = |n| snapshots.moved(1, &place(n), &place(n + 2000));
    let texts: Vec<String> = (0..1000).map_while(|n| Some(go(n)?.1)).collect();
    assert!(texts.len() > 200 && texts.len() < 300, "{}", texts.len());
    assert!(texts.iter().all(|text| text.len() <= MOST_PROGRESS));
    let task = &snapshots.tasks[0];
    assert!(task.chunks.is_empty() && task.progress == Progress::default(), "{:?}", task.progress);
    assert_eq!(Progress::parse("t", texts.last().unwrap()).unwrap(), Progress::default());
}

/// While nothing can be read, nothing shortens the list of passed transactions; a stream that is behind passes many that
/// everybody sees.
#[test]
fn passed_transactions_are_bounded_and_no_chunk_misses_one() {
    let mut snapshots = snapshots(1);
    let orders = snapshots.idle.take().unwrap().0;
    snapshots.order();
    drop(orders.try_recv().unwrap());
    snapshots.tasks[0].joined = Some(1);
    let mut rows = read(&snapshots.tasks[0].table);
    rows.snapshot = "4000000:4000000:".parse().unwrap();
    snapshots.tasks[0].chunks[0].rows = Some(rows);
    let many = u32::try_from(MOST_PASSED).unwrap();
    for xid in 3..3 + 2 * many {
        snapshots.passed(xid);
    }
    assert!(snapshots.passed.len() < MOST_PASSED);
    assert_eq!((snapshots.tasks[0].chunks.len(), snapshots.tasks[0].joined), (1, Some(1)), "all of them are seen");
    // Nobody sees these.
    for xid in 4_000_000..4_000_000 + many {
        snapshots.passed(xid);
    }
    assert!(snapshots.passed.len() < MOST_PASSED);
    assert_eq!((snapshots.tasks[0].chunks.len(), snapshots.tasks[0].joined), (0, None));
    // Late rows of an order from before know nothing of the new beginning.
    let late = read(&snapshots.tasks[0].table);
    snapshots.take(1, Answer::Rows(Box::new(late))).unwrap();
    snapshots.order();
    let order = orders.try_recv().unwrap();
    assert_eq!(order.joined, None, "a new transaction id stands for those that are forgotten");
}
