//! Text in any of the servers' character sets, as UTF-8.
//!
//! The judge is the server: a text here is what `CONVERT(column USING utf8mb4)` gives, for every code of every set. Where
//! it gives a question mark because there is no such character, we give nothing, and the value is absent instead of wrong.
//!
//! | sets | how |
//! |---|---|
//! | `utf8mb3`, `utf8mb4` | UTF-8, borrowed |
//! | `ascii`, and all of one byte | the servers' tables, [`single`] |
//! | `ucs2`, `utf16`, `utf16le`, `utf32` | here; big-endian but `utf16le` |
//! | `cp932`, `euckr` | `encoding_rs` Shift_JIS and EUC-KR, exactly |
//! | `sjis` | Shift_JIS, without the vendors' characters, seven others differ |
//! | `gbk`, `gb2312` | GBK, without what came later |
//! | `gb18030` | gb18030 of 2005, where the decoder has that of 2022 in 19 places |
//! | `ujis`, `eucjpms` | EUC-JP, with the areas for own characters |
//! | `big5` | Big5 of 1984: 267 codes differ |
//!
//! The differences are in [`segments`]. `binary` is no text.

mod collation;
mod segments;
mod single;

use encoding_rs::{BIG5, DecoderResult, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS};

pub use collation::charset;
use segments::Segment;

/// A character set that is not UTF-8 by the server's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charset {
    Armscii8,
    Ascii,
    Big5,
    Binary,
    Cp1250,
    Cp1251,
    Cp1256,
    Cp1257,
    Cp850,
    Cp852,
    Cp866,
    Cp932,
    Dec8,
    EucJpMs,
    EucKr,
    Gb18030,
    Gb2312,
    Gbk,
    Geostd8,
    Greek,
    Hebrew,
    Hp8,
    Keybcs2,
    Koi8r,
    Koi8u,
    Latin1,
    Latin2,
    Latin5,
    Latin7,
    Macce,
    Macroman,
    Sjis,
    Swe7,
    Tis620,
    Ucs2,
    Ujis,
    /// `utf8mb4`.
    Utf8,
    Utf8Mb3,
    Utf16,
    Utf16Le,
    Utf32,
}

/// Every set with the server's name for it.
const NAMES: [(Charset, &str); 41] = [
    (Charset::Armscii8, "armscii8"),
    (Charset::Ascii, "ascii"),
    (Charset::Big5, "big5"),
    (Charset::Binary, "binary"),
    (Charset::Cp1250, "cp1250"),
    (Charset::Cp1251, "cp1251"),
    (Charset::Cp1256, "cp1256"),
    (Charset::Cp1257, "cp1257"),
    (Charset::Cp850, "cp850"),
    (Charset::Cp852, "cp852"),
    (Charset::Cp866, "cp866"),
    (Charset::Cp932, "cp932"),
    (Charset::Dec8, "dec8"),
    (Charset::EucJpMs, "eucjpms"),
    (Charset::EucKr, "euckr"),
    (Charset::Gb18030, "gb18030"),
    (Charset::Gb2312, "gb2312"),
    (Charset::Gbk, "gbk"),
    (Charset::Geostd8, "geostd8"),
    (Charset::Greek, "greek"),
    (Charset::Hebrew, "hebrew"),
    (Charset::Hp8, "hp8"),
    (Charset::Keybcs2, "keybcs2"),
    (Charset::Koi8r, "koi8r"),
    (Charset::Koi8u, "koi8u"),
    (Charset::Latin1, "latin1"),
    (Charset::Latin2, "latin2"),
    (Charset::Latin5, "latin5"),
    (Charset::Latin7, "latin7"),
    (Charset::Macce, "macce"),
    (Charset::Macroman, "macroman"),
    (Charset::Sjis, "sjis"),
    (Charset::Swe7, "swe7"),
    (Charset::Tis620, "tis620"),
    (Charset::Ucs2, "ucs2"),
    (Charset::Ujis, "ujis"),
    (Charset::Utf8, "utf8mb4"),
    (Charset::Utf8Mb3, "utf8mb3"),
    (Charset::Utf16, "utf16"),
    (Charset::Utf16Le, "utf16le"),
    (Charset::Utf32, "utf32"),
];

