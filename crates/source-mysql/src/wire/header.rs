//! The 19 bytes before every event, and the numbers and names of all event types.

use super::reader::{Reader, WireError};

/// Bytes of the header in binlog version 4.
pub const LENGTH: usize = 19;

/// A type of event by its number (`libs/mysql/binlog/event/binlog_event.h`, `Log_event_type`; MariaDB `sql/log_event.h`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType(pub u8);

macro_rules! types {
    ($($constant:ident = $number:literal,)*) => {
        impl EventType {
            $(pub const $constant: Self = Self($number);)*

            /// The server's name for it.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($constant),)*
                    _ => "unknown",
                }
            }
        }
    };
}

types! {
    UNKNOWN = 0,
    START_V3 = 1,
    QUERY = 2,
    STOP = 3,
    ROTATE = 4,
    INTVAR = 5,
    LOAD = 6,
    SLAVE = 7,
    CREATE_FILE = 8,
    APPEND_BLOCK = 9,
    EXEC_LOAD = 10,
    DELETE_FILE = 11,
    NEW_LOAD = 12,
    RAND = 13,
    USER_VAR = 14,
    FORMAT_DESCRIPTION = 15,
    XID = 16,
    BEGIN_LOAD_QUERY = 17,
    EXECUTE_LOAD_QUERY = 18,
    TABLE_MAP = 19,
    WRITE_ROWS_V1 = 23,
    UPDATE_ROWS_V1 = 24,
    DELETE_ROWS_V1 = 25,
    INCIDENT = 26,
    HEARTBEAT = 27,
    IGNORABLE = 28,
    ROWS_QUERY = 29,
    WRITE_ROWS = 30,
    UPDATE_ROWS = 31,
    DELETE_ROWS = 32,
    GTID = 33,
    ANONYMOUS_GTID = 34,
    PREVIOUS_GTIDS = 35,
    TRANSACTION_CONTEXT = 36,
    VIEW_CHANGE = 37,
    XA_PREPARE = 38,
    PARTIAL_UPDATE_ROWS = 39,
    TRANSACTION_PAYLOAD = 40,
    HEARTBEAT_V2 = 41,
    GTID_TAGGED = 42,
    ANNOTATE_ROWS = 160,
    BINLOG_CHECKPOINT = 161,
    MARIADB_GTID = 162,
    MARIADB_GTID_LIST = 163,
    START_ENCRYPTION = 164,
    QUERY_COMPRESSED = 165,
    WRITE_ROWS_COMPRESSED_V1 = 166,
    UPDATE_ROWS_COMPRESSED_V1 = 167,
    DELETE_ROWS_COMPRESSED_V1 = 168,
    WRITE_ROWS_COMPRESSED = 169,
    UPDATE_ROWS_COMPRESSED = 170,
    DELETE_ROWS_COMPRESSED = 171,
}

impl std::fmt::Debug for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

/// `LOG_EVENT_BINLOG_IN_USE_F`: the server sets it in the first event of a file that is being written, without computing
/// the checksum anew.
pub const FLAG_IN_USE: u16 = 0x0001;
/// `LOG_EVENT_ARTIFICIAL_F`: made up by the sender, not in the file.
pub const FLAG_ARTIFICIAL: u16 = 0x0020;
/// `LOG_EVENT_IGNORABLE_F`: who does not know the type may go on.
pub const FLAG_IGNORABLE: u16 = 0x0080;

/// The head of an event (`libs/mysql/binlog/event/binlog_event.h`, `Log_event_header`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Seconds since 1970 when the statement began; 0 in artificial events.
    pub timestamp: u32,
    pub kind: EventType,
    pub server_id: u32,
    /// Bytes of the whole event: header, body, checksum.
    pub length: u32,
    /// Where the next event begins in the file; 0 in artificial events and inside a transaction payload. It wraps around
    /// in files beyond 4 GiB.
    pub next_position: u32,
    pub flags: u16,
}

impl Header {
    /// Reads the first 19 bytes of an event.
    ///
    /// # Errors
    ///
    /// Too few bytes, or an event that says that it is shorter than its head.
    pub fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("event header", bytes);
        let header = Self {
            timestamp: reader.u32()?,
            kind: EventType(reader.u8()?),
            server_id: reader.u32()?,
            length: reader.u32()?,
            next_position: reader.u32()?,
            flags: reader.u16()?,
        };
        let least = u64::try_from(LENGTH).unwrap_or(0);
        if u64::from(header.length) < least {
            let number = header.length.into();
            return Err(WireError::Range { what: "length of an event", number, least, most: u32::MAX.into() });
        }
        Ok(header)
    }

    pub const fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0
    }

    pub const fn is_ignorable(&self) -> bool {
        self.flags & FLAG_IGNORABLE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_19_bytes() {
        let bytes = [1, 0, 0, 0, 16, 2, 0, 0, 0, 31, 0, 0, 0, 3, 0, 0, 0, 0x80, 0];
        let header = Header::read(&bytes).unwrap();
        assert_eq!((header.timestamp, header.kind, header.server_id), (1, EventType::XID, 2));
        assert_eq!((header.length, header.next_position), (31, 3));
        assert!(header.is_ignorable() && !header.is_artificial());
        for cut in 0..LENGTH {
            assert!(Header::read(&bytes[..cut]).is_err());
        }
        let mut short = bytes;
        short[9] = 18;
        assert!(Header::read(&short).is_err());
    }

    #[test]
    fn types_have_names() {
        assert_eq!(format!("{:?}", EventType(40)), "TRANSACTION_PAYLOAD (40)");
        assert_eq!(EventType(200).name(), "unknown");
    }
}
