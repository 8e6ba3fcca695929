//! What one row costs: nanoseconds and allocations to encode an insert and a full update of twelve columns.
//!
//! `cargo run --release -p event-avro --example measure`

#![expect(clippy::print_stdout, clippy::expect_used, reason = "a program for a person, who reads what it prints")]
#![expect(unsafe_code, reason = "counting allocations means being the allocator; every call goes on to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use change::{
    Change, Column, ColumnType, Identity, Kind, Row, SourceInfo, Table, TableName, Transaction, Value, ValueError,
};
use event_avro::{Options, Plan, Records, Stream};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is the system allocator's own, with the arguments as they came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` by `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Fixed(Vec<Value<'static>>);

impl Row for Fixed {
    fn value<'v>(&'v self, index: usize, _scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        Ok(self.0[index])
    }

    fn text<'v>(&'v self, _index: usize) -> Option<&'v str> {
        None
    }
}

fn columns(kinds: &[(&str, ColumnType)]) -> Vec<Column> {
    let column = |(name, kind): &(&str, ColumnType)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        sql_type: String::new(),
        nullable: None,
    };
    kinds.iter().map(column).collect()
}

fn orders() -> (Table, Fixed) {
    let kinds = [
        ("id", ColumnType::Long),
        ("customer", ColumnType::Long),
        ("status", ColumnType::Text),
        ("amount", ColumnType::Decimal { precision: 12, scale: 2 }),
        ("paid", ColumnType::Boolean),
        ("ratio", ColumnType::Double),
        ("token", ColumnType::Uuid),
        ("note", ColumnType::Text),
        ("due", ColumnType::Date),
        ("made", ColumnType::Timestamp),
        ("changed", ColumnType::LocalTimestamp),
        ("image", ColumnType::Bytes),
    ];
    let table = Table {
        name: TableName::new("public", "orders"),
        columns: columns(&kinds),
        key: vec![0],
        identity: Identity::Full,
    };
    let row = vec![
        Value::Long(123_456),
        Value::Long(98_765),
        Value::Text("delivered"),
        Value::Bytes(&[0x12, 0x34, 0x56]),
        Value::Boolean(true),
        Value::Double(0.5),
        Value::Text("0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506"),
        Value::Text("leave it with the neighbour, please"),
        Value::Long(20_000),
        Value::Long(1_700_000_000_123_456),
        Value::Null,
        Value::Bytes(&[7; 32]),
    ];
    (table, Fixed(row))
}

fn main() {
    let (table, row) = orders();
    let table = Arc::new(table);
    let source_kinds = [("schema", ColumnType::Text), ("table", ColumnType::Text), ("txId", ColumnType::Long)];
    let info = SourceInfo {
        connector: "postgresql",
        database: "shop".to_owned(),
        server_identity: String::new(),
        columns: columns(&source_kinds),
    };
    let source = Fixed(vec![Value::Text("public"), Value::Text("orders"), Value::Long(571)]);
    let transaction = Transaction { id: "571:24023128".to_owned(), commit_time: 1_700_000_000_123_456 };
    let stream = Stream { name: "shop", version: "0.1.0" };
    let plan = Plan::compile(&table, &info, &stream, &[0; 5], &[0; 5], Options::default());
    for (name, kind, before) in [("insert", Kind::Insert, None), ("full update", Kind::Update, Some(&row as &dyn Row))]
    {
        let change = Change {
            kind,
            table: &table,
            transaction: &transaction,
            before,
            before_is_key_only: false,
            after: Some(&row),
            total_order: 1,
            table_order: 1,
            source: &source,
        };
        measure(name, &plan, &change);
    }
}

fn measure(name: &str, plan: &Plan, change: &Change<'_>) {
    const BATCH: u32 = 1000;
    let mut records = Records::new();
    let mut best = f64::INFINITY;
    let mut allocations = 0;
    for _ in 0..500 {
        records.clear();
        let (before, start) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
        for _ in 0..BATCH {
            plan.encode(black_box(change), 1_700_000_001_000_000, &mut records).expect("the row fits its table");
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
        allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    }
    let size = records.bytes.len() / records.entries.len();
    println!("{name}: {best:.0} ns, {allocations} allocations in {BATCH} rows, {size} bytes a row");
}
