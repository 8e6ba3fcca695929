//! One database of a MySQL or MariaDB test server: its addresses, and SQL without ceremony.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

use super::Flavour;
use crate::database::{TextRow, shortened};
use crate::waiting::{runtime, wait};

const CONNECT: Duration = Duration::from_secs(5);

/// A database. One that [`crate::MySql::create_database`] made is dropped with this.
#[derive(Debug)]
pub struct MySqlDatabase {
    pub name: String,
    flavour: Flavour,
    port: u16,
    ours: bool,
}

impl MySqlDatabase {
    pub(super) fn create(flavour: Flavour, port: u16) -> Result<MySqlDatabase> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        MySqlDatabase::create_called(&format!("db{}_{number}", std::process::id()), flavour, port)
    }

    pub(super) fn create_called(name: &str, flavour: Flavour, port: u16) -> Result<MySqlDatabase> {
        MySqlDatabase::existing("mysql", flavour, port).execute(&format!("CREATE DATABASE {name}"))?;
        let mut database = MySqlDatabase::existing(name, flavour, port);
        database.ours = true;
        Ok(database)
    }

    pub(super) fn existing(name: &str, flavour: Flavour, port: u16) -> MySqlDatabase {
        MySqlDatabase { name: name.to_owned(), flavour, port, ours: false }
    }

    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address over TCP, user `root`.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The same with another port: that of a proxy.
    pub fn url_through(&self, port: u16) -> String {
        format!("{}://root@127.0.0.1:{port}/{}", self.flavour.scheme(), self.name)
    }

    /// How the kit connects; a test may change user or TLS.
    pub fn options(&self) -> OptsBuilder {
        let options = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(self.port);
        // over TCP as asked, and without questions to the server about limits
        let options = options.prefer_socket(false).max_allowed_packet(Some(64 << 20)).wait_timeout(Some(28_800));
        options.user(Some("root")).db_name(Some(&self.name))
    }

    /// A connection. It ends when it is dropped.
    pub async fn connect(&self) -> Result<Conn> {
        connect(self.options()).await
    }

    /// A connection for use with [`crate::wait`] or from a test that is not asynchronous.
    pub fn connect_sync(&self) -> Result<Conn> {
        wait(connect(self.options()))
    }

    /// A connection that runs statements over and over.
    pub fn session(&self) -> Result<MySqlSession> {
        Ok(MySqlSession(Some(self.connect_sync()?)))
    }

    /// Runs statements, separated by semicolons, each in a transaction of its own unless they say otherwise.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.query(sql).map(|_| ())
    }

    /// Runs statements and gives all rows as text. Bytes that are no text are an error: ask for them with `hex()`.
    pub fn query(&self, sql: &str) -> Result<Vec<TextRow>> {
        let (options, text) = (self.options(), sql.to_owned());
        wait(async move {
            let mut connection = connect(options).await?;
            let rows = text_rows(&mut connection, &text).await?;
            connection.disconnect().await?;
            anyhow::Ok(rows)
        })
        .with_context(|| format!("in database {}: {}", self.name, shortened(sql)))
    }

    /// The first column of the first row, as text.
    pub fn value(&self, sql: &str) -> Result<String> {
        let rows = self.query(sql)?;
        let first = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        first.with_context(|| format!("no value from: {}", shortened(sql)))
    }
}

/// An open connection, for statements whose rows do not matter.
#[derive(Debug)]
pub struct MySqlSession(Option<Conn>);

impl MySqlSession {
    /// Runs statements, separated by semicolons.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        let (mut connection, text) = (self.0.take().context("the connection is lost")?, sql.to_owned());
        let connection = wait(async move {
            text_rows(&mut connection, &text).await?;
            anyhow::Ok(connection)
        });
        self.0 = Some(connection.with_context(|| shortened(sql))?);
        Ok(())
    }
}

impl Drop for MySqlDatabase {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // best effort: the server may be stopped, or going away with us
        let server = MySqlDatabase::existing("mysql", self.flavour, self.port);
        let connections = format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", self.name);
        // an open transaction would hold the tables
        for id in server.query(&connections).into_iter().flatten().flatten().flatten() {
            server.execute(&format!("KILL {id}")).ok();
        }
        server.execute(&format!("SET lock_wait_timeout = 5; DROP DATABASE IF EXISTS {}", self.name)).ok();
    }
}

async fn connect(options: OptsBuilder) -> Result<Conn> {
    let attempt = tokio::time::timeout(CONNECT, Conn::new(options));
    runtime().spawn(attempt).await?.with_context(|| format!("no connection after {CONNECT:?}"))?.context("connecting")
}

/// The rows of all statements. A plain query is answered in text, so no value is decoded on the way.
async fn text_rows(connection: &mut Conn, sql: &str) -> Result<Vec<TextRow>> {
    let mut results = connection.query_iter(sql).await?;
    let mut rows = Vec::new();
    while !results.is_empty() {
        for row in results.collect::<Row>().await? {
            rows.push(row.unwrap().into_iter().map(text).collect::<Result<TextRow>>()?);
        }
    }
    Ok(rows)
}

fn text(value: Value) -> Result<Option<String>> {
    match value {
        Value::NULL => Ok(None),
        Value::Bytes(bytes) => Ok(Some(String::from_utf8(bytes).context("not UTF-8: ask with hex()")?)),
        other => anyhow::bail!("{other:?} is not text"),
    }
}
