//! HTTP to a server on the loopback address, one connection per request.
//!
//! `Connection: close` under HTTP/1.1, because Quarkus (the registry) now and then closes a connection of HTTP/1.0 without
//! an answer (7 of 20,000 requests), and now and then leaves one that is kept alive without one (2 of 30,000).

use std::io::ErrorKind;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ureq::Agent;
use ureq::http::Request;

const TIMEOUT: Duration = Duration::from_secs(10);

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    let config = Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).proxy(None);
    config.build().into()
});

/// Status code and body.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

impl Response {
    /// The body, if the status is 2xx.
    pub fn ok(self) -> Result<String> {
        ensure!((200..300).contains(&self.status), "HTTP {}: {}", self.status, self.body);
        Ok(self.body)
    }
}

/// One request to `127.0.0.1:port`; a body is sent as JSON.
pub fn request(method: &str, port: u16, path: &str, body: Option<&str>) -> Result<Response> {
    let request = Request::builder().method(method).uri(format!("http://127.0.0.1:{port}{path}"));
    let request = request.header("Connection", "close");
    let answer = match body {
        Some(body) => AGENT.run(request.header("Content-Type", "application/json").body(body)?),
        None => AGENT.run(request.body(())?),
    };
    let mut answer = answer.with_context(|| format!("{method} 127.0.0.1:{port}{path}"))?;
    Ok(Response { status: answer.status().as_u16(), body: answer.body_mut().read_to_string()? })
}

/// Like [`request`], for what may as well be done twice: asked again when the server closes the connection without an answer.
pub fn request_twice(method: &str, port: u16, path: &str, body: Option<&str>) -> Result<Response> {
    let closed = |error: &anyhow::Error| match error.downcast_ref() {
        Some(ureq::Error::Io(error)) => matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
        _ => false,
    };
    match request(method, port, path, body) {
        Err(error) if closed(&error) => request(method, port, path, body),
        other => other,
    }
}

pub fn get(port: u16, path: &str) -> Result<Response> {
    request("GET", port, path, None)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_connection_that_is_closed_without_an_answer_is_made_anew() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = std::thread::spawn(move || -> std::io::Result<()> {
            for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"] {
                let (mut client, _) = listener.accept()?;
                let read = client.read(&mut [0; 1024])?;
                assert_ne!(read, 0);
                client.write_all(answer.as_bytes())?;
            }
            Ok(())
        });
        assert_eq!(request_twice("POST", port, "/", Some("{}"))?.ok()?, "hi");
        server.join().expect("no panic")?;
        Ok(())
    }
}
