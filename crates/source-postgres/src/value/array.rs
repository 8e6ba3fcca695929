//! Arrays as the server's `array_out` writes them: `{1,NULL,"a b"}`, `[0:1]={7,8}`, `{{1},{2}}`.
//!
//! The server quotes an element that is empty, that reads as NULL in any case, or that holds a quote, a backslash, a brace,
//! the separator or white space. So an unquoted element with any of these did not come from `array_out`, and is refused.

use change::{Absence, ArrayWriter, Element, Reason, Value};

use super::Malformed;

/// Reads an array of `element`s. Its elements are put in `scratch`.
///
/// More than one dimension, or one that does not begin at 1: absent, `dimensions`. An element that its form does not hold:
/// the whole array is absent, for that element's reason.
pub fn read<'v>(
    element: Element,
    separator: u8,
    text: &'v str,
    scratch: &'v mut Vec<u8>,
) -> Result<Value<'v>, Malformed> {
    let absent = |reason| Ok(Value::Absent(Absence { reason, text: Some(text) }));
    let undecorated = match text.strip_prefix('[') {
        Some(decorated) => bounds(decorated)?,
        None => text,
    };
    let body = undecorated.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(Malformed)?;
    if undecorated.len() != text.len() || body.starts_with('{') {
        return absent(Reason::Dimensions);
    }
    let mut items = ArrayWriter::new(scratch);
    let (mut unescaped, mut computed) = (String::new(), Vec::new());
    let mut rest = if body.is_empty() { None } else { Some(body) };
    while let Some(from) = rest {
        let (item, after) = next(from, char::from(separator), &mut unescaped)?;
        let value = match item {
            Item::Null => Value::Null,
            Item::Text(text) => super::read(element.form(), text.as_bytes(), &mut computed)?,
            Item::Unescaped => super::read(element.form(), unescaped.as_bytes(), &mut computed)?,
        };
        if let Value::Absent(absence) = value {
            return absent(absence.reason);
        }
        items.push(value).map_err(|_| Malformed)?;
        rest = after;
    }
    Ok(Value::Array(items.finish()))
}

/// What follows the bounds `[1:2][-3:4]=`, whose first bracket is taken already.
fn bounds(decorated: &str) -> Result<&str, Malformed> {
    let (bounds, rest) = decorated.split_once("]=").ok_or(Malformed)?;
    let number = |text: &str| text.parse::<i32>().is_ok();
    let is_range = |text: &str| text.split_once(':').is_some_and(|(from, to)| number(from) && number(to));
    if bounds.split("][").all(is_range) { Ok(rest) } else { Err(Malformed) }
}

enum Item<'v> {
    Null,
    Text(&'v str),
    /// The text without its backslashes is in the buffer.
    Unescaped,
}

