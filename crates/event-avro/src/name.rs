//! Names that Avro and Kafka accept, by one reversible rule.
//!
//! A character that is not legal becomes `_xHH_`: its code point in lower-case hexadecimal, two to six digits. An
//! underscore that would be read as the beginning of such an escape is itself escaped, so reading back is exact:
//! `unmangle(mangle(name)) == name` for every name, hence two names never become one. The empty name is `_x_`. A name that
//! is legal already stays as it is, unless it contains something that looks like an escape (`a_x2e_b`).

use std::borrow::Cow;

/// What Kafka allows for the length of a topic's name.
pub const TOPIC_LIMIT: usize = 249;

/// The stand-in for the empty name.
const EMPTY: &str = "_x_";

/// A table whose topic Kafka would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error(
        "table {schema}.{table}: its topic {topic} has {length} characters, kafka allows {TOPIC_LIMIT}; \
         choose a shorter topic_prefix, rename the table, or leave it out of source.tables"
    )]
    TooLong { schema: String, table: String, topic: String, length: usize },
    #[error("table {schema}.{table}: the topic prefix is empty; set kafka.topic_prefix")]
    NoPrefix { schema: String, table: String },
}

/// An Avro name (of a field, or of one part of a namespace) for any name.
pub fn mangle(name: &str) -> Cow<'_, str> {
    escape(name, |c, first| c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit()))
}

/// The name that [`mangle`] (or [`topic`], for one of its parts) was given.
pub fn unmangle(mangled: &str) -> Cow<'_, str> {
    if mangled == EMPTY {
        return Cow::Borrowed("");
    }
    if !mangled.contains("_x") {
        return Cow::Borrowed(mangled);
    }
    let mut name = String::with_capacity(mangled.len());
    let mut rest = mangled;
    while let Some(at) = rest.find("_x") {
        name.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((c, length)) = read_escape(rest) {
            name.push(c);
            rest = &rest[length..];
        } else {
            name.push('_');
            rest = &rest[1..];
        }
    }
    name.push_str(rest);
    Cow::Owned(name)
}

/// The namespace of a table's schemas: `<prefix>.<schema>.<table>`. Dots in the prefix separate, dots elsewhere are part
/// of a name.
pub fn namespace(prefix: &str, schema: &str, table: &str) -> String {
    let mut namespace = String::new();
    for part in prefix.split('.').chain([schema, table]) {
        if !namespace.is_empty() {
            namespace.push('.');
        }
        namespace.push_str(&mangle(part));
    }
    namespace
}

/// The topic of a table: `<prefix>.<schema>.<table>`.
///
/// Characters outside `[A-Za-z0-9._-]` are escaped, and so are dots in the schema's and the table's name: the last two
/// parts of a topic are always one schema and one table, so that no two tables share a topic.
///
/// # Errors
///
/// When the name is longer than Kafka allows, or the prefix is empty. The names `.` and `..`, which Kafka refuses, cannot
/// arise: a topic has two separators and three parts that are not empty.
pub fn topic(prefix: &str, schema: &str, table: &str) -> Result<String, NameError> {
    if prefix.is_empty() {
        return Err(NameError::NoPrefix { schema: schema.into(), table: table.into() });
    }
    let part = |c: char, _: bool| c == '_' || c == '-' || c.is_ascii_alphanumeric();
    let topic = [
        escape(prefix, |c, first| c == '.' || part(c, first)),
        Cow::Borrowed("."),
        escape(schema, part),
        Cow::Borrowed("."),
        escape(table, part),
    ]
    .concat();
    if topic.len() > TOPIC_LIMIT {
        let length = topic.len();
        return Err(NameError::TooLong { schema: schema.into(), table: table.into(), topic, length });
    }
    Ok(topic)
}

/// The topic that tells of tables' changes of shape. No table has it: a table's topic has three parts.
pub fn control_topic(prefix: &str) -> String {
    format!("{}.__schema_changes", escape(prefix, |c, _| c == '.' || c == '_' || c == '-' || c.is_ascii_alphanumeric()))
}

/// The topic of a table that was moved on: from the second version, its number stands behind the name.
pub fn topic_version(topic: &str, version: u32) -> String {
    if version < 2 { topic.to_owned() } else { format!("{topic}.v{version}") }
}

/// Escapes what `legal` (asked with the character and whether it is the first) refuses.
fn escape(name: &str, legal: impl Fn(char, bool) -> bool) -> Cow<'_, str> {
    if name.is_empty() {
        return Cow::Borrowed(EMPTY);
    }
    let keep = |at: usize, c: char| {
        legal(c, at == 0) && !(c == '_' && ((at == 0 && name == EMPTY) || looks_like_escape(&name[at..], &legal)))
    };
    if name.char_indices().all(|(at, c)| keep(at, c)) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 16);
    for (at, c) in name.char_indices() {
        if keep(at, c) {
            escaped.push(c);
        } else {
            escaped.push_str(&format!("_x{:02x}_", u32::from(c)));
        }
    }
    Cow::Owned(escaped)
}

