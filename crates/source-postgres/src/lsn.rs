//! A place in PostgreSQL's write-ahead log: a number for the machine, `16/B374D848` for people.

use std::fmt;
use std::str::FromStr;

/// A log sequence number. Ordered; byte offsets in one server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// A text that is not `X/X` with at most eight hexadecimal digits on each side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a log sequence number such as 16/B374D848")]
pub struct ParseLsnError(pub String);

impl FromStr for Lsn {
    type Err = ParseLsnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let half = |part: &str| {
            let fits = !part.is_empty() && part.len() <= 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
            fits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| ParseLsnError(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::Lsn;

    #[test]
    fn texts_are_strict() {
        for bad in ["", "/", "0/", "/0", "0/123456789", "g/0", "+1/0", "0/ 1", "0/0/0"] {
            assert!(bad.parse::<Lsn>().is_err(), "{bad}");
        }
        assert_eq!("16/B374D848".parse::<Lsn>().unwrap(), Lsn(0x16_b374_d848));
        assert_eq!(Lsn(u64::MAX).to_string(), "FFFFFFFF/FFFFFFFF");
    }

    proptest::proptest! {
        #[test]
        fn round_trip(number: u64) {
            proptest::prop_assert_eq!(Lsn(number).to_string().parse::<Lsn>().unwrap(), Lsn(number));
        }
    }
}
