//! The messages of the `pgoutput` plugin, protocol version 1.

use super::reader::{Reader, WireError};
use super::tuple::{self, Cell};
use crate::lsn::Lsn;

/// One message. Row images are left in the two cell lists given to [`read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Begin {
        /// Where the commit record begins.
        final_lsn: Lsn,
        /// Microseconds since 2000-01-01.
        commit_time: i64,
        xid: u32,
    },
    Commit {
        commit_lsn: Lsn,
        end_lsn: Lsn,
    },
    Origin {
        lsn: Lsn,
        name: &'a str,
    },
    Relation(Relation),
    /// A user-defined type's name, sent before a relation that uses it.
    Type,
    Insert {
        relation: u32,
    },
    Update {
        relation: u32,
        old: Option<Old>,
    },
    Delete {
        relation: u32,
        old: Old,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// A logical message written by an application.
    Logical {
        transactional: bool,
        /// Where its record ends.
        lsn: Lsn,
        prefix: &'a str,
        content: &'a [u8],
    },
}

/// How much of the old row is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// The columns of the replica identity.
    Key,
    Full,
}

/// A table's shape, as it was when the next change was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    pub oid: u32,
    pub schema: String,
    pub table: String,
    /// `d`, `i`, `f` or `n`, as in `pg_class.relreplident`.
    pub identity: u8,
    pub columns: Vec<RelationColumn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    pub name: String,
    /// Part of the replica identity.
    pub key: bool,
    pub type_oid: u32,
    pub typmod: i32,
}

/// PostgreSQL cannot have more columns in a table; more in a message is nonsense.
const MAX_COLUMNS: i64 = 1600;

/// Reads one message; `old` and `new` receive the cells of its row images.
pub fn read<'a>(payload: &'a [u8], old: &mut Vec<Cell>, new: &mut Vec<Cell>) -> Result<Message<'a>, WireError> {
    let mut reader = Reader::new("message", payload);
    let message = match reader.u8()? {
        b'I' => insert(&mut reader, new)?,
        b'U' => update(&mut reader, old, new)?,
        b'D' => delete(&mut reader, old)?,
        b'B' => {
            reader.named("begin");
            Message::Begin { final_lsn: reader.lsn()?, commit_time: reader.i64()?, xid: reader.u32()? }
        }
        b'C' => commit(&mut reader)?,
        b'O' => {
            reader.named("origin");
            Message::Origin { lsn: reader.lsn()?, name: reader.text()? }
        }
        b'R' => Message::Relation(relation(&mut reader)?),
        b'Y' => {
            reader.named("type");
            reader.u32()?;
            reader.text()?;
            reader.text()?;
            Message::Type
        }
        b'T' => truncate(&mut reader)?,
        b'M' => logical(&mut reader)?,
        number => return Err(WireError::Unknown { what: "pgoutput message", number }),
    };
    reader.end()?;
    Ok(message)
}

fn insert<'a>(reader: &mut Reader<'a>, new: &mut Vec<Cell>) -> Result<Message<'a>, WireError> {
    reader.named("insert");
    let relation = reader.u32()?;
    match reader.u8()? {
        b'N' => tuple::read(reader, new)?,
        number => return Err(WireError::Unknown { what: "insert tuple", number }),
    }
    Ok(Message::Insert { relation })
}

fn update<'a>(reader: &mut Reader<'a>, old: &mut Vec<Cell>, new: &mut Vec<Cell>) -> Result<Message<'a>, WireError> {
    reader.named("update");
    let relation = reader.u32()?;
    let mut tag = reader.u8()?;
    let kind = match tag {
        b'K' => Some(Old::Key),
        b'O' => Some(Old::Full),
        _ => None,
    };
    if kind.is_some() {
        tuple::read(reader, old)?;
        tag = reader.u8()?;
    }
    match tag {
        b'N' => tuple::read(reader, new)?,
        number => return Err(WireError::Unknown { what: "update tuple", number }),
    }
    Ok(Message::Update { relation, old: kind })
}

fn delete<'a>(reader: &mut Reader<'a>, old: &mut Vec<Cell>) -> Result<Message<'a>, WireError> {
    reader.named("delete");
    let relation = reader.u32()?;
    let kind = match reader.u8()? {
        b'K' => Old::Key,
        b'O' => Old::Full,
        number => return Err(WireError::Unknown { what: "delete tuple", number }),
    };
    tuple::read(reader, old)?;
    Ok(Message::Delete { relation, old: kind })
}

fn commit<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, WireError> {
    reader.named("commit");
    match reader.u8()? {
        0 => {}
        number => return Err(WireError::Unknown { what: "commit flags", number }),
    }
    let (commit_lsn, end_lsn, _time) = (reader.lsn()?, reader.lsn()?, reader.i64()?);
    Ok(Message::Commit { commit_lsn, end_lsn })
}

fn relation(reader: &mut Reader<'_>) -> Result<Relation, WireError> {
    reader.named("relation");
    let oid = reader.u32()?;
    // pg_catalog is sent as an empty text.
    let schema = match reader.text()? {
        "" => "pg_catalog".to_owned(),
        schema => schema.to_owned(),
    };
    let table = reader.text()?.to_owned();
    let identity = reader.u8()?;
    if !matches!(identity, b'd' | b'i' | b'f' | b'n') {
        return Err(WireError::Unknown { what: "replica identity", number: identity });
    }
    let count = reader.u16()?;
    if i64::from(count) > MAX_COLUMNS {
        return Err(WireError::Length {
            what: "columns of a relation",
            length: count.into(),
            least: 0,
            most: MAX_COLUMNS,
        });
    }
    let mut columns = Vec::with_capacity(count.into());
    for _ in 0..count {
        let key = match reader.u8()? {
            0 => false,
            1 => true,
            number => return Err(WireError::Unknown { what: "relation column flags", number }),
        };
        let name = reader.text()?.to_owned();
        columns.push(RelationColumn { name, key, type_oid: reader.u32()?, typmod: reader.i32()? });
    }
    Ok(Relation { oid, schema, table, identity, columns })
}