/// Whether `rest`, once escaped, would begin with something that [`read_escape`] might take for an escape: `_x`, two to
/// six digits, and an underscore, be it from the name or the first character of the next escape.
fn looks_like_escape(rest: &str, legal: &impl Fn(char, bool) -> bool) -> bool {
    let Some(digits) = rest.strip_prefix("_x") else { return false };
    let length = hex_digits(digits);
    let next = digits[length..].chars().next();
    (2..=6).contains(&length) && next.is_some_and(|c| c == '_' || !legal(c, false))
}

/// The character and length of the escape that `text` begins with.
fn read_escape(text: &str) -> Option<(char, usize)> {
    let digits = text.strip_prefix("_x")?;
    let length = hex_digits(digits);
    if !(2..=6).contains(&length) || !digits[length..].starts_with('_') {
        return None;
    }
    let code = u32::from_str_radix(&digits[..length], 16).ok()?;
    Some((char::from_u32(code)?, length + 3))
}

fn hex_digits(text: &str) -> usize {
    text.bytes().take_while(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["id", "CamelCase", "_id", "customer_xref", "pos_x_start", "fe_xa_id", "a1", "__", "_x"] {
            assert_eq!(mangle(name), name);
            assert_eq!(unmangle(name), name);
        }
        assert_eq!(topic("shop", "public", "orders").unwrap(), "shop.public.orders");
        assert_eq!(topic("eu-1.shop", "public", "order-items").unwrap(), "eu-1.shop.public.order-items");
        assert_eq!(namespace("shop", "public", "orders"), "shop.public.orders");
    }

    #[test]
    fn odd_names_are_escaped_and_come_back() {
        let cases = [
            ("", "_x_"),
            ("_x_", "_x5f_x_"),
            ("1st", "_x31_st"),
            ("first name", "first_x20_name"),
            ("a.b", "a_x2e_b"),
            ("a_x2e_b", "a_x5f_x2e_b"),
            ("\"quoted\"", "_x22_quoted_x22_"),
            ("größe", "gr_xf6__xdf_e"),
            ("_xab\u{e9}", "_x5f_xab_xe9_"),
            ("\u{1f600}", "_x1f600_"),
            ("\n", "_x0a_"),
            ("_xd800_", "_x5f_xd800_"),
            ("my-col", "my_x2d_col"),
        ];
        for (name, mangled) in cases {
            assert_eq!(mangle(name), mangled);
            assert_eq!(unmangle(mangled), name);
        }
    }

    #[test]
    fn tables_never_share_a_topic() {
        let dotted = topic("shop", "a.b", "c").unwrap();
        assert_eq!(dotted, "shop.a_x2e_b.c");
        assert_ne!(dotted, topic("shop", "a", "b.c").unwrap());
        assert_ne!(dotted, topic("shop", "a_x2e_b", "c").unwrap());
        assert_eq!(topic("shop", "", "t t").unwrap(), "shop._x_.t_x20_t");
    }

    #[test]
    fn a_topic_that_kafka_refuses_is_an_error_that_names_the_table() {
        let long = "t".repeat(TOPIC_LIMIT - "shop.public.".len());
        assert_eq!(topic("shop", "public", &long).unwrap().len(), TOPIC_LIMIT);
        let error = topic("shop", "public", &format!("{long}x")).unwrap_err().to_string();
        assert!(error.starts_with("table public.tttt"), "{error}");
        assert!(error.contains("has 250 characters") && error.contains("topic_prefix"), "{error}");
        let error = topic("", "public", "orders").unwrap_err().to_string();
        assert_eq!(error, "table public.orders: the topic prefix is empty; set kafka.topic_prefix");
    }

    /// Names made of the pieces that could confuse the rule, and any other.
    fn names() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("_".to_owned()),
            Just("x".to_owned()),
            Just("_x".to_owned()),
            Just("2e".to_owned()),
            Just("_x5f_".to_owned()),
            Just(".".to_owned()),
            Just("é".to_owned()),
            "[a-f0-9]{1,3}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in names()) {
            let mangled = mangle(&name);
            prop_assert!(mangled.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic()));
            prop_assert!(mangled.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()));
            let back = unmangle(&mangled);
            prop_assert_eq!(back.as_ref(), name.as_str());
        }

        #[test]
        fn every_topic_is_legal_and_its_own(tables in proptest::collection::vec((names(), names()), 1..20)) {
            let mut seen: HashMap<String, (String, String)> = HashMap::new();
            for (schema, table) in tables {
                let Ok(topic) = topic("shop", &schema, &table) else { continue };
                prop_assert!(topic.chars().all(|c| "._-".contains(c) || c.is_ascii_alphanumeric()));
                let parts: Vec<_> = topic.split('.').map(unmangle).collect();
                prop_assert_eq!(&parts[1..], &[schema.as_str(), table.as_str()]);
                let first = seen.entry(topic).or_insert_with(|| (schema.clone(), table.clone()));
                prop_assert_eq!(&*first, &(schema, table));
            }
        }
    }
}