/// How the codes of a set of several bytes are cut.
#[derive(Clone, Copy)]
enum Cut {
    /// Two bytes where the first is one of two ranges.
    ShiftJis,
    /// Two bytes where the first is in this range, and the second not below the last number.
    Pairs(u8, u8, u8),
    /// Two bytes, or three after 8F.
    EucJp,
    /// Two bytes, or four where the second is a digit.
    Gb18030,
}

impl Charset {
    /// By the server's name (`information_schema.columns.character_set_name`).
    pub fn of_name(name: &str) -> Option<Self> {
        // The name that utf8mb3 had until MySQL 8.0.30 and MariaDB 10.6.
        let name = if name == "utf8" { "utf8mb3" } else { name };
        NAMES.iter().find(|(_, known)| *known == name).map(|(charset, _)| *charset)
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    /// Bytes of the longest character (`information_schema.character_sets.maxlen`).
    pub const fn max_bytes(self) -> u16 {
        match self {
            Self::Utf8 | Self::Utf16 | Self::Utf16Le | Self::Utf32 | Self::Gb18030 => 4,
            Self::Utf8Mb3 | Self::Ujis | Self::EucJpMs => 3,
            Self::Ucs2 | Self::Sjis | Self::Cp932 | Self::Gbk | Self::Gb2312 | Self::EucKr | Self::Big5 => 2,
            _ => 1,
        }
    }

    pub const fn is_utf8(self) -> bool {
        matches!(self, Self::Utf8 | Self::Utf8Mb3)
    }

    /// Whether bytes below 0x80 are ASCII, so that a text of them is itself.
    const fn is_over_ascii(self) -> bool {
        !matches!(self, Self::Swe7 | Self::Ucs2 | Self::Utf16 | Self::Utf16Le | Self::Utf32)
    }

    /// The bytes themselves, where they are their text in UTF-8.
    pub fn borrowed(self, bytes: &[u8]) -> Option<&str> {
        let same = self.is_utf8() || self.is_over_ascii() && bytes.is_ascii();
        if same { std::str::from_utf8(bytes).ok() } else { None }
    }

    /// Appends the text in UTF-8. What was appended before a None is no text.
    pub fn append(self, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Utf8 | Self::Utf8Mb3 => out.extend_from_slice(std::str::from_utf8(bytes).ok()?.as_bytes()),
            Self::Ucs2 => units(bytes, u16::from_be_bytes).try_for_each(|unit| push(u32::from(unit?), out))?,
            Self::Utf16 => utf16(units(bytes, u16::from_be_bytes), out)?,
            Self::Utf16Le => utf16(units(bytes, u16::from_le_bytes), out)?,
            Self::Utf32 => units(bytes, u32::from_be_bytes).try_for_each(|unit| push(unit?, out))?,
            Self::Binary => return None,
            Self::Swe7 => {
                bytes.iter().try_for_each(|byte| match single::SWE7_LOW.iter().find(|(code, _)| code == byte) {
                    Some((_, found)) => push_unless_none(*found, out),
                    None => single_byte(&single::SWE7, *byte, out),
                })?
            }
            _ => match (self.table(), self.codes()) {
                (Some(table), _) => bytes.iter().try_for_each(|byte| single_byte(table, *byte, out))?,
                (None, Some((encoding, cut, segments))) => codes(encoding, cut, segments, bytes, out)?,
                // ASCII, whose bytes are all below 0x80.
                (None, None) => out.extend_from_slice(bytes.is_ascii().then_some(bytes)?),
            },
        }
        Some(())
    }

