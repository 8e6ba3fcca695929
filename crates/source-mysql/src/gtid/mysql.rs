//! MySQL's sets of transactions: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1-3`, and the binary form of
//! COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::intervals::Intervals;
use super::{ParseGtidError, number};
use crate::wire::WireError;
use crate::wire::reader::Reader;

/// A tag, since MySQL 8.3: a lower-case name of at most 32 characters that tells apart sequences of one server. Empty: none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// Filled up with zeros, so that the order is that of the texts.
    bytes: [u8; Tag::LONGEST],
}

impl Tag {
    pub const LONGEST: usize = 32;
    pub const NONE: Self = Self { bytes: [0; Self::LONGEST] };

    /// The tag with this name: a letter or underscore, then letters, digits and underscores. Upper case is folded
    /// (`libs/mysql/gtid/tag.h`). An empty one is no tag.
    pub fn of_bytes(name: &[u8]) -> Option<Self> {
        let mut tag = Self::NONE;
        let room = tag.bytes.get_mut(..name.len())?;
        for (place, byte) in room.iter_mut().zip(name) {
            *place = byte.to_ascii_lowercase();
        }
        let first = name.first().is_none_or(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        (first && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')).then_some(tag)
    }

    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    pub fn as_str(&self) -> &str {
        let text = self.bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({})", self.as_str())
    }
}

/// Who numbers transactions: a server by its UUID, and a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source {
    pub uuid: [u8; 16],
    pub tag: Tag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(f, &self.uuid)?;
        if self.tag.is_none() { Ok(()) } else { write!(f, ":{}", self.tag.as_str()) }
    }
}

/// In one piece, as every transaction has one.
fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?');
    let mut text = [b'-'; 36];
    let places = text.iter_mut().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, place)| place);
    let digits = uuid.iter().flat_map(|byte| [digit(byte.wrapping_shr(4)), digit(byte & 15)]);
    for (place, digit) in places.zip(digits) {
        *place = digit;
    }
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut digits = bytes.iter().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23)).map(|(_, byte)| byte);
    if [8, 13, 18, 23].iter().any(|at| bytes.get(*at) != Some(&b'-')) {
        return None;
    }
    let mut uuid = [0u8; 16];
    for byte in &mut uuid {
        let mut digit = || char::from(*digits.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit()?.wrapping_shl(4) | digit()?;
    }
    Some(uuid)
}

/// The largest number of a transaction (`sql/rpl_gtid.h`, `GNO_END` is one more).
pub const LAST: u64 = 0x7fff_ffff_ffff_fffe;

/// A set of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GtidSet {
    /// No entry is empty.
    sources: BTreeMap<Source, Intervals>,
}

impl GtidSet {
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one transaction. Numbers outside 1 to [`LAST`] are not added.
    pub fn add(&mut self, source: Source, number: u64) {
        self.add_range(source, number, number);
    }

    /// Adds all transactions of a source from `first` to `last`, as far as there are such numbers.
    pub fn add_range(&mut self, source: Source, first: u64, last: u64) {
        let (first, last) = (first.max(1), last.min(LAST));
        if first <= last {
            self.sources.entry(source).or_default().add(first, last);
        }
    }

    /// Adds every transaction of another set.
    pub fn add_all(&mut self, other: &Self) {
        for (source, intervals) in &other.sources {
            self.sources.entry(*source).or_default().add_all(intervals);
        }
    }

    /// Takes every transaction of another set out.
    pub fn subtract(&mut self, other: &Self) {
        for (source, intervals) in &other.sources {
            if let Some(own) = self.sources.get_mut(source) {
                own.subtract(intervals);
            }
        }
        self.sources.retain(|_, intervals| !intervals.is_empty());
    }

    pub fn contains(&self, source: &Source, number: u64) -> bool {
        self.sources.get(source).is_some_and(|intervals| intervals.contains(number))
    }

    /// Whether the other set is a part of this one.
    pub fn contains_all(&self, other: &Self) -> bool {
        let has = |(source, wanted): (&Source, &Intervals)| {
            self.sources.get(source).is_some_and(|own| own.contains_all(wanted))
        };
        other.sources.iter().all(has)
    }

    /// How many transactions there are.
    pub fn count(&self) -> u64 {
        self.sources.values().fold(0, |sum, intervals| sum.saturating_add(intervals.count()))
    }

