//! Changes to a document, as PARTIAL_UPDATE_ROWS carries them (`sql-common/json_diff.h`): replace, insert or remove at a
//! path, one after the other.
//!
//! The new document is the old one, changed. The old one is in the row's before image, so it has to be complete there
//! (`binlog_row_image=FULL`); where it is not, nothing can be known of the new one.

use super::binary::{Document, Node, Scalar};
use super::text;
use crate::value::Malformed;
use crate::wire::reader::Reader;

/// A document in memory. Only partial updates need one.
#[derive(Clone, Debug, PartialEq)]
enum Tree<'a> {
    /// Members by the length of their keys, then by the keys: the server's order (`sql-common/json_dom.h`,
    /// `Json_key_comparator`).
    Object(Vec<(Vec<u8>, Self)>),
    Array(Vec<Self>),
    Scalar(Scalar<'a>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leg {
    Member(Vec<u8>),
    Cell(usize),
}

/// Appends the text of `before` after all `changes`.
///
/// # Errors
///
/// A document, change or path that is none, or a path that leads nowhere.
pub fn write(before: &[u8], changes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let document = Document::new(before);
    let mut tree = Tree::read(&document, document.root()?)?;
    let mut reader = Reader::new("json changes", changes);
    while !reader.is_empty() {
        let operation = reader.u8().map_err(|_| Malformed)?;
        let legs = path(reader.lenenc_bytes().map_err(|_| Malformed)?)?;
        let value = match operation {
            REPLACE | INSERT => {
                let document = Document::new(reader.lenenc_bytes().map_err(|_| Malformed)?);
                Some(Tree::read(&document, document.root()?)?)
            }
            REMOVE => None,
            _ => return Err(Malformed),
        };
        tree.apply(&legs, operation, value)?;
    }
    tree.write(out)
}

const REPLACE: u8 = 0;
const INSERT: u8 = 1;
const REMOVE: u8 = 2;

impl<'a> Tree<'a> {
    fn read(document: &Document<'a>, node: Node<'a>) -> Result<Self, Malformed> {
        let container = match node {
            Node::Scalar(scalar) => return Ok(Self::Scalar(scalar)),
            Node::Container(container) => container,
        };
        if container.is_object {
            let mut members = Vec::new();
            for index in 0..container.count {
                let key = document.key(&container, index)?.to_vec();
                members.push((key, Self::read(document, document.member(&container, index)?)?));
            }
            return Ok(Self::Object(members));
        }
        let mut cells = Vec::new();
        for index in 0..container.count {
            cells.push(Self::read(document, document.member(&container, index)?)?);
        }
        Ok(Self::Array(cells))
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::Scalar(scalar) => text::scalar(*scalar, out)?,
            Self::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    text::quoted(key, out);
                    out.extend_from_slice(b": ");
                    value.write(out)?;
                }
                out.push(b'}');
            }
            Self::Array(cells) => {
                out.push(b'[');
                for (index, value) in cells.iter().enumerate() {
                    if index > 0 {
                        out.extend_from_slice(b", ");
                    }
                    value.write(out)?;
                }
                out.push(b']');
            }
        }
        Ok(())
    }

    /// The value at a leg.
    fn step(&mut self, leg: &Leg) -> Option<&mut Self> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
            }
            (Self::Array(cells), Leg::Cell(index)) => cells.get_mut(*index),
            // A value that is no array is as good as an array of it.
            (scalar, Leg::Cell(0)) => Some(scalar),
            _ => None,
        }
    }

    fn apply(&mut self, legs: &[Leg], operation: u8, value: Option<Self>) -> Result<(), Malformed> {
        let Some((last, before)) = legs.split_last() else {
            // The path of the whole document: it can only be replaced.
            *self = value.filter(|_| operation == REPLACE).ok_or(Malformed)?;
            return Ok(());
        };
        let mut parent = self;
        for leg in before {
            parent = parent.step(leg).ok_or(Malformed)?;
        }
        match (operation, value) {
            (REPLACE, Some(value)) => *parent.step(last).ok_or(Malformed)? = value,
            (INSERT, Some(value)) => parent.insert(last, value)?,
            _ => parent.remove(last)?,
        }
        Ok(())
    }

    fn insert(&mut self, leg: &Leg, value: Self) -> Result<(), Malformed> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                let order = |key: &[u8]| key.len().cmp(&name.len()).then_with(|| key.cmp(name));
                let at = members.binary_search_by(|(key, _)| order(key)).err().ok_or(Malformed)?;
                members.insert(at, (name.clone(), value));
            }
            (Self::Array(cells), Leg::Cell(index)) => cells.insert((*index).min(cells.len()), value),
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn remove(&mut self, leg: &Leg) -> Result<(), Malformed> {
        match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                let at = members.iter().position(|(key, _)| key == name).ok_or(Malformed)?;
                members.remove(at);
            }
            (Self::Array(cells), Leg::Cell(index)) if *index < cells.len() => drop(cells.remove(*index)),
            _ => return Err(Malformed),
        }
        Ok(())
    }
}

