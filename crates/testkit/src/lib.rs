//! What the tests need of the outside world: real servers as child processes, a proxy that breaks connections on demand,
//! an oracle that reads topics with other code than ours, and the connector itself as a process.
//!
//! Nothing here outlives the test process. Servers come from `scripts/setup.sh servers`.

mod cache;
mod database;
mod eventually;
mod port;
mod render;
mod scratch;
mod seed;
mod tls;
mod topics;
mod waiting;

pub mod acls;
pub mod headwater;
pub mod http;
pub mod kafka;
pub mod lines;
pub mod mysql;
pub mod oracle;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod shared;

pub use cache::python;
pub use database::{Database, TextRow};
pub use eventually::eventually;
pub use headwater::Headwater;
pub use kafka::Kafka;
pub use mysql::{Flavour, MySql, MySqlDatabase, MySqlSession};
pub use oracle::{Event, Oracle};
pub use port::Port;
pub use postgres::{Postgres, StopMode};
pub use process::Process;
pub use proxy::Proxy;
pub use registry::Registry;
pub use seed::seed;
pub use tls::Certificates;
pub use waiting::wait;