    /// Sources and the intervals of their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Source, &Intervals)> {
        self.sources.iter()
    }

    /// Whether a source has a tag: only servers since 8.3 understand such a set.
    pub fn has_tags(&self) -> bool {
        self.sources.keys().any(|source| !source.tag.is_none())
    }

    /// The binary form (`sql/rpl_gtid_set.cc`, `Gtid_set::encode`): how many sources, then for each UUID, tag, how many
    /// intervals, and their first numbers and those after their last. With tags, the first number has the format 1 in
    /// its lowest and highest byte.
    pub fn encode(&self) -> Vec<u8> {
        let tagged = self.has_tags();
        let count = u64::try_from(self.sources.len()).unwrap_or(0);
        let head = if tagged { count.wrapping_shl(8) | 1 << 56 | 1 } else { count };
        let mut out = head.to_le_bytes().to_vec();
        for (source, intervals) in &self.sources {
            out.extend_from_slice(&source.uuid);
            if tagged {
                // A variable-length number: what is below 64 takes one byte with a zero bit at its end.
                let tag = source.tag.as_str().as_bytes();
                out.push(u8::try_from(tag.len()).unwrap_or(0).wrapping_shl(1));
                out.extend_from_slice(tag);
            }
            let length = u64::try_from(intervals.iter().len()).unwrap_or(0);
            out.extend_from_slice(&length.to_le_bytes());
            for (first, last) in intervals.iter() {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.saturating_add(1).to_le_bytes());
            }
        }
        out
    }

    /// Reads the binary form.
    ///
    /// # Errors
    ///
    /// Too few bytes, bytes left over, an unknown format, or intervals that are not in order.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("gtid set", bytes);
        let head = reader.u64()?;
        let (tagged, count) = match head >> 56 {
            0 => (false, head),
            1 if head & 0xff == 1 => (true, head.wrapping_shl(8) >> 16),
            number => return Err(WireError::Unknown { what: "format of a gtid set", number }),
        };
        let mut set = Self::default();
        for _ in 0..count {
            let mut source = Source { uuid: reader.array()?, tag: Tag::NONE };
            if tagged {
                let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
                let name = reader.take(length)?;
                source.tag = Tag::of_bytes(name).ok_or(WireError::NotUtf8 { what: "tag in a gtid set" })?;
            }
            let mut least = 1;
            for _ in 0..reader.u64()? {
                let (first, end) = (reader.u64()?, reader.u64()?);
                let most = LAST.saturating_add(1);
                if first < least || end <= first || end > most {
                    let number = if first < least { first } else { end };
                    return Err(WireError::Range { what: "interval of a gtid set", number, least, most });
                }
                set.add_range(source, first, end.saturating_sub(1));
                least = end;
            }
        }
        reader.end()?;
        Ok(set)
    }
}

