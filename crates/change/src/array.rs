//! The elements of an array, one after the other in one buffer.
//!
//! A source reads an array's text, in whatever syntax its database writes it, and pushes the elements here; whoever
//! writes an event walks over them. Between the two stands one byte buffer that is used again, so that a column of an
//! array costs no allocation for its elements, and this crate knows nothing of anybody's syntax.

use crate::Value;

/// A one-dimensional array, borrowed from the buffer that an [`ArrayWriter`] filled. Its elements are [`Value::Null`] or
/// of one scalar form, never absent and never arrays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Array<'a> {
    length: usize,
    items: &'a [u8],
}

impl<'a> Array<'a> {
    /// The number of elements.
    pub const fn len(&self) -> usize {
        self.length
    }

    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The elements in order.
    pub const fn iter(&self) -> Elements<'a> {
        Elements { rest: self.items }
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const LONG: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
const TEXT: u8 = 6;
const BYTES: u8 = 7;

/// Fills a buffer with the elements of one array.
#[derive(Debug)]
pub struct ArrayWriter<'b> {
    length: usize,
    items: &'b mut Vec<u8>,
}

/// What cannot be an element: an absent value, or an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnElement;

impl<'b> ArrayWriter<'b> {
    /// An array without elements; what is in the buffer is forgotten.
    pub fn new(buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        Self { length: 0, items: buffer }
    }

    /// Appends an element.
    ///
    /// # Errors
    ///
    /// [`NotAnElement`]; nothing is appended then.
    pub fn push(&mut self, value: Value<'_>) -> Result<(), NotAnElement> {
        match value {
            Value::Null => self.items.push(NULL),
            Value::Boolean(flag) => self.items.push(if flag { TRUE } else { FALSE }),
            Value::Long(number) => self.fixed(LONG, &number.to_le_bytes()),
            Value::Float(number) => self.fixed(FLOAT, &number.to_le_bytes()),
            Value::Double(number) => self.fixed(DOUBLE, &number.to_le_bytes()),
            Value::Text(text) => self.sized(TEXT, text.as_bytes()),
            Value::Bytes(bytes) => self.sized(BYTES, bytes),
            Value::Absent(_) | Value::Array(_) => return Err(NotAnElement),
        }
        self.length += 1;
        Ok(())
    }

    pub fn finish(self) -> Array<'b> {
        Array { length: self.length, items: self.items }
    }

    fn fixed(&mut self, tag: u8, bytes: &[u8]) {
        self.items.push(tag);
        self.items.extend_from_slice(bytes);
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.fixed(tag, &bytes.len().to_le_bytes());
        self.items.extend_from_slice(bytes);
    }
}

/// The elements of an [`Array`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::from_le_bytes(self.fixed()?);
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let [tag] = self.fixed()?;
        Some(match tag {
            NULL => Value::Null,
            FALSE | TRUE => Value::Boolean(tag == TRUE),
            LONG => Value::Long(i64::from_le_bytes(self.fixed()?)),
            FLOAT => Value::Float(f32::from_le_bytes(self.fixed()?)),
            DOUBLE => Value::Double(f64::from_le_bytes(self.fixed()?)),
            // Only an ArrayWriter makes the bytes, and it was given a str.
            TEXT => Value::Text(std::str::from_utf8(self.sized()?).ok()?),
            _ => Value::Bytes(self.sized()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Absence, Reason};

    #[test]
    fn elements_come_back() {
        let values = [
            Value::Null,
            Value::Boolean(true),
            Value::Boolean(false),
            Value::Long(i64::MIN),
            Value::Float(-0.5),
            Value::Double(1e300),
            Value::Text(""),
            Value::Text("grüße"),
            Value::Bytes(&[]),
            Value::Bytes(&[0xff, 0]),
        ];
        let mut buffer = b"left over".to_vec();
        let mut writer = ArrayWriter::new(&mut buffer);
        for value in values {
            writer.push(value).unwrap();
        }
        let absence = Absence { reason: Reason::Infinity, text: None };
        assert_eq!(writer.push(Value::Absent(absence)), Err(NotAnElement));
        let array = writer.finish();
        assert_eq!(writer_of_nothing().push(Value::Array(array)), Err(NotAnElement));
        assert_eq!((array.len(), array.is_empty()), (values.len(), false));
        assert_eq!(array.iter().collect::<Vec<_>>(), values);
        assert_eq!(format!("{:?}", Value::Array(array)).matches("Text").count(), 2);
    }

    fn writer_of_nothing() -> ArrayWriter<'static> {
        ArrayWriter::new(Box::leak(Box::default()))
    }

    #[test]
    fn an_empty_array_has_no_elements() {
        let mut buffer = Vec::new();
        let array = ArrayWriter::new(&mut buffer).finish();
        assert!(array.is_empty() && array.iter().next().is_none());
    }
}
