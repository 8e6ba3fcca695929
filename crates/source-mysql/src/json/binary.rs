//! The binary form of a JSON document (`sql-common/json_binary.h` has the grammar).
//!
//! A document is a type and a value. Objects and arrays begin with how many members they have and how many bytes, then
//! come fixed-size entries that say where keys and values lie, counted from the container's start. Small numbers and
//! literals stand in the entry itself.
//!
//! Nothing in the form keeps entries from pointing at the same bytes, so a small document could unfold into a huge one. A
//! server never writes such a thing: there every key, entry and value has its own bytes. So [`Document`] spends a budget
//! of as many bytes as there are, and depth is limited as it is in the server (`JSON_DOCUMENT_MAX_DEPTH`).

use std::cell::Cell;

use crate::value::Malformed;
use crate::wire::reader::{Reader, little};

/// Levels of containers that the server allows.
pub const MAX_DEPTH: usize = 100;

const SMALL_OBJECT: u8 = 0;
const LARGE_OBJECT: u8 = 1;
const SMALL_ARRAY: u8 = 2;
const LARGE_ARRAY: u8 = 3;
const LITERAL: u8 = 4;
const INT16: u8 = 5;
const UINT16: u8 = 6;
const INT32: u8 = 7;
const UINT32: u8 = 8;
const INT64: u8 = 9;
const UINT64: u8 = 10;
const DOUBLE: u8 = 11;
const STRING: u8 = 12;
const OPAQUE: u8 = 15;

/// A document and what may still be read of it.
#[derive(Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    budget: Cell<usize>,
}

/// A value in a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node<'a> {
    Container(Container<'a>),
    Scalar(Scalar<'a>),
}

/// A value without members.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    Null,
    Boolean(bool),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    /// UTF-8, not checked.
    Text(&'a [u8]),
    /// A value of a column type, by the number that it has in a table map.
    Opaque {
        kind: u8,
        bytes: &'a [u8],
    },
}

/// An object or an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Container<'a> {
    bytes: &'a [u8],
    pub is_object: bool,
    pub count: usize,
    large: bool,
    depth: usize,
}