/// As the server writes it, on one line: sources in order, the tags of a UUID behind it.
impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before: Option<&[u8; 16]> = None;
        for (source, intervals) in &self.sources {
            if before != Some(&source.uuid) {
                if before.is_some() {
                    f.write_str(",")?;
                }
                write_uuid(f, &source.uuid)?;
                before = Some(&source.uuid);
            }
            if !source.tag.is_none() {
                write!(f, ":{}", source.tag.as_str())?;
            }
            for (first, last) in intervals.iter() {
                write!(f, ":{first}")?;
                if first != last {
                    write!(f, "-{last}")?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = ParseGtidError;

    /// Reads what the server writes, whose commas have line ends behind them, and any order and overlap of intervals.
    fn from_str(text: &str) -> Result<Self, ParseGtidError> {
        let mut set = Self::default();
        if text.trim().is_empty() {
            return Ok(set);
        }
        for part in text.split(',') {
            parse_part(part.trim(), &mut set).ok_or_else(|| {
                ParseGtidError::new("a set of transactions such as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7", part)
            })?;
        }
        Ok(set)
    }
}

fn parse_part(part: &str, set: &mut GtidSet) -> Option<()> {
    let mut words = part.split(':');
    let mut source = Source { uuid: parse_uuid(words.next()?)?, tag: Tag::NONE };
    let mut wants_number = true;
    for word in words {
        if word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
            // A tag without numbers is none; before the first number there may be one.
            if wants_number && !source.tag.is_none() {
                return None;
            }
            source.tag = Tag::of_bytes(word.as_bytes())?;
            wants_number = true;
            continue;
        }
        let (first, last) = match word.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(word)?, number(word)?),
        };
        if first == 0 || first > last || last > LAST {
            return None;
        }
        set.add_range(source, first, last);
        wants_number = false;
    }
    (!wants_number).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn parse(text: &str) -> Result<GtidSet, ParseGtidError> {
        text.parse()
    }

    #[test]
    fn texts_are_canonical() {
        let other = "00000000-0000-0000-0000-000000000001";
        let canonical = |text: &str| parse(text).unwrap().to_string();
        assert_eq!(canonical(&format!("{UUID}:7:1-3:4-5")), format!("{UUID}:1-5:7"));
        assert_eq!(canonical(&format!("{UUID}:1,\n{other}:2")), format!("{other}:2,{UUID}:1"));
        assert_eq!(canonical(&format!("{UUID}:Tag:1-3:_b:9,{UUID}:5")), format!("{UUID}:5:_b:9:tag:1-3"));
        assert_eq!(canonical(&format!("{}:1", UUID.to_uppercase())), format!("{UUID}:1"));
        assert_eq!(canonical(" "), "");
    }

    #[test]
    fn texts_are_strict() {
        for bad in [
            "",
            ":",
            ":0",
            ":1-",
            ":-1",
            ":3-2",
            ":1:",
            ":tag",
            ":a:b:1",
            ":1:tag",
            ":1-2-3",
            ":+1",
            ":1 2",
            ":9223372036854775807",
        ] {
            assert!(parse(&format!("{UUID}{bad}")).is_err(), "{bad}");
        }
        let long = "a".repeat(33);
        for bad in
            [format!("{UUID}:{long}:1"), UUID.replace('-', "") + ":1", format!("{UUID}:1,"), format!("x{UUID}:1")]
        {
            assert!(parse(&bad).is_err(), "{bad}");
        }
        assert!(parse(&format!("{UUID}:9223372036854775806")).is_ok());
    }

    #[test]
    fn binary_forms() {
        let plain = parse(&format!("{UUID}:1-5:7")).unwrap();
        let bytes = plain.encode();
        assert_eq!(bytes.len(), 8 + 16 + 8 + 32);
        assert_eq!((bytes[0], bytes[7], bytes[40]), (1, 0, 6));
        let tagged = parse(&format!("{UUID}:1-5:tag:7")).unwrap();
        let bytes = tagged.encode();
        assert_eq!((bytes[0], bytes[1], bytes[7]), (1, 2, 1));
        for set in [plain, tagged] {
            let bytes = set.encode();
            assert_eq!(GtidSet::decode(&bytes), Ok(set));
            for cut in 0..bytes.len() {
                assert!(GtidSet::decode(&bytes[..cut]).is_err(), "{cut}");
            }
            assert!(GtidSet::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
        assert!(GtidSet::decode(&[0, 0, 0, 0, 0, 0, 0, 2]).is_err());
        assert_eq!(GtidSet::decode(&[0; 8]), Ok(GtidSet::default()));
    }

    fn any_set() -> impl Strategy<Value = GtidSet> {
        let source = (0u8..3, prop::sample::select(vec!["", "a", "tag_2"]));
        prop::collection::vec((source, 1u64..40, 0u64..6), 0..12).prop_map(|parts| {
            let mut set = GtidSet::default();
            for ((uuid, tag), first, length) in parts {
                let source = Source { uuid: [uuid; 16], tag: Tag::of_bytes(tag.as_bytes()).unwrap() };
                set.add_range(source, first, first + length);
            }
            set
        })
    }

    proptest! {
        #[test]
        fn round_trips(set in any_set()) {
            prop_assert_eq!(parse(&set.to_string()), Ok(set.clone()));
            prop_assert_eq!(GtidSet::decode(&set.encode()), Ok(set));
        }

        #[test]
        fn set_laws(a in any_set(), b in any_set()) {
            let mut union = a.clone();
            union.add_all(&b);
            let mut other = b.clone();
            other.add_all(&a);
            prop_assert_eq!(&union, &other);
            prop_assert!(union.contains_all(&a) && union.contains_all(&b));
            let mut rest = union.clone();
            rest.subtract(&b);
            prop_assert!(a.contains_all(&rest));
            let mut again = rest.clone();
            again.add_all(&b);
            prop_assert_eq!(&again, &union);
            prop_assert_eq!(rest.count() + b.count(), union.count());
            prop_assert_eq!(a.contains_all(&b), union == a);
            rest.subtract(&union);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn nothing_panics(text: String, bytes: Vec<u8>) {
            prop_assert!(parse(&text).is_err() || text.trim().is_empty());
            if let Ok(set) = GtidSet::decode(&bytes) {
                prop_assert!(GtidSet::decode(&set.encode()).is_ok());
            }
        }
    }
}
