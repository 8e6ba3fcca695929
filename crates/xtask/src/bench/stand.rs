//! The test stand: servers of its own, with the table that all measurements use.

use anyhow::{Result, anyhow};
use testkit::{Database, Kafka, Postgres, Registry};

use crate::product::Pipeline;

pub(super) const PUBLICATION: &str = "bench";
pub(super) const TABLE: &str = "orders";

/// Twelve columns of mixed types, about 300 bytes a row.
const CREATE: &str = "
create table orders (
    id bigint primary key, customer_id bigint not null, status varchar(20) not null, amount numeric(12,2) not null,
    currency char(3) not null, created_at timestamptz not null, updated_at timestamptz, note text, quantity int not null,
    flag boolean not null, ref uuid not null, ratio double precision);
create publication bench for table orders";

/// One row with the number `i`, as it is computed on the server.
pub(super) const ROW: &str =
    "i, (random() * 1e6)::bigint, (array['new','paid','packed','shipped','returned'])[1 + i % 5],
    (random() * 1e5)::numeric(12,2), (array['EUR','USD','GBP','PLN'])[1 + i % 4], clock_timestamp(), clock_timestamp(),
    'customer asked for delivery after six, ring the second bell ' || lpad((i % 50)::text, 2, '0'),
    (1 + i % 9)::int, i % 2 = 1, gen_random_uuid(), random()";

/// Single-row inserts, in transactions of so many rows.
const FILL: &str = "
create procedure fill(first bigint, rows bigint, per_transaction bigint) language plpgsql as $$
begin
    for i in first .. first + rows - 1 loop
        insert into orders values (ROW);
        if (i - first + 1) % per_transaction = 0 then commit; end if;
    end loop;
    commit;
end $$";

/// Three servers and one database.
pub(super) struct Stand {
    // Fields are dropped in this order: the database before its server.
    pub(super) database: Database,
    pub(super) kafka: Kafka,
    pub(super) registry: Registry,
    _postgres: Postgres,
}

impl Stand {
    pub(super) fn start() -> Result<Self> {
        crate::say("bench: starting PostgreSQL, Kafka and a schema registry");
        let (postgres, kafka, registry) = std::thread::scope(|scope| {
            // Nothing but the measured rows may write to the log: no autovacuum. The table fits into memory, as hot ones do.
            let postgres =
                scope.spawn(|| Postgres::builder().set("autovacuum", "off").set("shared_buffers", "2GB").start());
            let registry = scope.spawn(Registry::start);
            (postgres.join(), Kafka::start(), registry.join())
        });
        let postgres = postgres.map_err(|_| anyhow!("starting PostgreSQL panicked"))??;
        let registry = registry.map_err(|_| anyhow!("starting the registry panicked"))??;
        let database = postgres.create_database()?;
        database.execute(CREATE)?;
        database.execute(&FILL.replace("ROW", ROW))?;
        Ok(Self { database, kafka: kafka?, registry, _postgres: postgres })
    }

    pub(super) fn pipeline(&self, name: &str, delivery: &'static str) -> Pipeline {
        Pipeline {
            name: name.to_owned(),
            database: self.database.url(),
            schema: "public".to_owned(),
            tables: format!("public.{TABLE}"),
            snapshot: "never",
            publication: Some(PUBLICATION.to_owned()),
            brokers: self.kafka.bootstrap(),
            registry: self.registry.url(),
            delivery,
        }
    }

    /// A slot whose log begins here.
    pub(super) fn create_slot(&self, name: &str) -> Result<()> {
        self.database.execute(&format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')"))
    }

    pub(super) fn copy_slot(&self, from: &str, to: &str) -> Result<()> {
        self.database.execute(&format!("select pg_copy_logical_replication_slot('{from}', '{to}')"))
    }

    pub(super) fn drop_slot(&self, name: &str) -> Result<()> {
        self.database.execute(&format!("select pg_drop_replication_slot('{name}')"))
    }

    /// Fills the table on the server and gives the end of the log.
    pub(super) fn fill(&self, rows: u64, per_transaction: u64) -> Result<String> {
        self.database.execute(&format!("call fill(1, {rows}, {per_transaction})"))?;
        self.database.value("select pg_current_wal_lsn()")
    }

    /// Inserts one row and returns when it is committed.
    pub(super) fn insert(&self, id: u64) -> Result<()> {
        self.database.execute(&super::load::insert(id))
    }
}
