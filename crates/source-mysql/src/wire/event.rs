//! From the bytes of an event to an event: frame, checksum, type.
//!
//! A [`Decoder`] follows one stream of events. What it remembers is the format description alone, because that says
//! whether there are checksums; it comes first in a file and first, after an artificial rotate event, in a stream.

use super::checksum::{self, Checksum};
use super::format::Format;
use super::gtid::{self, Gtid};
use super::header::{self, EventType, Header};
use super::mariadb::{self, GtidList};
use super::other::{self, Heartbeat, Incident, XaPrepare};
use super::payload::Payload;
use super::query::Query;
use super::reader::WireError;
use super::rotate::Rotate;
use super::rows::Rows;
use super::table_map::TableMap;
use crate::gtid::mysql::GtidSet;

/// What is in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Format(Format),
    Rotate(Rotate<'a>),
    /// The server has stopped, or will go on in the next file.
    Stop,
    Heartbeat(Heartbeat<'a>),
    PreviousGtids(GtidSet),
    Gtid(Gtid),
    MariaDbGtid(mariadb::Gtid),
    MariaDbGtidList(GtidList),
    Query(Query<'a>),
    /// The commit of a transaction.
    Xid(u64),
    XaPrepare(XaPrepare<'a>),
    TableMap(TableMap<'a>),
    Rows(Rows<'a>),
    /// A transaction in one piece: its events are inside, for [`Decoder::inner`].
    Payload(Payload<'a>),
    /// The statement behind rows (ROWS_QUERY, MariaDB's ANNOTATE_ROWS).
    RowsQuery(&'a [u8]),
    Incident(Incident<'a>),
    /// No file before this one is needed for crash recovery.
    BinlogCheckpoint(&'a [u8]),
    /// The rest of the file is encrypted. The server decrypts what it sends.
    StartEncryption,
    /// Part of a statement that was not logged as rows: its text, a QUERY or EXECUTE_LOAD_QUERY, follows.
    StatementPart,
    /// Of no use to a reader of rows: group replication's bookkeeping.
    Irrelevant,
    /// Not known here, but flagged as one that may be left out.
    Ignorable,
}

/// An event that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("binlog event {name} ({number}) of {length} bytes, before position {next_position}, is not understood")]
pub struct EventError {
    pub name: &'static str,
    pub number: u8,
    pub length: usize,
    /// Where the next event would begin in the file; 0 if the event is in none.
    pub next_position: u32,
    #[source]
    pub problem: WireError,
}

impl EventError {
    #[cold]
    fn new(header: Option<&Header>, bytes: &[u8], problem: WireError) -> Self {
        let kind = header.map_or(EventType::UNKNOWN, |header| header.kind);
        let next_position = header.map_or(0, |header| header.next_position);
        Self { name: kind.name(), number: kind.0, length: bytes.len(), next_position, problem }
    }
}

/// An event whose frame is right: length and checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    pub header: Header,
    /// Everything between header and checksum.
    pub body: &'a [u8],
}

/// Reads the events of one stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    format: Option<Format>,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// The last format description.
    pub fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    /// Checks the frame of an event. `bytes` is the whole event from its header on, without the byte before it in a
    /// network packet.
    ///
    /// # Errors
    ///
    /// Another length than the header says, or a wrong checksum.
    pub fn frame<'a>(&self, bytes: &'a [u8]) -> Result<Framed<'a>, EventError> {
        let header = Header::read(bytes).map_err(|problem| EventError::new(None, bytes, problem))?;
        self.check(&header, bytes).map_err(|problem| EventError::new(Some(&header), bytes, problem))
    }

    fn check<'a>(&self, header: &Header, bytes: &'a [u8]) -> Result<Framed<'a>, WireError> {
        same_length(header, bytes)?;
        let covered = match (header.kind, self.format.as_ref().map(|format| format.checksum)) {
            // Its own number says whether its sum is right, which stays in the body.
            (EventType::FORMAT_DESCRIPTION, _) => return format_description(header, bytes),
            (EventType::ROTATE, _) if header.is_artificial() => checksum::detected(bytes),
            (EventType::ROTATE, None) => checksum::detected(bytes),
            (_, None) => return Err(WireError::Missing { what: "event", missing: "a format description" }),
            (_, Some(Checksum::None)) => bytes,
            (_, Some(Checksum::Crc32)) => checksum::verified(bytes)?,
        };
        framed(header, covered)
    }

    /// An event from inside a payload, where there are no checksums.
    ///
    /// # Errors
    ///
    /// Another length than the header says, or an event that has no place there.
    pub fn inner<'a>(&self, bytes: &'a [u8]) -> Result<(Header, Event<'a>), EventError> {
        let header = Header::read(bytes).map_err(|problem| EventError::new(None, bytes, problem))?;
        let event = || {
            same_length(&header, bytes)?;
            match header.kind {
                EventType::TRANSACTION_PAYLOAD | EventType::FORMAT_DESCRIPTION | EventType::ROTATE => {
                    let number = header.kind.0.into();
                    Err(WireError::Unknown { what: "event inside a transaction payload", number })
                }
                _ => self.event(&framed(&header, bytes)?),
            }
        };
        event().map(|event| (header, event)).map_err(|problem| EventError::new(Some(&header), bytes, problem))
    }

    /// Checks and reads an event, and follows the format description.
    ///
    /// # Errors
    ///
    /// [`EventError`] says which event and what about it.
    pub fn next_event<'a>(&mut self, bytes: &'a [u8]) -> Result<(Header, Event<'a>), EventError> {
        let framed = self.frame(bytes)?;
        let event = self.read(&framed)?;
        if let Event::Format(format) = &event {
            self.format = Some(format.clone());
        }
        Ok((framed.header, event))
    }

    /// Reads the content of an event.
    ///
    /// # Errors
    ///
    /// [`EventError`] says which event and what about it.
    pub fn read<'a>(&self, framed: &Framed<'a>) -> Result<Event<'a>, EventError> {
        self.event(framed).map_err(|problem| EventError::new(Some(&framed.header), framed.body, problem))
    }

    fn event<'a>(&self, framed: &Framed<'a>) -> Result<Event<'a>, WireError> {
        let Framed { header, body } = framed;
        Ok(match header.kind {
            EventType::QUERY => Event::Query(Query::read(body, false, false)?),
            EventType::QUERY_COMPRESSED => Event::Query(Query::read(body, true, false)?),
            EventType::EXECUTE_LOAD_QUERY => Event::Query(Query::read(body, false, true)?),
            EventType::XID => Event::Xid(gtid::xid(body)?),
            EventType::TABLE_MAP => Event::TableMap(TableMap::read(body)?),
            EventType::GTID => Event::Gtid(Gtid::read(body, false)?),
            EventType::ANONYMOUS_GTID => Event::Gtid(Gtid::read(body, true)?),
            EventType::GTID_TAGGED => Event::Gtid(Gtid::read_tagged(body)?),
            EventType::MARIADB_GTID => Event::MariaDbGtid(mariadb::Gtid::read(body, header.server_id)?),
            EventType::MARIADB_GTID_LIST => Event::MariaDbGtidList(GtidList::read(body)?),
            EventType::PREVIOUS_GTIDS => Event::PreviousGtids(gtid::previous(body)?),
            EventType::TRANSACTION_PAYLOAD => Event::Payload(Payload::read(body)?),
            EventType::FORMAT_DESCRIPTION => Event::Format(Format::read(body)?),
            EventType::ROTATE => Event::Rotate(Rotate::read(body)?),
            EventType::HEARTBEAT => Event::Heartbeat(Heartbeat::read(body, header.next_position)?),
            EventType::HEARTBEAT_V2 => Event::Heartbeat(Heartbeat::read_v2(body)?),
            EventType::XA_PREPARE => Event::XaPrepare(XaPrepare::read(body)?),
            EventType::INCIDENT => Event::Incident(Incident::read(body)?),
            EventType::ROWS_QUERY => Event::RowsQuery(other::rows_query(body)?),
            EventType::ANNOTATE_ROWS => Event::RowsQuery(body),
            EventType::BINLOG_CHECKPOINT => Event::BinlogCheckpoint(mariadb::checkpoint(body)?),
            EventType::STOP => Event::Stop,
            EventType::START_ENCRYPTION => {
                mariadb::start_encryption(body)?;
                Event::StartEncryption
            }
            EventType(23..=25 | 30..=32 | 39 | 166..=171) => Event::Rows(Rows::read(header.kind, body)?),
            EventType::INTVAR
            | EventType::RAND
            | EventType::USER_VAR
            | EventType::BEGIN_LOAD_QUERY
            | EventType::APPEND_BLOCK
            | EventType::DELETE_FILE => Event::StatementPart,
            EventType::TRANSACTION_CONTEXT | EventType::VIEW_CHANGE | EventType::IGNORABLE => Event::Irrelevant,
            _ if header.is_ignorable() => Event::Ignorable,
            EventType(number) => return Err(WireError::Unknown { what: "event", number: number.into() }),
        })
    }
}