/// The first element of a list that is not empty, and the list after it if there is more.
fn next<'v>(list: &'v str, separator: char, unescaped: &mut String) -> Result<(Item<'v>, Option<&'v str>), Malformed> {
    if let Some(quoted) = list.strip_prefix('"') {
        let (item, after) = unquote(quoted, unescaped)?;
        return match after.strip_prefix(separator) {
            None if after.is_empty() => Ok((item, None)),
            None => Err(Malformed),
            more => Ok((item, more)),
        };
    }
    let (item, after) = match list.split_once(separator) {
        Some((item, after)) => (item, Some(after)),
        None => (list, None),
    };
    let needs_quotes = |byte| matches!(byte, b'"' | b'\\' | b'{' | b'}' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    if item.is_empty() || item.bytes().any(needs_quotes) {
        return Err(Malformed);
    }
    match item {
        "NULL" => Ok((Item::Null, after)),
        _ if item.eq_ignore_ascii_case("NULL") => Err(Malformed),
        _ => Ok((Item::Text(item), after)),
    }
}

/// An element up to its closing quote, and what follows the quote. Only a quote and a backslash have a backslash before.
fn unquote<'v>(quoted: &'v str, unescaped: &mut String) -> Result<(Item<'v>, &'v str), Malformed> {
    let special = |text: &'v str| -> Result<(&'v str, char, &'v str), Malformed> {
        let at = text.find(['"', '\\']).ok_or(Malformed)?;
        let (before, rest) = text.split_at_checked(at).ok_or(Malformed)?;
        let mut chars = rest.chars();
        let found = chars.next().ok_or(Malformed)?;
        Ok((before, found, chars.as_str()))
    };
    let (mut before, mut found, mut rest) = special(quoted)?;
    if found == '"' {
        return Ok((Item::Text(before), rest));
    }
    unescaped.clear();
    loop {
        unescaped.push_str(before);
        if found == '"' {
            return Ok((Item::Unescaped, rest));
        }
        let mut chars = rest.chars();
        match chars.next() {
            Some(escaped @ ('"' | '\\')) => unescaped.push(escaped),
            _ => return Err(Malformed),
        }
        (before, found, rest) = special(chars.as_str())?;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The elements, or the reason of an absence.
    fn elements(element: Element, separator: u8, text: &str) -> Result<Result<Vec<Option<String>>, Reason>, Malformed> {
        let mut scratch = b"left over".to_vec();
        let shown = |value| match value {
            Value::Null => None,
            Value::Text(text) => Some(text.to_owned()),
            Value::Long(number) => Some(number.to_string()),
            other => Some(format!("{other:?}")),
        };
        match read(element, separator, text, &mut scratch)? {
            Value::Array(array) => Ok(Ok(array.iter().map(shown).collect())),
            Value::Absent(absence) => {
                assert_eq!(absence.text, Some(text));
                Ok(Err(absence.reason))
            }
            other => panic!("{other:?}"),
        }
    }

    fn texts(text: &str) -> Vec<Option<String>> {
        elements(Element::Text, b',', text).unwrap().unwrap()
    }

    fn some(items: &[&str]) -> Vec<Option<String>> {
        items.iter().map(|item| Some((*item).to_owned())).collect()
    }

    #[test]
    fn elements_of_every_spelling() {
        assert_eq!(texts("{}"), []);
        assert_eq!(texts("{a}"), some(&["a"]));
        assert_eq!(texts("{NULL,\"NULL\",\"null\",nul}"), [vec![None], some(&["NULL", "null", "nul"])].concat());
        assert_eq!(
            texts(r#"{"","a b","a,b","{}","\"","\\","é\\\"ü"}"#),
            some(&["", "a b", "a,b", "{}", "\"", "\\", "é\\\"ü"])
        );
        assert_eq!(texts("{\"a\nb\",\u{a0},日本}"), some(&["a\nb", "\u{a0}", "日本"]));
        assert_eq!(
            elements(Element::Text, b';', "{(1,1),(0,0);(2,2),(1,1)}"),
            Ok(Ok(some(&["(1,1),(0,0)", "(2,2),(1,1)"])))
        );
        assert_eq!(elements(Element::Long, b',', "{1,NULL,-3}").unwrap().unwrap()[1], None);
        assert_eq!(
            elements(Element::Bytes, b',', r#"{"\\x00ff",NULL}"#),
            Ok(Ok(vec![Some("Bytes([0, 255])".to_owned()), None]))
        );
    }

    #[test]
    fn what_an_event_cannot_hold_is_absent_as_a_whole() {
        let date = |text| elements(Element::Date, b',', text);
        assert_eq!(date("{2024-02-29,infinity,2024-03-01}"), Ok(Err(Reason::Infinity)));
        let decimal = Element::Decimal { precision: 4, scale: 1 };
        assert_eq!(elements(decimal, b',', "{1.0,NaN}"), Ok(Err(Reason::NotANumber)));
        assert_eq!(elements(decimal, b',', "{1.0,1000.5}"), Ok(Err(Reason::OutOfRange)));
        for shape in ["{{1,2},{3,4}}", "[0:1]={1,2}", "[-3:-3][2:2]={{7}}", "[1:1][-2:-1][3:5]={{{1,2,3},{4,5,6}}}"] {
            assert_eq!(elements(Element::Long, b',', shape), Ok(Err(Reason::Dimensions)), "{shape}");
        }
    }

    #[test]
    fn what_the_server_does_not_write_is_refused() {
        for text in [
            "",
            "{",
            "}",
            "1",
            "{1",
            "1}",
            "{,}",
            "{1,}",
            "{,1}",
            "{1,,2}",
            "{a b}",
            "{null}",
            "{Null}",
            "{a\"b}",
            "{\"a\"b}",
            "{\"a}",
            "{\"a\\}",
            "{\"a\\nb\"}",
            "{a\\}",
            "{a{}",
            "{a}}",
            "[0:1]",
            "[0:1]=",
            "[0:1]{1,2}",
            "[0]={1}",
            "[a:b]={1}",
            "[0:1]x={1}",
            "[0:1][]={1}",
            " {1}",
            "{1} ",
        ] {
            assert_eq!(elements(Element::Text, b',', text), Err(Malformed), "{text}");
        }
        assert_eq!(elements(Element::Long, b',', "{1,x}"), Err(Malformed));
        assert_eq!(elements(Element::Long, b',', "{\"\"}"), Err(Malformed));
    }

    /// `array_out`, as its documentation says it.
    fn written(items: &[Option<String>], separator: char) -> String {
        let item = |item: &Option<String>| match item {
            None => "NULL".to_owned(),
            Some(text) => {
                let special = |c: char| "\"\\{} \t\n\r\u{b}\u{c}".contains(c) || c == separator;
                let escaped: String =
                    text.chars().flat_map(|c| if "\"\\".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
                let bare = !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.chars().any(special);
                if bare { escaped } else { format!("\"{escaped}\"") }
            }
        };
        format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(&separator.to_string()))
    }

    fn any_text() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            Just(None),
            any::<String>().prop_map(Some),
            "[nN][uU][lL][lL]".prop_map(Some),
            "[,;\\\\\"{} a]{0,5}".prop_map(Some),
        ]
    }

    proptest! {
        #[test]
        fn every_array_comes_back(items in prop::collection::vec(any_text(), 0..8), semicolon: bool) {
            let separator = if semicolon { b';' } else { b',' };
            let text = written(&items, char::from(separator));
            prop_assert_eq!(elements(Element::Text, separator, &text), Ok(Ok(items)));
        }

        #[test]
        fn no_text_panics(text: String, mixed in "[\\[\\]{}\",;:=\\\\aNUL0-9-]{0,12}") {
            drop(elements(Element::Text, b',', &text));
            drop(elements(Element::Text, b',', &mixed));
            drop(elements(Element::Long, b';', &mixed));
        }
    }
}
