//! QUERY (2), and EXECUTE_LOAD_QUERY (18): a statement's text. In a row binlog it is BEGIN, COMMIT, a savepoint or DDL.

use super::reader::{Reader, WireError};

/// A statement (`libs/mysql/binlog/event/statement_events.h`, `Query_event`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    pub thread: u32,
    /// Error that the statement ended with on the server; 0: none.
    pub error: u16,
    /// The session's default database, UTF-8; empty: none.
    pub database: &'a str,
    /// In the session's character set: see [`Session::client_collation`].
    pub sql: &'a [u8],
    /// The text is MariaDB's compressed form: ask [`Query::inflated`] first.
    pub compressed: bool,
    /// A LOAD DATA that was logged as a statement.
    pub load: bool,
    status: &'a [u8],
}

impl<'a> Query<'a> {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Too few bytes, or a database whose name does not end where it should.
    pub fn read(body: &'a [u8], compressed: bool, load: bool) -> Result<Self, WireError> {
        let mut reader = Reader::new("query event", body);
        let (thread, _seconds) = (reader.u32()?, reader.u32()?);
        let database = usize::from(reader.u8()?);
        let error = reader.u16()?;
        let status = usize::from(reader.u16()?);
        if load {
            // File number, two offsets, what to do with duplicates.
            reader.take(13)?;
        }
        let status = reader.take(status)?;
        reader.named("database of a query event");
        let database = reader.utf8(database)?;
        match reader.u8()? {
            0 => {}
            number => return Err(WireError::Unknown { what: "end of a database's name", number: number.into() }),
        }
        Ok(Self { thread, error, database, sql: reader.rest(), compressed, load, status })
    }

    /// With its text as it was written; `scratch` holds it where it had to be inflated.
    ///
    /// # Errors
    ///
    /// Data that cannot be inflated, or more than `limit` bytes of it.
    pub fn inflated<'s>(&self, limit: usize, scratch: &'s mut Vec<u8>) -> Result<Query<'s>, WireError>
    where
        'a: 's,
    {
        if !self.compressed {
            return Ok(*self);
        }
        super::compressed::inflate("compressed query event", self.sql, limit, scratch)?;
        Ok(Query { sql: scratch, compressed: false, ..*self })
    }

    /// The settings of the session, as far as they change what the text means.
    ///
    /// # Errors
    ///
    /// A setting that is cut off.
    pub fn session(&self) -> Result<Session<'a>, WireError> {
        Session::read(self.status)
    }
}

/// Settings of the session that ran a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session<'a> {
    pub sql_mode: Option<u64>,
    /// Collation of the text itself, `character_set_client`.
    pub client_collation: Option<u16>,
    pub connection_collation: Option<u16>,
    pub server_collation: Option<u16>,
    /// Of the session's database.
    pub database_collation: Option<u16>,
    pub time_zone: Option<&'a [u8]>,
    /// Fraction of the event's second.
    pub microseconds: Option<u32>,
    /// Who ran the statement, user and host, where the server thought that a replica may need it.
    pub invoker: Option<(&'a str, &'a str)>,
    /// The transaction of a DDL statement that is atomic.
    pub ddl_xid: Option<u64>,
    /// The number of a setting that is not known. Its length is not either, so those behind it were not read: servers
    /// write them in the order of their numbers, so that they are newer ones (`Query_event::Query_event`).
    pub unknown: Option<u8>,
}

