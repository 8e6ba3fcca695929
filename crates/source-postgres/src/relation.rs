//! A table as the stream and the catalogue together show it: types from OIDs, the key, the shape of events.

use std::sync::Arc;

use change::{Column, ColumnType, Identity, Table, TableName};

use crate::catalog::{ResolvedType, TableFacts};
use crate::wire::pgoutput::Relation;

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const OID: u32 = 26;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const DATE: u32 = 1082;
const TIME: u32 = 1083;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const BIT: u32 = 1560;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;

/// The form of a base type's values. Whatever is not listed is the server's own text.
pub(crate) fn column_type(oid: u32, typmod: i32) -> ColumnType {
    match oid {
        BOOL => ColumnType::Boolean,
        BIT if typmod == 1 => ColumnType::Boolean,
        INT2 | INT4 | INT8 | OID => ColumnType::Long,
        FLOAT4 => ColumnType::Float,
        FLOAT8 => ColumnType::Double,
        NUMERIC => numeric(typmod),
        BYTEA => ColumnType::Bytes,
        UUID => ColumnType::Uuid,
        DATE => ColumnType::Date,
        TIME => ColumnType::Time,
        TIMESTAMP => ColumnType::LocalTimestamp,
        TIMESTAMPTZ => ColumnType::Timestamp,
        _ => ColumnType::Text,
    }
}

/// `numeric(p,s)` from its type modifier: 4 more than precision in the upper half and an 11-bit signed scale below.
fn numeric(typmod: i32) -> ColumnType {
    let Ok(packed) = u32::try_from(i64::from(typmod) - 4) else { return ColumnType::Text };
    let precision = packed >> 16;
    let scale = i64::from((packed & 0x7ff) ^ 0x400) - 0x400;
    match u32::try_from(scale) {
        Ok(scale) if scale > precision => ColumnType::Decimal { precision: scale, scale },
        Ok(scale) => ColumnType::Decimal { precision, scale },
        Err(_) => {
            let more = u32::try_from(-scale).unwrap_or(0);
            ColumnType::Decimal { precision: precision + more, scale: 0 }
        }
    }
}

/// A relation with everything that decoding its rows needs.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: Arc<Table>,
    /// Whether `tables` asks for it.
    pub(crate) captured: bool,
}

pub(crate) fn identity(letter: u8) -> Identity {
    match letter {
        b'd' => Identity::Default,
        b'i' => Identity::Index,
        b'f' => Identity::Full,
        _ => Identity::Nothing,
    }
}

/// The table of a relation message. Names, types and the replica identity are the message's, as of the change that
/// follows; what the message does not say (nullability, order of the key, the key under `full`) is the catalogue's now.
pub(crate) fn table(relation: &Relation, types: &[Option<ResolvedType>], facts: &TableFacts) -> Table {
    let columns = relation
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let known = types.get(index).and_then(Option::as_ref);
            let (oid, typmod) =
                known.map_or((column.type_oid, column.typmod), |resolved| (resolved.base, resolved.typmod));
            Column {
                name: column.name.clone(),
                kind: column_type(oid, typmod),
                sql_type: known.map_or_else(
                    || format!("type {} (dropped since)", column.type_oid),
                    |resolved| resolved.name.clone(),
                ),
                nullable: facts.nullable(&column.name),
            }
        })
        .collect();
    let identity = identity(relation.identity);
    Table {
        name: TableName::new(&relation.schema, &relation.table),
        columns,
        key: key(relation, identity, facts),
        identity,
    }
}

fn key(relation: &Relation, identity: Identity, facts: &TableFacts) -> Vec<usize> {
    let position = |name: &str| relation.columns.iter().position(|column| column.name == name);
    let flagged = || (0..).zip(&relation.columns).filter(|(_, column)| column.key).map(|(index, _)| index);
    let named = match identity {
        Identity::Index => &facts.identity_index,
        _ => &facts.primary_key,
    };
    // A key column that the message does not have: the catalogue is ahead of the log, or the publication leaves it out.
    let ordered: Option<Vec<usize>> = named.iter().map(|name| position(name)).collect();
    match identity {
        Identity::Full | Identity::Nothing => ordered.unwrap_or_default(),
        Identity::Default | Identity::Index => {
            let flagged: Vec<usize> = flagged().collect();
            let mut sorted = ordered.clone().unwrap_or_default();
            sorted.sort_unstable();
            match ordered {
                Some(ordered) if sorted == flagged => ordered,
                _ => flagged,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers() {
        let typmod = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        assert_eq!(column_type(NUMERIC, -1), ColumnType::Text);
        assert_eq!(column_type(NUMERIC, typmod(12, 2)), ColumnType::Decimal { precision: 12, scale: 2 });
        assert_eq!(column_type(NUMERIC, typmod(3, -2)), ColumnType::Decimal { precision: 5, scale: 0 });
        assert_eq!(column_type(NUMERIC, typmod(3, 5)), ColumnType::Decimal { precision: 5, scale: 5 });
        assert_eq!(column_type(NUMERIC, typmod(1000, 1000)), ColumnType::Decimal { precision: 1000, scale: 1000 });
        assert_eq!(column_type(BIT, 1), ColumnType::Boolean);
        assert_eq!(column_type(BIT, 2), ColumnType::Text);
    }
}
