//! What differs between the databases for a test whose promise is the same: the dialect, and how a transaction is named.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use testkit::{Database, Event, MySqlDatabase, TextRow};

/// Runs statements on one open connection.
pub(crate) type Session = Box<dyn FnMut(&str) -> Result<()> + Send>;

/// A database of one kind.
pub(crate) trait Store: Sized {
    /// Makes `items`, and `journal` that counts what is done to it.
    const JOURNALED: &'static str;

    fn execute(&self, sql: &str) -> Result<()>;
    fn query(&self, sql: &str) -> Result<Vec<TextRow>>;
    fn url(&self) -> String;
    fn url_through(&self, port: u16) -> String;
    fn port(&self) -> u16;
    /// The first part of a table's name, in patterns and topics.
    fn schema(&self) -> &str;

    /// Runs statements over and over on a connection of its own.
    fn session(&self) -> Result<Session>;

    /// One transaction of these changes of `items`, written to the journal; it may be rolled back.
    fn transaction(changes: &[Journaled], commit: bool) -> String;

    /// A transaction that inserts so many rows of items, from an id on, with this SQL expression as note.
    fn insertion(first: u64, count: u64, note: &str) -> String;

    /// Inserts a row of `items`, if there is none.
    fn insert_if_absent(id: u64) -> String;

    /// Gives a row of `items` another key, if that is free.
    fn move_key(id: u64, other: u64) -> String;

    /// Each transaction has as many events as the journal says, numbered without gap or repetition.
    fn judge_transactions(&self, events: &[Event]) -> Result<()>;

    fn value(&self, sql: &str) -> Result<String> {
        let rows = self.query(sql)?;
        let first = rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten();
        first.with_context(|| format!("no value from: {sql}"))
    }
}

/// A change of `items`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Journaled {
    /// Inserts the row, or gives it the next version.
    Put {
        id: u32,
        note: u32,
    },
    Update {
        id: u32,
        note: u32,
    },
    Delete {
        id: u32,
    },
}

impl Journaled {
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let (id, note) = (random.u32(0..60), random.u32(..));
        match random.u8(0..10) {
            0..4 => Self::Put { id, note },
            4..8 => Self::Update { id, note },
            _ => Self::Delete { id },
        }
    }
}

impl Store for Database {
    const JOURNALED: &'static str = "
        create table items (id bigint primary key, version bigint not null, note text);
        create table journal (xid bigint primary key, changes bigint);";

    fn execute(&self, sql: &str) -> Result<()> {
        self.execute(sql)
    }

    fn query(&self, sql: &str) -> Result<Vec<TextRow>> {
        self.query(sql)
    }

    fn url(&self) -> String {
        self.url()
    }

    fn url_through(&self, port: u16) -> String {
        self.url_through(port)
    }

    fn port(&self) -> u16 {
        self.port()
    }

    fn schema(&self) -> &'static str {
        "public"
    }

    fn session(&self) -> Result<Session> {
        let client = Arc::new(self.connect_sync()?);
        Ok(Box::new(move |sql| {
            let (client, sql) = (Arc::clone(&client), sql.to_owned());
            Ok(testkit::wait(async move { client.batch_execute(&sql).await })?)
        }))
    }

    fn transaction(changes: &[Journaled], commit: bool) -> String {
        let mut sql = String::from("begin;");
        for change in changes {
            let change = match *change {
                Journaled::Put { id, note } => format!(
                    "insert into items values ({id}, 1, 'n{note}') \
                     on conflict (id) do update set version = items.version + 1"
                ),
                Journaled::Update { id, note } => {
                    format!("update items set version = version + 1, note = 'u{note}' where id = {id}")
                }
                Journaled::Delete { id } => format!("delete from items where id = {id}"),
            };
            sql.push_str(&format!(
                "with done as ({change} returning 1) insert into journal \
                 select pg_current_xact_id()::text::bigint, count(*) from done having count(*) > 0 \
                 on conflict (xid) do update set changes = journal.changes + excluded.changes;"
            ));
        }
        sql + if commit { "commit" } else { "rollback" }
    }

    fn insertion(first: u64, count: u64, note: &str) -> String {
        format!(
            "begin; insert into items select i, 1, {note} from generate_series({first}, {}) i;
             insert into journal values (pg_current_xact_id()::text::bigint, {count}); commit",
            first + count - 1
        )
    }

    fn insert_if_absent(id: u64) -> String {
        format!("insert into items values ({id}, 1, 'new') on conflict do nothing")
    }

    fn move_key(id: u64, other: u64) -> String {
        format!(
            "update items set id = {other}, version = version + 1 where id = {id} \
             and not exists (select from items where id = {other})"
        )
    }

    fn judge_transactions(&self, events: &[Event]) -> Result<()> {
        let mut orders = orders(events, "source.txId")?;
        for row in self.query("select xid, changes from journal")? {
            let xid: u64 = row[0].as_deref().unwrap_or_default().parse()?;
            let changes: u64 = row[1].as_deref().unwrap_or_default().parse()?;
            let mut seen = orders.remove(&(xid & 0xffff_ffff).to_string()).unwrap_or_default();
            seen.sort_unstable();
            let wanted: Vec<u64> = (1..=changes).collect();
            ensure!(seen == wanted, "transaction {xid}: wanted changes 1..={changes}, the topic has {seen:?}");
        }
        ensure!(orders.is_empty(), "events of transactions that are not in the journal: {orders:?}");
        Ok(())
    }
}