impl<'a> Document<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, budget: Cell::new(bytes.len()) }
    }

    /// The value at the top. No bytes at all are the literal null, as the server reads them.
    pub fn root(&self) -> Result<Node<'a>, Malformed> {
        let Some((kind, value)) = self.bytes.split_first() else { return Ok(Node::Scalar(Scalar::Null)) };
        self.spend(1)?;
        self.node(*kind, value, 1)
    }

    fn spend(&self, bytes: usize) -> Result<(), Malformed> {
        self.budget.set(self.budget.get().checked_sub(bytes).ok_or(Malformed)?);
        Ok(())
    }

    fn node(&self, kind: u8, value: &'a [u8], depth: usize) -> Result<Node<'a>, Malformed> {
        if let SMALL_OBJECT..=LARGE_ARRAY = kind {
            return self.container(kind, value, depth).map(Node::Container);
        }
        let mut reader = Reader::new("json value", value);
        let mut number = |width: usize| {
            self.spend(width)?;
            reader.take(width).map_err(|_| Malformed)
        };
        let scalar = match kind {
            LITERAL => literal(little(number(1)?))?,
            INT16 => Scalar::Signed(crate::value::number::signed(number(2)?)),
            INT32 => Scalar::Signed(crate::value::number::signed(number(4)?)),
            INT64 => Scalar::Signed(crate::value::number::signed(number(8)?)),
            UINT16 => Scalar::Unsigned(little(number(2)?)),
            UINT32 => Scalar::Unsigned(little(number(4)?)),
            UINT64 => Scalar::Unsigned(little(number(8)?)),
            DOUBLE => Scalar::Double(f64::from_bits(little(number(8)?))),
            STRING => Scalar::Text(self.sized(&mut reader)?),
            OPAQUE => {
                let kind = reader.u8().map_err(|_| Malformed)?;
                Scalar::Opaque { kind, bytes: self.sized(&mut reader)? }
            }
            _ => return Err(Malformed),
        };
        Ok(Node::Scalar(scalar))
    }

    /// Bytes behind a length of seven bits a byte, the lowest first, the highest bit set in all but the last.
    fn sized(&self, reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
        let (mut length, mut shift) = (0u64, 0u32);
        loop {
            let byte = reader.u8().map_err(|_| Malformed)?;
            length |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                break;
            }
            if shift > 28 {
                return Err(Malformed);
            }
        }
        let bytes = reader.take(usize::try_from(length).map_err(|_| Malformed)?).map_err(|_| Malformed)?;
        self.spend(bytes.len())?;
        Ok(bytes)
    }

    fn container(&self, kind: u8, value: &'a [u8], depth: usize) -> Result<Container<'a>, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        let large = matches!(kind, LARGE_OBJECT | LARGE_ARRAY);
        let is_object = !matches!(kind, SMALL_ARRAY | LARGE_ARRAY);
        let mut reader = Reader::new("json container", value);
        let width = offset_width(large);
        let mut number = || {
            let number = reader.uint(width).map_err(|_| Malformed)?;
            usize::try_from(number).map_err(|_| Malformed)
        };
        let (count, size) = (number()?, number()?);
        let bytes = value.get(..size).ok_or(Malformed)?;
        let container = Container { bytes, is_object, count, large, depth };
        // Entries are of fixed size, so that their number is bounded by the bytes before one is read.
        if container.entries_end().is_none_or(|end| end > size) {
            return Err(Malformed);
        }
        self.spend(width.saturating_mul(2))?;
        Ok(container)
    }

    /// The key of a member of an object.
    pub fn key(&self, container: &Container<'a>, index: usize) -> Result<&'a [u8], Malformed> {
        let at = container.key_entry(index).ok_or(Malformed)?;
        let mut entry = Reader::new("json key entry", container.bytes.get(at..).ok_or(Malformed)?);
        let offset = entry.uint(offset_width(container.large)).map_err(|_| Malformed)?;
        let length = usize::from(entry.u16().map_err(|_| Malformed)?);
        let start = usize::try_from(offset).map_err(|_| Malformed)?;
        let key = container.bytes.get(start..).and_then(|rest| rest.get(..length)).ok_or(Malformed)?;
        self.spend(length.saturating_add(2))?;
        Ok(key)
    }

    /// The value of a member.
    pub fn member(&self, container: &Container<'a>, index: usize) -> Result<Node<'a>, Malformed> {
        let at = container.value_entry(index).ok_or(Malformed)?;
        let entry = container.bytes.get(at..).ok_or(Malformed)?;
        let (kind, place) = entry.split_first().ok_or(Malformed)?;
        let inline = matches!(kind, &LITERAL | &INT16 | &UINT16) || container.large && matches!(kind, &INT32 | &UINT32);
        self.spend(1)?;
        if inline {
            return self.node(*kind, place.get(..offset_width(container.large)).ok_or(Malformed)?, container.depth);
        }
        let offset =
            Reader::new("json value entry", place).uint(offset_width(container.large)).map_err(|_| Malformed)?;
        let start = usize::try_from(offset).map_err(|_| Malformed)?;
        self.node(*kind, container.bytes.get(start..).ok_or(Malformed)?, container.depth.saturating_add(1))
    }
}

impl Container<'_> {
    fn key_size(&self) -> usize {
        if self.is_object { offset_width(self.large).saturating_add(2) } else { 0 }
    }

    fn key_entry(&self, index: usize) -> Option<usize> {
        let head = offset_width(self.large).checked_mul(2)?;
        (self.is_object && index < self.count).then_some(())?;
        head.checked_add(self.key_size().checked_mul(index)?)
    }

    fn value_entry(&self, index: usize) -> Option<usize> {
        let keys = self.key_size().checked_mul(self.count)?;
        let head = offset_width(self.large).checked_mul(2)?.checked_add(keys)?;
        let size = offset_width(self.large).checked_add(1)?;
        (index <= self.count).then_some(())?;
        head.checked_add(size.checked_mul(index)?)
    }

    fn entries_end(&self) -> Option<usize> {
        self.value_entry(self.count)
    }
}

const fn offset_width(large: bool) -> usize {
    if large { 4 } else { 2 }
}

fn literal(number: u64) -> Result<Scalar<'static>, Malformed> {
    match number {
        0 => Ok(Scalar::Null),
        1 => Ok(Scalar::Boolean(true)),
        2 => Ok(Scalar::Boolean(false)),
        _ => Err(Malformed),
    }
}
