//! What the types of columns come down to: domains, of whatever depth, and arrays are taken apart by the catalogue.

use change::{Element, Value};

use crate::catalog::{field, number, strange};
use crate::connection::Connection;
use crate::error::Error;
use crate::value::array;
use crate::wire::pgoutput::RelationColumn;

/// A column's type with domains resolved: a domain over a domain over an array of a domain is an array of that domain's
/// base type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedType {
    /// The type, or for an array that of its elements.
    pub(crate) base: u32,
    pub(crate) typmod: i32,
    /// An array's, between its elements. An array whose elements are arrays (through a domain) is one of texts.
    pub(crate) separator: Option<u8>,
    /// What the server says that a query's column is: the type, of a domain what it comes down to, be it an array.
    pub(crate) plain: u32,
    /// As the server prints it.
    pub(crate) name: String,
    /// Of an enum, or of an array's elements, in their order.
    pub(crate) labels: Vec<String>,
}

/// `None` for a type that no longer exists.
pub(crate) fn types(
    connection: &mut Connection,
    columns: &[RelationColumn],
) -> Result<Vec<Option<ResolvedType>>, Error> {
    let doing = "reading column types";
    let mut resolved = vec![None; columns.len()];
    if columns.is_empty() {
        return Ok(resolved);
    }
    let oids: Vec<String> = columns.iter().map(|column| column.type_oid.to_string()).collect();
    let typmods: Vec<String> = columns.iter().map(|column| column.typmod.to_string()).collect();
    let arguments = format!("('{{{}}}', '{{{}}}')", oids.join(","), typmods.join(","));
    let rows = connection.query_prepared(doing, "headwater_types", QUERY, &arguments)?;
    for row in &rows {
        let index: usize = number(row, 0, doing)?;
        let slot = resolved.get_mut(index).ok_or_else(|| strange(doing))?;
        let optional = |at: usize| row.get(at).and_then(Option::as_deref);
        *slot = Some(ResolvedType {
            base: number(row, 1, doing)?,
            typmod: number(row, 2, doing)?,
            separator: optional(3).and_then(|text| text.bytes().next()),
            name: field(row, 4, doing)?.to_owned(),
            labels: optional(5).map_or(Ok(Vec::new()), labels)?,
            plain: number(row, 6, doing)?,
        });
    }
    Ok(resolved)
}

/// Of types and modifiers, one row each: number, base type and modifier, separator, printed type, labels, plain type.
///
/// A step leads from a domain to its base, or, once, from an array to its elements. What `array_out` prints is an array
/// (`int2vector` and `oidvector` are not); its separator is the one that its elements' type names.
const QUERY: &str = "(oid[], int4[]) AS WITH RECURSIVE \
   want(n, oid, typmod) AS (SELECT n - 1, oid, typmod FROM unnest($1, $2) WITH ORDINALITY AS given(oid, typmod, n)), \
   walk(n, oid, typmod, separator, plain) AS (\
     SELECT n, oid, typmod, NULL::\"char\", oid FROM want \
     UNION ALL \
     SELECT w.n, step.oid, step.typmod, step.separator, \
       CASE WHEN step.separator IS NULL THEN step.oid ELSE w.plain END FROM walk w JOIN pg_type t ON t.oid = w.oid \
     CROSS JOIN LATERAL (\
       SELECT t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE w.typmod END, w.separator \
       WHERE t.typtype = 'd' \
       UNION ALL \
       SELECT e.oid, w.typmod, e.typdelim FROM pg_type e WHERE e.oid = t.typelem \
       AND t.typtype <> 'd' AND t.typoutput = 'array_out'::regproc AND w.separator IS NULL\
     ) step(oid, typmod, separator)) \
   SELECT w.n, w.oid, w.typmod, w.separator, format_type(o.oid, o.typmod), \
   (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = w.oid), w.plain \
   FROM walk w JOIN pg_type t ON t.oid = w.oid JOIN want o ON o.n = w.n \
   WHERE t.typtype <> 'd' AND (w.separator IS NOT NULL OR t.typoutput <> 'array_out'::regproc)";

fn labels(text: &str) -> Result<Vec<String>, Error> {
    let unreadable = || strange("reading an enum's labels");
    let mut scratch = Vec::new();
    let Ok(Value::Array(labels)) = array::read(Element::Text, b',', text, &mut scratch) else {
        return Err(unreadable());
    };
    let label = |value| if let Value::Text(label) = value { Ok(label.to_owned()) } else { Err(unreadable()) };
    labels.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_the_server_writes_arrays() {
        assert_eq!(labels(r#"{sad,"sad, very","NULL"}"#).unwrap(), ["sad", "sad, very", "NULL"]);
        assert!(labels("sad").is_err() && labels("{NULL}").is_err());
    }
}
