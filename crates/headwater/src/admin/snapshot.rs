//! `POST /snapshot`: what a person wishes of the copies. The answer comes when the wish is in the checkpoint.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use change::Wish;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::command::{Reply, answered, permitted, refusal};

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

/// `POST /snapshot`
pub(super) async fn command(
    Extract(admin): Extract<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(command): Json<Command>,
) -> Reply {
    if let Err(refusal) = permitted(&admin, peer, &headers) {
        return refusal;
    }
    match wish(command) {
        Ok(wish) => answered(&admin, admin.copies.ask(wish)).await,
        Err(text) => refusal(StatusCode::UNPROCESSABLE_ENTITY, text),
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
