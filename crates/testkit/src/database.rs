//! One database of a test server: its addresses, and SQL without ceremony.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::waiting::{runtime, wait};

/// A row as text, the way the server writes it; NULL is `None`.
pub type TextRow = Vec<Option<String>>;

/// A database. One that [`crate::Postgres::create_database`] made is dropped with this, its slots too.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    port: u16,
    socket_dir: PathBuf,
    ours: bool,
}

impl Database {
    pub(crate) fn create(port: u16, socket_dir: &Path) -> Result<Database> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("db{}_{number}", std::process::id());
        Database::existing("postgres", port, socket_dir).execute(&format!("CREATE DATABASE {name}"))?;
        let mut database = Database::existing(&name, port, socket_dir);
        database.ours = true;
        Ok(database)
    }

    pub(crate) fn existing(name: &str, port: u16, socket_dir: &Path) -> Database {
        Database { name: name.to_owned(), port, socket_dir: socket_dir.to_owned(), ours: false }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address over TCP, user `postgres`.
    pub fn url(&self) -> String {
        self.url_through(self.port)
    }

    /// The same with another port: that of a proxy.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", self.name)
    }

    /// The address over the Unix socket.
    pub fn socket_url(&self) -> String {
        let folder = self.socket_dir.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{}", self.port, self.name)
    }

    /// A connection; it lives on the kit's runtime.
    pub async fn connect(&self) -> Result<Client> {
        let config: Config = self.url().parse()?;
        connect(config).await
    }

    /// A connection for use with [`crate::wait`] or from a test that is not asynchronous.
    pub fn connect_sync(&self) -> Result<Client> {
        let config: Config = self.url().parse()?;
        wait(connect(config))
    }

    /// Runs statements, separated by semicolons, as one simple query (so one transaction, unless they say otherwise).
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.query(sql).map(|_| ())
    }

    /// Runs statements and gives all rows as text.
    pub fn query(&self, sql: &str) -> Result<Vec<TextRow>> {
        let config: Config = self.url().parse()?;
        let text = sql.to_owned();
        let messages = wait(async move { anyhow::Ok(connect(config).await?.simple_query(&text).await?) })
            .with_context(|| format!("in database {}: {}", self.name, shortened(sql)))?;
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
            }
        }
        Ok(rows)
    }

    /// The first column of the first row, as text.
    pub fn value(&self, sql: &str) -> Result<String> {
        let rows = self.query(sql)?;
        let first = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        first.with_context(|| format!("no value from: {}", shortened(sql)))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        // best effort: the server may be stopped, or going away with us
        let server = Database::existing("postgres", self.port, &self.socket_dir);
        let slots = format!("FROM pg_replication_slots WHERE database = '{}'", self.name);
        server.query(&format!("SELECT pg_terminate_backend(active_pid, 1000) {slots} AND active")).ok();
        server.query(&format!("SELECT pg_drop_replication_slot(slot_name) {slots}")).ok();
        server.query(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).ok();
    }
}

async fn connect(mut config: Config) -> Result<Client> {
    config.connect_timeout(std::time::Duration::from_secs(5)).application_name("testkit");
    let attempt = async move {
        let (client, connection) = config.connect(NoTls).await?;
        runtime().spawn(async move {
            // its error is also the error of the client's next call
            connection.await.ok();
        });
        Ok(client)
    };
    runtime().spawn(attempt).await?
}

pub(crate) fn shortened(sql: &str) -> String {
    sql.chars().take(200).collect()
}
