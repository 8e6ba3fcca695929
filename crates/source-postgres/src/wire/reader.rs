//! A cursor over received bytes. Every take is bounded; what is left over is an error.

use crate::lsn::Lsn;

/// Bytes that are not what the protocol promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{what}: {wanted} bytes were announced, {left} are there")]
    Short { what: &'static str, wanted: usize, left: usize },
    #[error("{what}: {left} bytes are left over after its end")]
    LeftOver { what: &'static str, left: usize },
    #[error("{what} with the unknown number {number} (0x{number:02x})")]
    Unknown { what: &'static str, number: u8 },
    #[error("{what}: the length {length} is outside {least} to {most}")]
    Length { what: &'static str, length: i64, least: i64, most: i64 },
    #[error("{what} is not valid UTF-8")]
    NotUtf8 { what: &'static str },
    #[error("{what} has no end")]
    Unterminated { what: &'static str },
}

/// What is left of a message.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
    taken: usize,
}

impl<'a> Reader<'a> {
    /// `what` names the message in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes, taken: 0 }
    }

    pub fn named(&mut self, what: &'static str) {
        self.what = what;
    }

    /// How many bytes were taken so far: the offset of the next one.
    pub fn offset(&self) -> usize {
        self.taken
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else {
            return Err(WireError::Short { what: self.what, wanted: count, left: self.rest.len() });
        };
        self.rest = rest;
        self.taken = self.taken.saturating_add(count);
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(WireError::Short { what: self.what, wanted: N, left: self.rest.len() });
        };
        self.rest = rest;
        self.taken = self.taken.saturating_add(N);
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, WireError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn lsn(&mut self) -> Result<Lsn, WireError> {
        self.array().map(|bytes| Lsn(u64::from_be_bytes(bytes)))
    }

    /// A 32-bit length, as a count of bytes.
    pub fn length(&mut self) -> Result<usize, WireError> {
        let length = self.i32()?;
        usize::try_from(length).map_err(|_| WireError::Length {
            what: self.what,
            length: length.into(),
            least: 0,
            most: i32::MAX.into(),
        })
    }

    /// A text that ends with a zero byte.
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        let bytes = self.terminated()?;
        std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { what: self.what })
    }

    /// The same in an encoding that nobody named: before a session begins, errors come in the server's own.
    pub fn terminated(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(WireError::Unterminated { what: self.what })?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Ok(bytes)
    }

    /// All the rest.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.taken = self.taken.saturating_add(rest.len());
        self.rest = &[];
        rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The message ends here.
    pub fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::LeftOver { what: self.what, left: self.rest.len() }) }
    }
}