    fn table(self) -> Option<&'static [u16; 128]> {
        Some(match self {
            Self::Armscii8 => &single::ARMSCII8,
            Self::Cp1250 => &single::CP1250,
            Self::Cp1251 => &single::CP1251,
            Self::Cp1256 => &single::CP1256,
            Self::Cp1257 => &single::CP1257,
            Self::Cp850 => &single::CP850,
            Self::Cp852 => &single::CP852,
            Self::Cp866 => &single::CP866,
            Self::Dec8 => &single::DEC8,
            Self::Geostd8 => &single::GEOSTD8,
            Self::Greek => &single::GREEK,
            Self::Hebrew => &single::HEBREW,
            Self::Hp8 => &single::HP8,
            Self::Keybcs2 => &single::KEYBCS2,
            Self::Koi8r => &single::KOI8R,
            Self::Koi8u => &single::KOI8U,
            Self::Latin1 => &single::LATIN1,
            Self::Latin2 => &single::LATIN2,
            Self::Latin5 => &single::LATIN5,
            Self::Latin7 => &single::LATIN7,
            Self::Macce => &single::MACCE,
            Self::Macroman => &single::MACROMAN,
            Self::Tis620 => &single::TIS620,
            _ => return None,
        })
    }

    fn codes(self) -> Option<(&'static Encoding, Cut, &'static [Segment])> {
        Some(match self {
            Self::Sjis => (SHIFT_JIS, Cut::ShiftJis, &segments::SJIS),
            Self::Cp932 => (SHIFT_JIS, Cut::ShiftJis, &[]),
            Self::Gbk => (GBK, Cut::Pairs(0x81, 0xfe, 0x40), &segments::GBK),
            Self::Gb2312 => (GBK, Cut::Pairs(0xa1, 0xf7, 0xa1), &segments::GB2312),
            Self::Gb18030 => (GB18030, Cut::Gb18030, &segments::GB18030),
            Self::EucKr => (EUC_KR, Cut::Pairs(0x81, 0xfe, 0x41), &[]),
            Self::Ujis => (EUC_JP, Cut::EucJp, &segments::UJIS),
            Self::EucJpMs => (EUC_JP, Cut::EucJp, &segments::EUCJPMS),
            Self::Big5 => (BIG5, Cut::Pairs(0xa1, 0xf9, 0x40), &segments::BIG5),
            _ => return None,
        })
    }
}

fn push(code: u32, out: &mut Vec<u8>) -> Option<()> {
    let character = char::from_u32(code)?;
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

fn push_unless_none(code: u16, out: &mut Vec<u8>) -> Option<()> {
    if code == single::NONE { None } else { push(code.into(), out) }
}

fn single_byte(table: &[u16; 128], byte: u8, out: &mut Vec<u8>) -> Option<()> {
    match byte.checked_sub(0x80) {
        None => {
            out.push(byte);
            Some(())
        }
        Some(index) => push_unless_none(*table.get(usize::from(index))?, out),
    }
}

/// Code units of `N` bytes; None for bytes left over at the end.
fn units<T, const N: usize>(bytes: &[u8], read: fn([u8; N]) -> T) -> impl Iterator<Item = Option<T>> {
    bytes.chunks(N).map(move |chunk| chunk.first_chunk::<N>().map(|chunk| read(*chunk)))
}

fn utf16(units: impl Iterator<Item = Option<u16>>, out: &mut Vec<u8>) -> Option<()> {
    // What is left over at the end becomes half of a pair, which is no character either.
    for character in char::decode_utf16(units.map(|unit| unit.unwrap_or(0xd800))) {
        push(u32::from(character.ok()?), out)?;
    }
    Some(())
}

/// The length of the code at the beginning of `bytes`.
fn length(cut: Cut, bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some(1);
    }
    match cut {
        Cut::ShiftJis => match first {
            0x81..=0x9f | 0xe0..=0xfc => Some(2),
            0xa1..=0xdf => Some(1),
            _ => None,
        },
        Cut::Pairs(least, most, second) => ((least..=most).contains(&first) && *bytes.get(1)? >= second).then_some(2),
        Cut::EucJp => match first {
            0x8f => Some(3),
            0x8e | 0xa1..=0xfe => Some(2),
            _ => None,
        },
        Cut::Gb18030 => match (first, bytes.get(1)?) {
            (0x81..=0xfe, b'0'..=b'9') => Some(4),
            (0x81..=0xfe, _) => Some(2),
            _ => None,
        },
    }
}

/// Decodes runs of codes that the library knows rightly, and single ones that it does not.
fn codes(encoding: &'static Encoding, cut: Cut, segments: &[Segment], bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut run, mut at) = (0usize, 0usize);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let code = rest.get(..length(cut, rest)?)?;
        let end = at.saturating_add(code.len());
        let number = code.iter().fold(0u32, |number, byte| number.wrapping_shl(8) | u32::from(*byte));
        let place = segments.partition_point(|(_, last, _)| *last < number);
        if let Some((first, _, character)) = segments.get(place).filter(|(first, ..)| *first <= number) {
            library(encoding, bytes.get(run..at)?, out)?;
            if *character == 0 {
                return None;
            }
            push(character.saturating_add(number.saturating_sub(*first)), out)?;
            run = end;
        }
        at = end;
    }
    library(encoding, bytes.get(run..)?, out)
}

