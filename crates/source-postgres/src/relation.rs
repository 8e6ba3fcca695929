//! A table as the stream and the catalogue together show it: types from OIDs, the key, the shape of events.

use std::sync::Arc;

use change::{Column, ColumnType, Identity, Table, TableName};

use crate::catalog::TableFacts;
use crate::resolve::ResolvedType;
use crate::types::column_type;
use crate::wire::pgoutput::Relation;

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
/// follows; what the message does not say (nullability, order of the key, the key under `full`) is the catalogue's now. Columns
/// have their numbers only if the catalogue shows this very table.
pub(crate) fn table(relation: &Relation, types: &[Option<ResolvedType>], facts: &TableFacts) -> Table {
    let numbers = facts.numbers(&relation.columns);
    let columns = relation
        .columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let known = types.get(index).and_then(Option::as_ref);
            Column {
                name: column.name.clone(),
                kind: known.map_or_else(|| column_type(column.type_oid, column.typmod), form),
                sql_type: known.map_or_else(
                    || format!("type {} (dropped since)", column.type_oid),
                    |resolved| resolved.name.clone(),
                ),
                labels: known.map_or_else(Vec::new, |resolved| resolved.labels.clone()),
                nullable: facts.nullable(&column.name),
                number: numbers.as_ref().and_then(|numbers| numbers.get(index)).copied(),
            }
        })
        .collect();
    let identity = identity(relation.identity);
    Table {
        name: TableName::new(&relation.schema, &relation.table),
        columns,
        key: key(relation, identity, facts),
        identity,
        relation: Some(relation.oid),
    }
}

/// The table of a relation message by itself, without anything that the catalogue knows.
pub fn bare_table(relation: &Relation) -> Table {
    table(relation, &[], &TableFacts::default())
}

fn form(resolved: &ResolvedType) -> ColumnType {
    let form = column_type(resolved.base, resolved.typmod);
    match resolved.separator {
        Some(separator) => ColumnType::Array { element: form.as_element(), separator },
        None => form,
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
