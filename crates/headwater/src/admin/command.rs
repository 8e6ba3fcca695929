//! What commands that come by `POST` have in common: who may give one, and how long its answer is waited for.
//!
//! Who may command: whoever has the token; without one, this machine. A page that somebody's browser has open is not this
//! person: browsers name the page's origin with every such request, and it is refused.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::Admin;

/// How long a wish may take to become durable before the answer says that it is not yet.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done(String),
    Error(String),
}

pub(super) type Reply = (StatusCode, Json<Outcome>);

pub(super) fn refusal(code: StatusCode, text: impl Into<String>) -> Reply {
    (code, Json(Outcome::Error(text.into())))
}

/// # Errors
///
/// The answer for somebody who may not.
pub(super) fn permitted(admin: &Admin, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Reply> {
    if headers.contains_key(header::ORIGIN) {
        return Err(refusal(StatusCode::FORBIDDEN, "commands are not taken from web pages"));
    }
    if admin.token.is_none() && !peer.ip().to_canonical().is_loopback() {
        let text = "commands from other machines need a token: set `token` in [admin], and send it as a bearer token";
        return Err(refusal(StatusCode::FORBIDDEN, text));
    }
    Ok(())
}

/// The answer to a wish, once it is durable or refused.
pub(super) async fn answered(admin: &Admin, answer: Receiver<Result<String, String>>) -> Reply {
    let state = || {
        let status = (admin.status)();
        status
            .reason
            .map_or_else(|| status.state.as_str().to_owned(), |why| format!("{}: {why}", status.state.as_str()))
    };
    match tokio::task::spawn_blocking(move || answer.recv_timeout(PATIENCE)).await {
        Ok(Ok(Ok(text))) => (StatusCode::OK, Json(Outcome::Done(text))),
        Ok(Ok(Err(text))) => refusal(StatusCode::CONFLICT, text),
        Ok(Err(RecvTimeoutError::Timeout)) => {
            let text = format!("not yet: the pipeline is {}; the wish is kept until it can be obeyed", state());
            refusal(StatusCode::GATEWAY_TIMEOUT, text)
        }
        _ => refusal(StatusCode::SERVICE_UNAVAILABLE, format!("the pipeline is {}; ask again", state())),
    }
}
