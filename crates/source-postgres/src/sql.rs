//! Quoting, and the statements that people are shown.

use change::TableName;

/// `"name"`, with quotes inside doubled.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `'text'`, safe whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A condition that a person wrote, as a part of another one. The line break ends a comment in it.
pub(crate) fn nested(condition: &str) -> String {
    format!("({condition}\n)")
}

/// For statements: quoted where that is needed.
pub(crate) fn table(name: &TableName) -> String {
    format!("{}.{}", plain(&name.schema), plain(&name.table))
}

/// Quotes only where the name needs it, so that what people read is what they would have written.
pub(crate) fn plain(name: &str) -> String {
    let simple = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !RESERVED.split(' ').any(|word| word == name);
    if simple { name.to_owned() } else { identifier(name) }
}

/// What the server's `quote_identifier` quotes although it is simple: every key word that is not unreserved.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean \
    both case cast char character check coalesce collate collation column concurrently constraint create \
    cross current_catalog current_date current_role current_schema current_time current_timestamp \
    current_user dec decimal default deferrable desc distinct do else end except exists extract false \
    fetch float for foreign freeze from full grant greatest group grouping having ilike in initially \
    inner inout int integer intersect interval into is isnull join lateral leading least left like limit \
    localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric \
    offset on only or order out outer overlaps overlay placing position precision primary real \
    references returning right row select session_user setof similar smallint some substring symmetric \
    system_user table tablesample then time timestamp to trailing treat trim true union unique user \
    using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement \
    xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable";

pub(crate) fn tables<'a>(names: impl IntoIterator<Item = &'a TableName>) -> String {
    names.into_iter().map(table).collect::<Vec<_>>().join(", ")
}

pub(crate) fn create_slot(slot: &str) -> String {
    format!("SELECT pg_create_logical_replication_slot({}, 'pgoutput');", literal(slot))
}

pub(crate) fn drop_slot(slot: &str) -> String {
    format!("SELECT pg_drop_replication_slot({});", literal(slot))
}

pub(crate) fn create_publication(publication: &str, names: &[&TableName], via_root: bool) -> String {
    let with = if via_root { " WITH (publish_via_partition_root = true)" } else { "" };
    format!("CREATE PUBLICATION {} FOR TABLE {}{with};", plain(publication), tables(names.iter().copied()))
}

pub(crate) fn add_tables(publication: &str, names: &[&TableName]) -> String {
    format!("ALTER PUBLICATION {} ADD TABLE {};", plain(publication), tables(names.iter().copied()))
}

pub(crate) fn identity_full(name: &TableName) -> String {
    format!("ALTER TABLE {} REPLICA IDENTITY FULL;", table(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting() {
        assert_eq!(table(&TableName::new("public", "order")), "public.\"order\"");
        assert_eq!(table(&TableName::new("public", "orders")), "public.orders");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
    }
}
