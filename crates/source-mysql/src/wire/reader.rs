//! A cursor over received bytes, least byte first as the binlog has it. Every take is bounded; what is left over is an
//! error.

/// Bytes that are not what the protocol promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{what}: {wanted} bytes were announced at offset {at}, {left} are there")]
    Short { what: &'static str, at: usize, wanted: usize, left: usize },
    #[error("{what}: {left} bytes are left over after its end")]
    LeftOver { what: &'static str, left: usize },
    #[error("{what} with the unknown number {number}")]
    Unknown { what: &'static str, number: u64 },
    #[error("{what}: {number} is outside {least} to {most}")]
    Range { what: &'static str, number: u64, least: u64, most: u64 },
    #[error("{what} is not valid UTF-8")]
    NotUtf8 { what: &'static str },
    #[error("{what} has no end")]
    Unterminated { what: &'static str },
    #[error("{what}: the checksum is {computed:08x}, the server sent {stored:08x}")]
    Checksum { what: &'static str, computed: u32, stored: u32 },
    #[error("{what} cannot be decompressed: {problem}")]
    Compression { what: &'static str, problem: String },
    #[error("{what} comes before it can be understood: {missing} is missing")]
    Missing { what: &'static str, missing: &'static str },
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
    #[inline]
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes, taken: 0 }
    }

    pub fn named(&mut self, what: &'static str) {
        self.what = what;
    }

    /// How many bytes were taken so far: the offset of the next one.
    #[inline]
    pub fn offset(&self) -> usize {
        self.taken
    }

    #[inline]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[cold]
    fn short(&self, wanted: usize) -> WireError {
        WireError::Short { what: self.what, at: self.taken, wanted, left: self.rest.len() }
    }

    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(count) else { return Err(self.short(count)) };
        self.rest = rest;
        self.taken = self.taken.saturating_add(count);
        Ok(head)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else { return Err(self.short(N)) };
        self.rest = rest;
        self.taken = self.taken.saturating_add(N);
        Ok(*head)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A whole number of `width` bytes, at most eight.
    pub fn uint(&mut self, width: usize) -> Result<u64, WireError> {
        self.take(width).map(little)
    }

    /// A number of 32 bits that counts bytes or things.
    pub fn length32(&mut self) -> Result<usize, WireError> {
        let length = self.u32()?;
        self.size(length.into())
    }

    fn size(&self, length: u64) -> Result<usize, WireError> {
        usize::try_from(length).map_err(|_| WireError::Range {
            what: self.what,
            number: length,
            least: 0,
            most: u32::MAX.into(),
        })
    }

    /// A length-encoded integer: one byte up to 250, else 252, 253 or 254 and two, three or eight bytes
    /// (`mysys/pack.cc`, `net_field_length_ll`). 251 stands for NULL in protocol rows and has no meaning here.
    pub fn lenenc(&mut self) -> Result<u64, WireError> {
        match self.u8()? {
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.u64(),
            number @ (251 | 255) => {
                Err(WireError::Unknown { what: "prefix of a length-encoded number", number: number.into() })
            }
            small => Ok(small.into()),
        }
    }

    /// A length-encoded integer that counts bytes or things.
    pub fn lenenc_size(&mut self) -> Result<usize, WireError> {
        let length = self.lenenc()?;
        self.size(length)
    }

    /// Bytes behind their length-encoded length.
    pub fn lenenc_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.lenenc_size()?;
        self.take(length)
    }

    /// The variable-length integer of MySQL's serialization library: as many one bits at the low end of the first byte as
    /// bytes follow, the number above them (`libs/mysql/serialization/variable_length_integers.h`).
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let first = self.u8()?;
        let more = first.trailing_ones();
        if more == 8 {
            return self.u64();
        }
        let width = usize::try_from(more).unwrap_or(8);
        let rest = self.uint(width)?;
        let kept = 7u32.saturating_sub(more);
        let low = u64::from(first.checked_shr(more.saturating_add(1)).unwrap_or(0));
        Ok(rest.checked_shl(kept).unwrap_or(0) | low)
    }

    /// The same with a sign: the lowest bit is it, and -1 is stored as 1.
    pub fn signed_varint(&mut self) -> Result<i64, WireError> {
        let number = self.varint()?;
        let magnitude = i64::try_from(number >> 1).unwrap_or(i64::MAX);
        Ok(if number & 1 == 0 { magnitude } else { !magnitude })
    }

    /// A text that ends with a zero byte, in whatever encoding.
    pub fn terminated(&mut self) -> Result<&'a [u8], WireError> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(WireError::Unterminated { what: self.what })?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Ok(bytes)
    }

    /// UTF-8, as all names in the binlog are.
    pub fn utf8(&mut self, count: usize) -> Result<&'a str, WireError> {
        let bytes = self.take(count)?;
        std::str::from_utf8(bytes).map_err(|_| WireError::NotUtf8 { what: self.what })
    }

    /// All the rest.
    pub fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.taken = self.taken.saturating_add(rest.len());
        self.rest = &[];
        rest
    }

    /// What is left, without taking it.
    pub fn peek(&self) -> &'a [u8] {
        self.rest
    }

    /// The message ends here.
    pub fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::LeftOver { what: self.what, left: self.rest.len() }) }
    }
}

/// Up to eight bytes as a number, least byte first. More give the last eight.
pub fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
}

/// Up to eight bytes as a number, greatest byte first.
pub fn big(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number.wrapping_shl(8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_numbers() {
        let number = |bytes: &[u8]| Reader::new("t", bytes).lenenc();
        assert_eq!(number(&[250]), Ok(250));
        assert_eq!(number(&[252, 1, 2]), Ok(0x201));
        assert_eq!(number(&[253, 1, 2, 3]), Ok(0x3_0201));
        assert_eq!(number(&[254, 1, 0, 0, 0, 0, 0, 0, 1]), Ok(0x0100_0000_0000_0001));
        for bad in [&[][..], &[251], &[255], &[252, 1], &[254, 1, 2, 3]] {
            assert!(number(bad).is_err());
        }
    }

    #[test]
    fn variable_numbers() {
        let number = |bytes: &[u8]| Reader::new("t", bytes).varint();
        assert_eq!(number(&[0b1010]), Ok(5));
        assert_eq!(number(&[0b01, 1]), Ok(64));
        assert_eq!(number(&[0b111, 0, 0, 1]), Ok(1 << 20));
        assert_eq!(number(&[0x7f, 1, 2, 3, 4, 5, 6, 7]), Ok(0x07_0605_0403_0201));
        assert_eq!(number(&[0xff, 1, 2, 3, 4, 5, 6, 7, 8]), Ok(0x0807_0605_0403_0201));
        assert!(number(&[0xff, 1]).is_err());
        let number = |bytes: &[u8]| Reader::new("t", bytes).signed_varint();
        assert_eq!(number(&[0b100]), Ok(1));
        assert_eq!(number(&[0b010]), Ok(-1));
        assert_eq!(number(&[0b110]), Ok(-2));
        assert_eq!(number(&[0xff; 9]), Ok(i64::MIN));
    }
}
