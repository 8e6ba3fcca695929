//! The living shop: inserts, updates, deletes, transactions over two tables, and a change of a table while it is open.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::store::{Session, Store};

pub(super) const TABLES: &[&str] = &["customers", "orders"];
pub(super) const ALTER: &str = "alter table orders add column note text";

const PAUSE: Duration = Duration::from_millis(60);

/// How many rows were changed, by table.
pub(super) type Changes = BTreeMap<&'static str, u64>;

/// An open shop; it closes by itself.
pub(super) struct Shop {
    work: JoinHandle<Result<Changes>>,
}

impl Shop {
    pub(super) fn open(store: &Store, open: Duration, alter_at: Duration) -> Result<Self> {
        let mut day = Day::new(store.session()?, store.now());
        let work = std::thread::spawn(move || {
            let begin = Instant::now();
            while begin.elapsed() < open {
                if !day.notes && begin.elapsed() >= alter_at {
                    day.alter()?;
                }
                day.something()?;
                std::thread::sleep(PAUSE);
            }
            Ok(day.changes)
        });
        Ok(Self { work })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.work.is_finished()
    }

    pub(super) fn join(self) -> Result<Changes> {
        self.work.join().map_err(|_| anyhow!("the shop's thread panicked; its message is above"))?
    }
}

/// What the shop knows of its own tables.
struct Day {
    session: Session,
    /// The time, in the database's dialect.
    now: &'static str,
    random: fastrand::Rng,
    customers: u64,
    next_order: u64,
    /// The orders that are there, each with the number of its state.
    orders: Vec<(u64, usize)>,
    /// Whether orders have the column that is added during the day.
    notes: bool,
    changes: Changes,
}

const NAMES: &[&str] =
    &["Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Katherine", "Niklaus", "Tony"];
const STATES: &[&str] = &["new", "paid", "packed", "shipped", "returned"];
const NOTES: &[&str] =
    &["ring twice", "it's a gift", "leave it at the neighbour's", "Grüße – thank you", "50% \"off\""];

impl Day {
    fn new(session: Session, now: &'static str) -> Self {
        let changes = TABLES.iter().map(|table| (*table, 0)).collect();
        let random = fastrand::Rng::with_seed(7);
        Self { session, now, random, customers: 0, next_order: 1, orders: Vec::new(), notes: false, changes }
    }

    fn sql(&mut self, sql: &str) -> Result<()> {
        (self.session)(sql)
    }

    fn count(&mut self, table: &'static str) {
        *self.changes.entry(table).or_default() += 1;
    }

    fn alter(&mut self) -> Result<()> {
        self.sql(ALTER)?;
        self.notes = true;
        Ok(())
    }

    fn something(&mut self) -> Result<()> {
        match self.random.u32(0..100) {
            _ if self.customers < 3 => self.customer(),
            0..10 => self.customer(),
            10..55 => self.order(),
            _ if self.orders.is_empty() => self.order(),
            55..88 => self.progress(),
            _ => self.cancel(),
        }
    }

    fn customer(&mut self) -> Result<()> {
        self.customers += 1;
        let (id, name) = (self.customers, NAMES[self.random.usize(..NAMES.len())]);
        let email =
            if self.random.bool() { format!("'{}{id}@example.org'", name.to_lowercase()) } else { "null".into() };
        self.sql(&format!("insert into customers values ({id}, '{name}', {email}, 0)"))?;
        self.count("customers");
        Ok(())
    }

    /// One transaction over both tables.
    fn order(&mut self) -> Result<()> {
        let (id, customer, now) = (self.next_order, self.random.u64(1..=self.customers), self.now);
        let amount = format!("{}.{:02}", self.random.u32(1..500), self.random.u32(0..100));
        let note = match (self.notes, self.random.usize(..NOTES.len())) {
            (true, note) => format!(", '{}'", NOTES[note].replace('\'', "''")),
            (false, _) => String::new(),
        };
        self.sql(&format!(
            "begin;
             insert into orders values ({id}, {customer}, {amount}, 'new', {now}{note});
             update customers set spent = spent + {amount} where id = {customer};
             commit"
        ))?;
        self.next_order += 1;
        self.orders.push((id, 0));
        self.count("orders");
        self.count("customers");
        Ok(())
    }

    fn progress(&mut self) -> Result<()> {
        let order = self.random.usize(..self.orders.len());
        let (id, state) = self.orders[order];
        // another one: MySQL logs no update that changes nothing
        let state = (state + self.random.usize(1..STATES.len())) % STATES.len();
        self.orders[order].1 = state;
        self.sql(&format!("update orders set status = '{}' where id = {id}", STATES[state]))?;
        self.count("orders");
        Ok(())
    }

    fn cancel(&mut self) -> Result<()> {
        let (id, _) = self.orders.swap_remove(self.random.usize(..self.orders.len()));
        self.sql(&format!("delete from orders where id = {id}"))?;
        self.count("orders");
        Ok(())
    }
}
