//! Tables, rows and changes for tests.

use std::sync::Arc;

use change::{
    Absence, ArrayWriter, Change, Column, ColumnType, Element, Identity, Kind, Reason, Row, SourceInfo, Table,
    TableName, Transaction, Value, ValueError,
};

/// A value that owns what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OwnedValue {
    Null,
    Absent(Reason, Option<String>),
    Boolean(bool),
    Long(i64),
    Float(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<OwnedValue>),
    /// Any of the above, with the server's own text.
    Printed(Box<OwnedValue>, String),
}

pub(crate) struct TestRow(pub(crate) Vec<OwnedValue>);

impl Row for TestRow {
    fn value<'v>(&'v self, index: usize, scratch: &'v mut Vec<u8>) -> Result<Value<'v>, ValueError> {
        scratch.clear();
        scratch.extend_from_slice(b"left over");
        let value = match &self.0[index] {
            OwnedValue::Printed(value, _) => value,
            value => value,
        };
        let OwnedValue::Array(items) = value else { return Ok(borrow(value)) };
        let mut writer = ArrayWriter::new(scratch);
        for item in items {
            writer.push(borrow(item)).expect("an element");
        }
        Ok(Value::Array(writer.finish()))
    }

    fn is_unchanged(&self, index: usize) -> bool {
        matches!(self.0[index], OwnedValue::Absent(Reason::Unchanged, _))
    }

    fn text(&self, index: usize) -> Option<&str> {
        match &self.0[index] {
            OwnedValue::Printed(_, text) | OwnedValue::Text(text) => Some(text),
            OwnedValue::Absent(_, text) => text.as_deref(),
            _ => None,
        }
    }
}

fn borrow(value: &OwnedValue) -> Value<'_> {
    match value {
        OwnedValue::Null => Value::Null,
        OwnedValue::Absent(reason, text) => Value::Absent(Absence { reason: *reason, text: text.as_deref() }),
        OwnedValue::Boolean(flag) => Value::Boolean(*flag),
        OwnedValue::Long(number) => Value::Long(*number),
        OwnedValue::Float(number) => Value::Float(*number),
        OwnedValue::Double(number) => Value::Double(*number),
        OwnedValue::Text(text) => Value::Text(text),
        OwnedValue::Bytes(bytes) => Value::Bytes(bytes),
        OwnedValue::Array(_) | OwnedValue::Printed(..) => panic!("not an element"),
    }
}

pub(crate) fn text(value: &str) -> OwnedValue {
    OwnedValue::Text(value.to_owned())
}

pub(crate) fn absent(reason: Reason, text: Option<&str>) -> OwnedValue {
    OwnedValue::Absent(reason, text.map(str::to_owned))
}

pub(crate) fn column(name: &str, kind: ColumnType, sql_type: &str, nullable: Option<bool>) -> Column {
    Column { name: name.to_owned(), kind, sql_type: sql_type.to_owned(), labels: Vec::new(), nullable, number: None }
}

/// A column of every type, `id` the key.
pub(crate) fn orders() -> Arc<Table> {
    let optional = |name, kind, sql_type| column(name, kind, sql_type, Some(true));
    Arc::new(Table {
        name: TableName::new("public", "orders"),
        columns: vec![
            column("id", ColumnType::Long, "bigint", Some(false)),
            optional("paid", ColumnType::Boolean, "boolean"),
            optional("weight", ColumnType::Float, "real"),
            optional("ratio", ColumnType::Double, "double precision"),
            optional("amount", ColumnType::Decimal { precision: 40, scale: 2 }, "numeric(40,2)"),
            optional("note", ColumnType::Text, "text"),
            optional("token", ColumnType::Uuid, "uuid"),
            optional("image", ColumnType::Bytes, "bytea"),
            optional("due", ColumnType::Date, "date"),
            optional("at", ColumnType::Time, "time without time zone"),
            optional("made local", ColumnType::LocalTimestamp, "timestamp without time zone"),
            optional("made", ColumnType::Timestamp, "timestamp with time zone"),
            optional("tags", ColumnType::Array { element: Element::Text, separator: b',' }, "text[]"),
        ],
        key: vec![0],
        identity: Identity::Default,
        relation: None,
    })
}

pub(crate) fn order(id: i64) -> Vec<OwnedValue> {
    use OwnedValue::{Array, Boolean, Bytes, Double, Float, Long};
    vec![
        Long(id),
        Boolean(true),
        Float(1.5),
        Double(-0.25),
        Bytes(vec![0xff, 0x38]),
        text("grüße"),
        text("0189d3a4-5b6c-7d8e-9fa0-b1c2d3e4f506"),
        Bytes(vec![0, 1, 0xff]),
        Long(19_000),
        Long(86_400_000_000),
        Long(-1),
        Long(1_700_000_000_123_456),
        Array(vec![text("a, b"), OwnedValue::Null, text("")]),
    ]
}

pub(crate) fn info() -> SourceInfo {
    SourceInfo {
        connector: "postgresql",
        database: Some("shop".to_owned()),
        server_identity: "7300000000000000000".to_owned(),
        columns: vec![
            column("schema", ColumnType::Text, "text", Some(false)),
            column("table", ColumnType::Text, "text", Some(false)),
            column("txId", ColumnType::Long, "bigint", Some(true)),
            column("lsn", ColumnType::Long, "bigint", None),
        ],
    }
}

/// What a change is made of, so that it can be borrowed.
pub(crate) struct Scene {
    pub(crate) table: Arc<Table>,
    pub(crate) transaction: Transaction,
    pub(crate) source: TestRow,
    pub(crate) before: Option<TestRow>,
    pub(crate) after: Option<TestRow>,
    pub(crate) kind: Kind,
    pub(crate) key_only: bool,
}

impl Scene {
    pub(crate) fn new(
        table: &Arc<Table>,
        kind: Kind,
        before: Option<Vec<OwnedValue>>,
        after: Option<Vec<OwnedValue>>,
    ) -> Self {
        let source = vec![text(&table.name.schema), text(&table.name.table), OwnedValue::Long(571), OwnedValue::Null];
        Self {
            table: Arc::clone(table),
            transaction: Transaction { id: "571:24023128".to_owned(), commit_time: 1_700_000_000_123_456 },
            source: TestRow(source),
            before: before.map(TestRow),
            after: after.map(TestRow),
            kind,
            key_only: false,
        }
    }

    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            kind: self.kind,
            table: &self.table,
            transaction: &self.transaction,
            before: self.before.as_ref().map(|row| row as &dyn Row),
            before_is_key_only: self.key_only,
            after: self.after.as_ref().map(|row| row as &dyn Row),
            total_order: 3,
            table_order: 2,
            source: &self.source,
        }
    }
}
