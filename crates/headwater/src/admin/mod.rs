//! The admin listener: `/healthz`, `/readyz`, `/metrics`, `/status`, and a page for people at `/`; commands come as `POST`.
//! A token, where one is configured, guards what tells more than health. Without one, commands are taken from this machine
//! only.

mod command;
mod health;
mod page;
mod retention;
mod schema;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod token;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use change::Copies;
use pipeline::Releases;
use secrecy::SecretString;
use tokio::net::TcpListener;

pub use command::Outcome;
pub use retention::{ConcernStatus, DiskStatus, HolderStatus, RetentionStatus};
pub use schema::Release;
pub use snapshot::{Action, Command};
pub use status::{HeldStatus, KafkaStatus, SnapshotStatus, SourceStatus, State, Status, TableStatus};

/// Asked for the status at every request.
pub type StatusSource = Arc<dyn Fn() -> Status + Send + Sync>;
/// Asked for the text of the metrics at every scrape.
pub type MetricsSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Why the admin listener could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error(
        "cannot listen on {listen} for health and metrics; choose another address with [admin] listen or --admin-listen"
    )]
    Bind { listen: SocketAddr, source: io::Error },
    #[error("the admin listener ended")]
    Serve(#[source] io::Error),
}

/// What the admin listener shows.
#[derive(Clone)]
pub struct Admin {
    pub status: StatusSource,
    pub metrics: MetricsSource,
    /// Where wishes about copies go.
    pub copies: Copies,
    /// Where wishes about held tables go.
    pub releases: Releases,
    pub token: Option<SecretString>,
}

/// A listener that is bound, so that a wrong address is an error before anything else begins.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    pub async fn bind(listen: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source| AdminError::Bind { listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address, with the port that was free if port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `end` comes.
    pub async fn serve(self, admin: Admin, end: impl Future<Output = ()> + Send + 'static) -> Result<(), AdminError> {
        let service = router(admin).into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, service).with_graceful_shutdown(end).await.map_err(AdminError::Serve)
    }
}

fn router(admin: Admin) -> Router {
    let guarded = Router::new()
        .route("/", get(page::page))
        .route("/status", get(status::status))
        .route("/metrics", get(health::metrics))
        .route("/snapshot", post(snapshot::command))
        .route("/schema/release", post(schema::release))
        .layer(axum::middleware::from_fn_with_state(admin.clone(), token::guard));
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .merge(guarded)
        .with_state(admin)
}
