//! `/healthz`, `/readyz` and `/metrics`. Health stays good while the pipeline retries: a supervisor that restarts it would
//! only make the outage longer.

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::{Admin, HeldStatus, State, Status};
use crate::metrics::CONTENT_TYPE;

/// `GET /healthz`
pub(super) async fn healthz(Extract(admin): Extract<Admin>) -> impl IntoResponse {
    let status = (admin.status)();
    if !status.alive {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the engine has ended; restart the process\n".to_owned());
    }
    (StatusCode::OK, held(&status).unwrap_or_else(|| "alive\n".to_owned()))
}

/// What is degraded while the process is well: tables that are held, one line for each.
fn held(status: &Status) -> Option<String> {
    let line = |held: &HeldStatus| format!("degraded: table {} is held: {}\n", held.table, held.reason);
    Some(status.held.iter().map(line).collect()).filter(|text: &String| !text.is_empty())
}

/// `GET /readyz`
pub(super) async fn readyz(Extract(admin): Extract<Admin>) -> impl IntoResponse {
    let status = (admin.status)();
    let state = status.state.as_str();
    if status.alive && status.state == State::Streaming {
        return (StatusCode::OK, held(&status).unwrap_or_else(|| format!("{state}\n")));
    }
    let reason = status.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    (StatusCode::SERVICE_UNAVAILABLE, format!("{state}{reason}\n"))
}

/// `GET /metrics`
pub(super) async fn metrics(Extract(admin): Extract<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], (admin.metrics)())
}