fn library(encoding: &'static Encoding, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if bytes.is_empty() {
        return Some(());
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len())?;
    let start = out.len();
    out.resize(start.checked_add(room)?, 0);
    let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, out.get_mut(start..)?, true);
    out.truncate(start.saturating_add(written));
    (result == DecoderResult::InputEmpty && read == bytes.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(charset: Charset, bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        charset.append(bytes, &mut out)?;
        let text = String::from_utf8(out).unwrap();
        assert!(charset.borrowed(bytes).is_none_or(|borrowed| borrowed == text));
        Some(text)
    }

    fn is(charset: Charset, bytes: &[u8], text: &str) {
        assert_eq!(decode(charset, bytes).as_deref(), Some(text), "{charset:?}");
    }

    /// Each line is what the servers say, `SELECT CONVERT(CONVERT(… USING x) USING utf8mb4)`.
    #[test]
    fn the_servers_own_characters() {
        is(Charset::Latin1, &[0x80, 0x81, 0xe9], "€\u{81}é");
        is(Charset::Swe7, b"[\\]", "ÄÖÅ");
        is(Charset::Sjis, &[0x81, 0x5f, 0x5c, 0xb1, 0x88, 0xbf], "\\\\ｱ袷");
        is(Charset::Cp932, &[0x81, 0x5f, 0x87, 0x40], "＼①");
        assert_eq!(decode(Charset::Sjis, &[0x87, 0x40]), None);
        is(Charset::Gb2312, &[0xa1, 0xa4, 0xc4, 0xe3], "・你");
        is(Charset::Gbk, &[0xa1, 0xa4, 0xc4, 0xe3], "·你");
        is(Charset::Gb18030, &[0x81, 0x30, 0x81, 0x30, 0xa6, 0xd9, 0x95, 0x32, 0x82, 0x36], "\u{80}\u{e78d}𠀀");
        is(Charset::Ujis, &[0xa1, 0xc0, 0x8e, 0xb1, 0x8f, 0xb0, 0xa1, 0xf5, 0xa1], "\\ｱ丂\u{e000}");
        is(Charset::Big5, &[0xa1, 0x45, 0xa7, 0x41], "•你");
        is(Charset::EucKr, &[0xb0, 0xa1], "가");
        is(Charset::Ucs2, &[0, 0x41, 0x20, 0xac], "A€");
        is(Charset::Utf16, &[0xd8, 0x40, 0xdc, 0], "𠀀");
        is(Charset::Utf16Le, &[0x40, 0xd8, 0, 0xdc], "𠀀");
        is(Charset::Utf32, &[0, 2, 0, 0], "𠀀");
        is(Charset::Utf8, "grüße 𠀀".as_bytes(), "grüße 𠀀");
    }

    #[test]
    fn what_is_no_text() {
        for (charset, bytes) in [
            (Charset::Utf8, &[0xff][..]),
            (Charset::Ascii, &[0x80]),
            (Charset::Utf16, &[0xd8, 0x40]),
            (Charset::Utf16, &[0]),
            (Charset::Ucs2, &[0xd8, 0]),
            (Charset::Utf32, &[0, 0x11, 0, 0]),
            (Charset::Utf32, &[0]),
            (Charset::Gbk, &[0x80]),
            (Charset::Gbk, &[0x81]),
            (Charset::Gb18030, &[0x81, 0x30]),
            (Charset::Cp1251, &[0x98]),
            (Charset::Binary, &[0xff]),
        ] {
            assert_eq!(decode(charset, bytes), None, "{charset:?} {bytes:x?}");
        }
    }

    #[test]
    fn names_come_back() {
        for (charset, name) in NAMES {
            assert_eq!((Charset::of_name(name), charset.name()), (Some(charset), name));
        }
        assert_eq!(Charset::of_name("utf8"), Some(Charset::Utf8Mb3));
        assert_eq!(Charset::of_name("klingon"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            for (charset, _) in NAMES {
                decode(charset, &bytes);
            }
        }
    }
}
