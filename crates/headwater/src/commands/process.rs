//! The running process, asked over its admin listener.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::admin::Outcome;
use crate::config::Config;
use crate::failure::Failure;

/// A wish is answered, or refused, within half a minute; the network needs a little more.
const PATIENCE: Duration = Duration::from_secs(40);

/// The running process, as its admin listener shows it.
pub(crate) struct Process {
    agent: ureq::Agent,
    url: String,
    authorization: Option<String>,
}

impl Process {
    pub(crate) fn new(config: &Config) -> Result<Self, Failure> {
        let listen = config.admin.listen;
        if listen.port() == 0 {
            return Err(Failure::configuration(
                "admin.listen has port 0, which is another one in every process; give the running one's with \
                 --admin-listen (its first log line names it)",
            ));
        }
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let settings = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // The process is on this machine, and its token is nobody else's business.
            .proxy(None)
            .build();
        Ok(Self {
            agent: ureq::Agent::new_with_config(settings),
            url: format!("http://{}", SocketAddr::new(ip, listen.port())),
            authorization: config.admin.token.as_ref().map(|token| format!("Bearer {}", token.expose_secret())),
        })
    }

    /// Asks for something to be done; the answer is what was done.
    pub(crate) fn command(&self, path: &str, command: &impl Serialize) -> Result<String, Failure> {
        let body = serde_json::to_string(command).map_err(|error| Failure::unexpected(error.to_string()))?;
        let mut request = self.agent.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        match self.parse::<Outcome>(request.send(body))? {
            Outcome::Done(text) => Ok(text),
            Outcome::Error(text) => Err(Failure::unexpected(text)),
        }
    }

    /// The part of `/status` that the caller knows.
    pub(crate) fn status<T: for<'de> Deserialize<'de>>(&self) -> Result<T, Failure> {
        let mut request = self.agent.get(format!("{}/status", self.url));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.parse(request.call())
    }

    fn parse<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let away = |error: ureq::Error| {
            Failure::unexpected(format!(
                "no answer from the running process at {}: {error}; does `headwater run` run with this configuration, on \
                 this machine?",
                self.url
            ))
        };
        let mut answer = answer.map_err(away)?;
        let code = answer.status();
        let text = answer.body_mut().read_to_string().map_err(away)?;
        serde_json::from_str(&text).map_err(|_| {
            Failure::unexpected(format!(
                "{} answered {code}, which is not headwater's answer: {}",
                self.url,
                text.trim()
            ))
        })
    }
}
