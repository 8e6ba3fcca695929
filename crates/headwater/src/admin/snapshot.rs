//! `POST /snapshot`: what a person wishes of the copies. The answer comes when the wish is in the checkpoint.
//!
//! Who may command: whoever has the token; without one, this machine. A page that somebody's browser has open is not this
//! person: browsers name the page's origin with every such request, and it is refused.

use std::net::SocketAddr;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, State as Extract};
use axum::http::{HeaderMap, StatusCode, header};
use change::Wish;
use serde::{Deserialize, Serialize};

use super::Admin;

/// How long a wish may take to become durable before the answer says that it is not yet.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    Again,
    Pause,
    Resume,
}

/// The body of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub action: Action,
    /// `schema.table`; needed for `again`.
    #[serde(default)]
    pub table: Option<String>,
    /// SQL, for `again`.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
}

/// The body of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done(String),
    Error(String),
}

/// `POST /snapshot`
pub(super) async fn command(
    Extract(admin): Extract<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(command): Json<Command>,
) -> (StatusCode, Json<Outcome>) {
    let error = |code, text: String| (code, Json(Outcome::Error(text)));
    if headers.contains_key(header::ORIGIN) {
        return error(StatusCode::FORBIDDEN, "commands are not taken from web pages".to_owned());
    }
    if admin.token.is_none() && !peer.ip().to_canonical().is_loopback() {
        let text = "commands from other machines need a token: set `token` in [admin], and send it as a bearer token";
        return error(StatusCode::FORBIDDEN, text.to_owned());
    }
    let wish = match wish(command) {
        Ok(wish) => wish,
        Err(text) => return error(StatusCode::UNPROCESSABLE_ENTITY, text),
    };
    let answer = admin.copies.ask(wish);
    let state = || {
        let status = (admin.status)();
        status
            .reason
            .map_or_else(|| status.state.as_str().to_owned(), |why| format!("{}: {why}", status.state.as_str()))
    };
    match tokio::task::spawn_blocking(move || answer.recv_timeout(PATIENCE)).await {
        Ok(Ok(Ok(text))) => (StatusCode::OK, Json(Outcome::Done(text))),
        Ok(Ok(Err(refusal))) => error(StatusCode::CONFLICT, refusal),
        Ok(Err(RecvTimeoutError::Timeout)) => {
            let text = format!("not yet: the pipeline is {}; the wish is kept until it can be obeyed", state());
            error(StatusCode::GATEWAY_TIMEOUT, text)
        }
        _ => error(StatusCode::SERVICE_UNAVAILABLE, format!("the pipeline is {}; ask again", state())),
    }
}

fn wish(command: Command) -> Result<Wish, String> {
    let Command { action, table, condition } = command;
    match (action, table, condition) {
        (Action::Again, Some(table), condition) => Ok(Wish::Again { table, condition }),
        (Action::Again, None, _) => Err("`again` needs a `table`".to_owned()),
        (_, _, Some(_)) => Err("only `again` takes a `where`".to_owned()),
        (Action::Pause, table, None) => Ok(Wish::Pause { table }),
        (Action::Resume, table, None) => Ok(Wish::Resume { table }),
    }
}