fn truncate<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, WireError> {
    reader.named("truncate");
    let count = reader.length()?;
    match reader.u8()? {
        0..=3 => {}
        number => return Err(WireError::Unknown { what: "truncate flags", number }),
    }
    let mut relations = Vec::new();
    for _ in 0..count {
        relations.push(reader.u32()?);
    }
    Ok(Message::Truncate { relations })
}

fn logical<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, WireError> {
    reader.named("logical message");
    let transactional = match reader.u8()? {
        0 => false,
        1 => true,
        number => return Err(WireError::Unknown { what: "logical message flags", number }),
    };
    let lsn = reader.lsn()?;
    let prefix = reader.text()?;
    let length = reader.length()?;
    let content = reader.take(length)?;
    Ok(Message::Logical { transactional, lsn, prefix, content })
}

#[cfg(test)]
mod tests {
    use super::{Message, Old, Relation, read};
    use crate::lsn::Lsn;
    use crate::wire::WireError;
    use crate::wire::tuple::Cell;

    fn ok(bytes: &[u8]) -> (Message<'_>, Vec<Cell>, Vec<Cell>) {
        let (mut old, mut new) = (vec![Cell::Null; 9], vec![Cell::Null; 9]);
        let message = read(bytes, &mut old, &mut new).unwrap();
        // Every shorter and every longer text of the same message is an error, never a panic.
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], &mut Vec::new(), &mut Vec::new()).is_err(), "cut at {cut}");
        }
        let longer = [bytes, &[0]].concat();
        assert!(read(&longer, &mut Vec::new(), &mut Vec::new()).is_err());
        (message, old, new)
    }

    #[test]
    fn begin_and_commit() {
        let mut bytes = vec![b'B'];
        bytes.extend(5u64.to_be_bytes());
        bytes.extend((-1i64).to_be_bytes());
        bytes.extend(9u32.to_be_bytes());
        assert_eq!(ok(&bytes).0, Message::Begin { final_lsn: Lsn(5), commit_time: -1, xid: 9 });
        let mut bytes = vec![b'C', 0];
        bytes.extend(5u64.to_be_bytes());
        bytes.extend(6u64.to_be_bytes());
        bytes.extend(0u64.to_be_bytes());
        assert_eq!(ok(&bytes).0, Message::Commit { commit_lsn: Lsn(5), end_lsn: Lsn(6) });
        bytes[1] = 1;
        assert!(read(&bytes, &mut Vec::new(), &mut Vec::new()).is_err());
    }

    #[test]
    fn rows() {
        let (message, _, new) = ok(b"I\0\0\0\x07N\0\x03t\0\0\0\x02abnu");
        assert_eq!(message, Message::Insert { relation: 7 });
        assert_eq!(new, [Cell::Text { start: 13, length: 2 }, Cell::Null, Cell::Unchanged]);
        let (message, old, new) = ok(b"U\0\0\0\x07K\0\x01nN\0\x01u");
        assert_eq!(message, Message::Update { relation: 7, old: Some(Old::Key) });
        assert_eq!((old, new), (vec![Cell::Null], vec![Cell::Unchanged]));
        assert_eq!(ok(b"U\0\0\0\x07N\0\x01n").0, Message::Update { relation: 7, old: None });
        assert_eq!(ok(b"D\0\0\0\x07O\0\x01n").0, Message::Delete { relation: 7, old: Old::Full });
        assert_eq!(ok(b"T\0\0\0\x02\x01\0\0\0\x07\0\0\0\x08").0, Message::Truncate { relations: vec![7, 8] });
    }

    #[test]
    fn the_rest() {
        assert_eq!(ok(b"O\0\0\0\0\0\0\0\x01here\0").0, Message::Origin { lsn: Lsn(1), name: "here" });
        assert_eq!(ok(b"Y\0\0\0\x01s\0t\0").0, Message::Type);
        let hi = Message::Logical { transactional: true, lsn: Lsn(1), prefix: "p", content: b"hi" };
        assert_eq!(ok(b"M\x01\0\0\0\0\0\0\0\x01p\0\0\0\0\x02hi").0, hi);
        let (message, ..) = ok(b"R\0\0\0\x07public\0t\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff");
        let Message::Relation(Relation { oid: 7, identity: b'd', columns, .. }) = message else { panic!() };
        assert_eq!((columns[0].name.as_str(), columns[0].type_oid, columns[0].typmod), ("id", 23, -1));
    }

    #[test]
    fn unknown_numbers_are_named() {
        let unknown = |bytes: &[u8]| match read(bytes, &mut Vec::new(), &mut Vec::new()) {
            Err(WireError::Unknown { number, .. }) => number,
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown(b"S\0"), b'S');
        assert_eq!(unknown(b"I\0\0\0\x07X"), b'X');
        assert_eq!(unknown(b"I\0\0\0\x07N\0\x01b"), b'b');
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, tag in proptest::sample::select(b"BCORYIUDTM".to_vec())) {
            let bytes = [&[tag][..], &bytes].concat();
            drop(read(&bytes, &mut Vec::new(), &mut Vec::new()));
        }
    }
}
