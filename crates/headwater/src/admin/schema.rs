//! `POST /schema/release`: how a held table goes on. The answer comes when the checkpoint has it.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State as Extract};
use axum::http::HeaderMap;
use pipeline::How;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::command::{Reply, answered, permitted};
use super::page::escape;
use super::status::HeldStatus;

/// The body of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// `schema.table`
    pub table: String,
    /// `accept` or `new-version`
    pub how: How,
}

/// `POST /schema/release`
pub(super) async fn release(
    Extract(admin): Extract<Admin>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(Release { table, how }): Json<Release>,
) -> Reply {
    if let Err(refusal) = permitted(&admin, peer, &headers) {
        return refusal;
    }
    let answer = admin.releases.ask(&table, how);
    answered(&admin, answer).await
}

/// The held tables on the page; nothing when there are none.
pub(super) fn trouble(held: &[HeldStatus]) -> String {
    let section = |held: &HeldStatus| {
        let (title, kind) = match held.returning {
            true => ("comes back", "waiting"),
            false => ("is held", "stop"),
        };
        format!(
            "<section class=\"trouble {kind}\">\n<h2>{} {title}</h2>\n<p>{}</p>\n<p>Its events are parked in <b>{}</b>, in their \
             order; the other tables go on.</p>\n<h3>What ends it</h3>\n<pre>{}</pre>\n</section>\n",
            escape(&held.table),
            escape(&held.reason),
            escape(&held.topic),
            escape(&held.help)
        )
    };
    held.iter().map(section).collect()
}
