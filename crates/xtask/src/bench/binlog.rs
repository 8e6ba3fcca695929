//! How fast a backlog of a MySQL or MariaDB binlog is drained.
//!
//! A binlog has no slots that could be copied for each reader. So each run's pipeline is started once before the fill, which
//! writes its position, and once more after it: all read the same log from the same place.

use std::path::Path;

use anyhow::{Result, anyhow};
use testkit::{Flavour, Kafka, MySql, MySqlDatabase, Registry};

use super::drain::{self, Measured, Options};
use super::report::Report;
use super::stand::TABLE;
use crate::product::Pipeline;

/// The twelve columns of the other benches in MySQL's types.
const CREATE: &str = "
create table orders (
    id bigint primary key, customer_id bigint not null, status varchar(20) not null, amount decimal(12,2) not null,
    currency char(3) not null, created_at timestamp(6) not null, updated_at timestamp(6) null, note text,
    quantity int not null, flag boolean not null, ref char(36) not null, ratio double) character set utf8mb4;
create procedure fill(first_id bigint, number bigint, per_transaction bigint)
begin
    declare i bigint default first_id;
    start transaction;
    while i < first_id + number do
        insert into orders values (ROW);
        if (i - first_id + 1) % per_transaction = 0 then
            commit;
            start transaction;
        end if;
        set i = i + 1;
    end while;
    commit;
end";

const ROW: &str = "i, floor(rand() * 1e6), elt(1 + i % 5, 'new', 'paid', 'packed', 'shipped', 'returned'),
    rand() * 1e5, elt(1 + i % 4, 'EUR', 'USD', 'GBP', 'PLN'), current_timestamp(6), current_timestamp(6),
    concat('customer asked for delivery after six, ring the second bell ', lpad(i % 50, 2, '0')),
    1 + i % 9, i % 2 = 1, uuid(), rand()";

/// Three servers and one database.
struct Stand {
    // Fields are dropped in this order: the database before its server.
    database: MySqlDatabase,
    kafka: Kafka,
    registry: Registry,
    _server: MySql,
}

impl Stand {
    fn start(flavour: Flavour) -> Result<Self> {
        crate::say(&format!("bench: starting {}, Kafka and a schema registry", flavour.scheme()));
        let (server, kafka, registry) = std::thread::scope(|scope| {
            let server = scope.spawn(move || MySql::start(flavour));
            let registry = scope.spawn(Registry::start);
            (server.join(), Kafka::start(), registry.join())
        });
        let server = server.map_err(|_| anyhow!("starting the database panicked"))??;
        let registry = registry.map_err(|_| anyhow!("starting the registry panicked"))??;
        let database = server.create_database()?;
        for statement in CREATE.replace("ROW", ROW).split_inclusive("utf8mb4;\n") {
            database.execute(statement)?;
        }
        Ok(Self { database, kafka: kafka?, registry, _server: server })
    }

    fn pipeline(&self, name: &str, delivery: &'static str) -> Pipeline {
        Pipeline {
            name: name.to_owned(),
            // As the others do: librdkafka and the reader of PostgreSQL's log have nothing to decrypt either.
            database: format!("{}?ssl-mode=disabled", self.database.url()),
            schema: self.database.name.clone(),
            tables: format!("{}.{TABLE}", self.database.name),
            snapshot: "never",
            publication: None,
            brokers: self.kafka.bootstrap(),
            registry: self.registry.url(),
            delivery,
        }
    }
}

pub(super) fn run(binary: &Path, flavour: Flavour, options: &Options) -> Result<()> {
    let stand = Stand::start(flavour)?;
    let pipelines: Vec<Pipeline> =
        (0..=options.runs).map(|run| stand.pipeline(&format!("bench_{run}"), options.delivery())).collect();
    for pipeline in &pipelines {
        drain::take_position(binary, pipeline)?;
    }
    crate::say(&format!("bench: filling {} rows", options.rows));
    stand.database.execute(&format!("call fill(1, {}, {})", options.rows, options.per_transaction))?;
    let mut report = Report::new(&format!("drain {}", flavour.scheme()));
    let mut records = Vec::new();
    let mut warming_up = Report::new("warming up");
    for (run, pipeline) in (0..).zip(&pipelines) {
        let report = if run < drain::FIRST { &mut warming_up } else { &mut report };
        let drained = drain::drain(&stand.kafka, &stand.registry, binary, pipeline, options.rows)?;
        let measured = Measured { run, options, kafka: &stand.kafka, pipeline };
        let produced = measured.produce(&mut records)?;
        measured.report(report, &drained, None, &produced);
    }
    report.table();
    crate::say(&options.remark(&records));
    Ok(())
}