/// Reads `$.name."quoted name"[3]` (`sql-common/json_path.cc`, `Json_path_leg::to_string`).
fn path(bytes: &[u8]) -> Result<Vec<Leg>, Malformed> {
    let mut rest = bytes.strip_prefix(b"$").ok_or(Malformed)?;
    let mut legs = Vec::new();
    while let Some((first, others)) = rest.split_first() {
        let (leg, next) = match (first, others) {
            (b'.', [b'"', quoted @ ..]) => name(quoted)?,
            (b'.', plain) => {
                let end = plain.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(plain.len());
                let (name, next) = plain.split_at_checked(end).filter(|(name, _)| !name.is_empty()).ok_or(Malformed)?;
                (Leg::Member(name.to_vec()), next)
            }
            (b'[', inside) => {
                let end = inside.iter().position(|byte| *byte == b']').ok_or(Malformed)?;
                let (digits, next) = inside.split_at_checked(end).ok_or(Malformed)?;
                let digits = std::str::from_utf8(digits).map_err(|_| Malformed)?;
                let strict = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let index = if strict { digits.parse().map_err(|_| Malformed)? } else { return Err(Malformed) };
                (Leg::Cell(index), next.get(1..).ok_or(Malformed)?)
            }
            _ => return Err(Malformed),
        };
        legs.push(leg);
        rest = next;
    }
    Ok(legs)
}

/// A name up to the quote that ends it, and what follows.
fn name(mut rest: &[u8]) -> Result<(Leg, &[u8]), Malformed> {
    let mut name = Vec::new();
    loop {
        match rest {
            [b'"', next @ ..] => return Ok((Leg::Member(name), next)),
            [b'\\', b'u', a, b, c, d, next @ ..] => {
                let digits = [*a, *b, *c, *d];
                let digits = std::str::from_utf8(&digits).map_err(|_| Malformed)?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| Malformed)?;
                let character = char::from_u32(code).ok_or(Malformed)?;
                name.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = next;
            }
            [b'\\', escaped, next @ ..] => {
                name.push(match escaped {
                    b'b' => 0x08,
                    b't' => 0x09,
                    b'n' => 0x0a,
                    b'f' => 0x0c,
                    b'r' => 0x0d,
                    b'"' | b'\\' | b'/' => *escaped,
                    _ => return Err(Malformed),
                });
                rest = next;
            }
            [byte, next @ ..] => {
                name.push(*byte);
                rest = next;
            }
            [] => return Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": [1, null]}`
    const BEFORE: [u8; 23] = [0, 1, 0, 22, 0, 11, 0, 1, 0, 2, 12, 0, b'a', 2, 0, 10, 0, 5, 1, 0, 4, 0, 0];

    fn change(operation: u8, path: &str, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![operation, path.len() as u8];
        bytes.extend(path.as_bytes());
        if operation != REMOVE {
            bytes.push(value.len() as u8);
            bytes.extend(value);
        }
        bytes
    }

    fn after(changes: &[Vec<u8>]) -> Result<String, Malformed> {
        let mut out = Vec::new();
        write(&BEFORE, &changes.concat(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn changes_follow_each_other() {
        let seven = [5, 7, 0];
        assert_eq!(after(&[]).unwrap(), "{\"a\": [1, null]}");
        assert_eq!(after(&[change(REPLACE, "$.a[1]", &seven)]).unwrap(), "{\"a\": [1, 7]}");
        assert_eq!(after(&[change(INSERT, "$.a[0]", &seven)]).unwrap(), "{\"a\": [7, 1, null]}");
        assert_eq!(after(&[change(INSERT, "$.a[9]", &seven)]).unwrap(), "{\"a\": [1, null, 7]}");
        assert_eq!(after(&[change(REMOVE, "$.a[0]", &[])]).unwrap(), "{\"a\": [null]}");
        assert_eq!(after(&[change(REPLACE, "$", &seven)]).unwrap(), "7");
        let both = [
            change(INSERT, "$.bb", &seven),
            change(INSERT, "$.\"b\\n\\u0041\"", &seven),
            change(INSERT, "$.Z", &seven),
        ];
        assert_eq!(after(&both).unwrap(), "{\"Z\": 7, \"a\": [1, null], \"bb\": 7, \"b\\nA\": 7}");
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let seven = [5, 7, 0];
        for bad in [
            change(REPLACE, "$.b", &seven),
            change(INSERT, "$.a", &seven),
            change(REMOVE, "$.a[2]", &[]),
            change(REMOVE, "$", &[]),
            change(3, "$.a", &seven),
            change(REPLACE, "a", &seven),
            change(REPLACE, "$.a[x]", &seven),
            change(REPLACE, "$.a[", &seven),
            change(REPLACE, "$.\"a", &seven),
            change(REPLACE, "$.a[1]", &[5, 7]),
        ] {
            assert!(after(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        let whole = change(REPLACE, "$.a[1]", &seven);
        for cut in 1..whole.len() {
            assert!(after(&[whole[..cut].to_vec()]).is_err(), "{cut}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(before: Vec<u8>, changes: Vec<u8>, path in "\\$[.\\[\\]\"a0\\\\u]{0,12}") {
            write(&before, &changes, &mut Vec::new()).ok();
            write(&BEFORE, &change(REPLACE, &path, &[4, 0]), &mut Vec::new()).ok();
        }
    }
}