impl Store for MySqlDatabase {
    const JOURNALED: &'static str = "
        create table items (id bigint primary key, version bigint not null, note mediumtext);
        create table journal (changes bigint);";

    fn execute(&self, sql: &str) -> Result<()> {
        self.execute(sql)
    }

    fn query(&self, sql: &str) -> Result<Vec<TextRow>> {
        self.query(sql)
    }

    fn url(&self) -> String {
        self.url()
    }

    fn url_through(&self, port: u16) -> String {
        self.url_through(port)
    }

    fn port(&self) -> u16 {
        self.port()
    }

    fn schema(&self) -> &str {
        &self.name
    }

    fn session(&self) -> Result<Session> {
        let mut session = self.session()?;
        Ok(Box::new(move |sql| session.run(sql)))
    }

    fn transaction(changes: &[Journaled], commit: bool) -> String {
        let mut sql = String::from("begin; set @n = 0;");
        for change in changes {
            sql += &match *change {
                Journaled::Put { id, note } => format!(
                    "insert into items (id, version, note) values ({id}, 1, 'n{note}') \
                     on duplicate key update version = version + 1;"
                ),
                Journaled::Update { id, note } => {
                    format!("update items set version = version + 1, note = 'u{note}' where id = {id};")
                }
                Journaled::Delete { id } => format!("delete from items where id = {id};"),
            };
            // An insert that became an update counts as two, and is one event.
            sql += "set @n = @n + (row_count() > 0);";
        }
        sql += "insert into journal select @n from dual where @n > 0;";
        sql + if commit { "commit" } else { "rollback" }
    }

    fn insertion(first: u64, count: u64, note: &str) -> String {
        // The numbers from 0 on, by their digits.
        let digits = "(select 0 n union all select 1 union all select 2 union all select 3 union all select 4 union all \
                      select 5 union all select 6 union all select 7 union all select 8 union all select 9)";
        let places = count.max(2).saturating_sub(1).ilog10() + 1;
        let sum: Vec<String> = (0..places).map(|place| format!("{} * d{place}.n", 10_u64.pow(place))).collect();
        let from: Vec<String> = (0..places).map(|place| format!("{digits} d{place}")).collect();
        format!(
            "begin; insert into items (id, version, note) \
             select i, 1, {note} from (select {first} + {} as i from {}) numbers where i < {}; \
             insert into journal values ({count}); commit",
            sum.join(" + "),
            from.join(", "),
            first + count
        )
    }

    fn insert_if_absent(id: u64) -> String {
        format!("insert ignore into items (id, version, note) values ({id}, 1, 'new')")
    }

    fn move_key(id: u64, other: u64) -> String {
        format!("update ignore items set id = {other}, version = version + 1 where id = {id}")
    }

    /// A transaction does not know its number while it writes the journal: so their sizes are compared.
    fn judge_transactions(&self, events: &[Event]) -> Result<()> {
        let mut sizes = Vec::new();
        for (transaction, mut seen) in orders(events, "transaction.id")? {
            seen.sort_unstable();
            let wanted: Vec<u64> = (1..=seen.len() as u64).collect();
            ensure!(seen == wanted, "transaction {transaction} has the changes {seen:?}");
            sizes.push(seen.len() as u64);
        }
        let journal = self.query("select changes from journal")?;
        let mut wanted = journal
            .iter()
            .map(|row| Ok(row[0].as_deref().unwrap_or_default().parse()?))
            .collect::<Result<Vec<u64>>>()?;
        sizes.sort_unstable();
        wanted.sort_unstable();
        ensure!(sizes == wanted, "transactions have {sizes:?} events, the journal says {wanted:?}");
        Ok(())
    }
}

/// The numbers of the events of each transaction, by what the field at this path names it.
fn orders(events: &[Event], name: &str) -> Result<HashMap<String, Vec<u64>>> {
    let mut orders: HashMap<String, Vec<u64>> = HashMap::new();
    for event in events.iter().filter(|event| !event.is_tombstone()) {
        let name = event.field(name);
        let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
        let order = event.field("transaction.total_order").as_u64().context("an event without total_order")?;
        orders.entry(name).or_default().push(order);
    }
    Ok(orders)
}