impl<'a> Session<'a> {
    /// Reads the status variables: a number each, then a value whose length the number tells
    /// (`Query_event::Query_event_status_vars`; MariaDB's begin at 128).
    fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("status variables of a query event", bytes);
        let mut session = Self::default();
        while !reader.is_empty() && session.unknown.is_none() {
            session.variable(&mut reader)?;
        }
        Ok(session)
    }

    fn variable(&mut self, reader: &mut Reader<'a>) -> Result<(), WireError> {
        match reader.u8()? {
            // Session flags; auto-increment; bytes written by the source.
            0 | 3 | 10 => drop(reader.take(4)?),
            1 => self.sql_mode = Some(reader.u64()?),
            // A catalogue: long ago with a zero byte behind it.
            2 => {
                let length = usize::from(reader.u8()?);
                reader.take(length.saturating_add(1))?;
            }
            4 => {
                self.client_collation = Some(reader.u16()?);
                self.connection_collation = Some(reader.u16()?);
                self.server_collation = Some(reader.u16()?);
            }
            5 => {
                let length = usize::from(reader.u8()?);
                self.time_zone = Some(reader.take(length)?);
            }
            6 => {
                let length = usize::from(reader.u8()?);
                reader.take(length)?;
            }
            // Names of days and months; default collation for utf8mb4.
            7 | 18 => drop(reader.take(2)?),
            8 => self.database_collation = Some(reader.u16()?),
            // Tables that a multi-table update changes.
            9 => drop(reader.take(8)?),
            11 => {
                let user = usize::from(reader.u8()?);
                let user = reader.utf8(user)?;
                let host = usize::from(reader.u8()?);
                self.invoker = Some((user, reader.utf8(host)?));
            }
            12 => {
                // 254: more databases than are listed.
                let count = reader.u8()?;
                for _ in 0..if count == 254 { 0 } else { count } {
                    reader.terminated()?;
                }
            }
            // Microseconds; 128 is MariaDB's number for them.
            13 | 128 => self.microseconds = Some(u32::try_from(reader.uint(3)?).unwrap_or(0)),
            16 | 19 | 20 => drop(reader.take(1)?),
            17 | 129 => self.ddl_xid = Some(reader.u64()?),
            // The halves of MariaDB's online ALTER TABLE; the later ones name the first.
            130 => {
                let flags = reader.u8()?;
                if flags & 12 != 0 {
                    reader.u64()?;
                }
            }
            // MariaDB's character_set_collations.
            131 => {
                let count = usize::from(reader.u8()?);
                reader.take(count.saturating_mul(4))?;
            }
            number => self.unknown = Some(number),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(status: &[u8]) -> Vec<u8> {
        let mut body = vec![1, 0, 0, 0, 2, 0, 0, 0, 4, 7, 0];
        body.extend(u16::try_from(status.len()).unwrap().to_le_bytes());
        body.extend(status);
        body.extend(b"shop\0create table t (a int)");
        body
    }

    #[test]
    fn text_and_database() {
        let status = [
            &[0, 0, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 6, 3][..],
            b"std",
            &[4, 45, 0, 8, 0, 255, 0, 5, 6],
            b"+01:00",
            &[12, 2, b'a', 0, b'b', 0, 13, 1, 2, 0, 11, 1, b'u', 0, 128, 1, 0, 0, 131, 1, 0, 0, 0, 0],
        ]
        .concat();
        let body = body(&status);
        let query = Query::read(&body, false, false).unwrap();
        assert_eq!((query.database, query.sql, query.error), ("shop", &b"create table t (a int)"[..], 7));
        let session = query.session().unwrap();
        assert_eq!(
            (session.sql_mode, session.client_collation, session.time_zone),
            (Some(5), Some(45), Some(&b"+01:00"[..]))
        );
        assert_eq!((session.microseconds, session.invoker), (Some(1), Some(("u", ""))));
        for cut in 0..body.len() - query.sql.len() {
            assert!(Query::read(&body[..cut], false, false).is_err(), "{cut}");
        }
        let mut scratch = Vec::new();
        assert_eq!(query.inflated(0, &mut scratch), Ok(query));
    }

    #[test]
    fn unknown_settings_are_named() {
        let body = body(&[99, 1]);
        let query = Query::read(&body, false, false).unwrap();
        assert_eq!(query.session().unwrap().unknown, Some(99));
    }
}