fn same_length(header: &Header, bytes: &[u8]) -> Result<(), WireError> {
    let wanted = usize::try_from(header.length).unwrap_or(usize::MAX);
    match bytes.len().checked_sub(wanted) {
        Some(0) => Ok(()),
        Some(left) => Err(WireError::LeftOver { what: "event", left }),
        None => Err(WireError::Short { what: "event", at: 0, wanted, left: bytes.len() }),
    }
}

fn framed<'a>(header: &Header, covered: &'a [u8]) -> Result<Framed<'a>, WireError> {
    let short = WireError::Short { what: "event", at: 0, wanted: header::LENGTH, left: covered.len() };
    Ok(Framed { header: *header, body: covered.get(header::LENGTH..).ok_or(short)? })
}

/// The format description keeps its last four bytes, which are there whether they are a checksum or not.
fn format_description<'a>(header: &Header, bytes: &'a [u8]) -> Result<Framed<'a>, WireError> {
    let framed = framed(header, bytes)?;
    if Format::read(framed.body)?.checksum == Checksum::Crc32 {
        checksum::verified_first(bytes)?;
    }
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u8, flags: u8, body: &[u8], sum: bool) -> Vec<u8> {
        let length = header::LENGTH + body.len() + if sum { 4 } else { 0 };
        let mut event = vec![0, 0, 0, 0, kind, 1, 0, 0, 0];
        event.extend(u32::try_from(length).unwrap().to_le_bytes());
        event.extend([0, 0, 0, 0, flags, 0]);
        event.extend(body);
        if sum {
            event.extend(crc32fast::hash(&event).to_le_bytes());
        }
        event
    }

    fn description(checksum: u8) -> Vec<u8> {
        let mut body = vec![4, 0];
        body.extend(b"9.7.4");
        body.resize(52, 0);
        body.extend([0, 0, 0, 0, 19]);
        let mut types = [0; 42];
        types[14] = 99;
        body.extend(types);
        body.push(checksum);
        event(15, 0, &body, true)
    }

    #[test]
    fn the_stream_begins_with_a_rotate_that_may_have_a_sum() {
        let rotate = [&4u64.to_le_bytes()[..], b"bin.000001"].concat();
        for sum in [false, true] {
            let mut decoder = Decoder::new();
            let bytes = event(4, 0x20, &rotate, sum);
            let (_, found) = decoder.next_event(&bytes).unwrap();
            assert_eq!(found, Event::Rotate(Rotate { file: "bin.000001", position: 4 }));
            let xid = event(16, 0, &[0; 8], true);
            assert!(decoder.next_event(&xid).is_err());
            decoder.next_event(&description(1)).unwrap();
            assert_eq!(decoder.next_event(&xid).unwrap().1, Event::Xid(0));
            assert!(decoder.next_event(&event(16, 0, &[0; 8], false)).is_err());
            assert_eq!(decoder.next_event(&bytes).unwrap().1, found);
            decoder.next_event(&description(0)).unwrap();
            assert_eq!(decoder.next_event(&event(16, 0, &[0; 8], false)).unwrap().1, Event::Xid(0));
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed_everywhere() {
        let mut decoder = Decoder::new();
        let description = description(1);
        decoder.next_event(&description).unwrap();
        let whole = event(16, 0, &[0; 8], true);
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // A type of zero bits' distance that is a format description or an artificial rotate is refused as well.
            assert!(decoder.clone().next_event(&bytes).is_err(), "{bit}");
        }
        for cut in 0..whole.len() {
            assert!(decoder.next_event(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn unknown_types_are_named_unless_ignorable() {
        let mut decoder = Decoder::new();
        decoder.next_event(&description(1)).unwrap();
        let unknown = event(99, 0, b"?", true);
        let error = decoder.next_event(&unknown).unwrap_err();
        assert_eq!((error.number, error.problem), (99, WireError::Unknown { what: "event", number: 99 }));
        assert_eq!(decoder.next_event(&event(99, 0x80, b"?", true)).unwrap().1, Event::Ignorable);
        assert_eq!(decoder.next_event(&event(37, 0, b"?", true)).unwrap().1, Event::Irrelevant);
        assert!(decoder.inner(&event(40, 0, &[0], false)).is_err());
        assert_eq!(decoder.inner(&event(16, 0, &[0; 8], false)).unwrap().1, Event::Xid(0));
    }
}
