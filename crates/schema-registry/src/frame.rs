//! The wire frame: a zero byte, the schema's id in four bytes, big-endian, then the Avro body.

use std::fmt;

/// The number the registry gave to a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(transparent)]
pub struct SchemaId(pub u32);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bytes that do not begin as a framed Avro body does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a framed record has at least 5 bytes, this one has {0}")]
    Short(usize),
    #[error("a framed record begins with byte 0x00, this one with {0:#04x}: it was not written with a schema id")]
    Magic(u8),
}

/// The five bytes that stand before every Avro body of this schema.
pub const fn header(id: SchemaId) -> [u8; 5] {
    let [a, b, c, d] = id.0.to_be_bytes();
    [0, a, b, c, d]
}

/// The id and the Avro body.
pub fn split(bytes: &[u8]) -> Result<(SchemaId, &[u8]), FrameError> {
    match bytes {
        [0, a, b, c, d, body @ ..] => Ok((SchemaId(u32::from_be_bytes([*a, *b, *c, *d])), body)),
        [0, ..] | [] => Err(FrameError::Short(bytes.len())),
        [magic, ..] => Err(FrameError::Magic(*magic)),
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameError, SchemaId, header, split};

    #[test]
    fn what_is_put_on_comes_off() {
        for id in [0, 1, 0x0102_0304, u32::MAX] {
            let mut bytes = header(SchemaId(id)).to_vec();
            bytes.extend(b"body");
            assert_eq!(split(&bytes), Ok((SchemaId(id), &b"body"[..])));
        }
        assert_eq!(header(SchemaId(258)), [0, 0, 0, 1, 2]);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert_eq!(split(b""), Err(FrameError::Short(0)));
        assert_eq!(split(&[0, 1, 2, 3]), Err(FrameError::Short(4)));
        assert_eq!(split(b"{\"a\":1}"), Err(FrameError::Magic(b'{')));
    }
}
