//! Logging in: `mysql_native_password`, `caching_sha2_password`, `sha256_password`, MariaDB's `ed25519`, and a password in
//! clear text where nobody can listen.
//!
//! Without TLS the server is not known: whoever answers in its place gets a password encrypted for the key that he sent.
//! That is so in every client that asks for the key; `ssl-mode=VERIFY_IDENTITY` is the way out.

use std::collections::HashMap;

use mysql_common::constants::CapabilityFlags;
use mysql_common::packets::{AuthPlugin, HandshakeResponse, SslRequest};
use mysql_common::proto::MySerialize;
use mysql_common::scramble::{create_response_for_ed25519, scramble_native, scramble_sha256};
use secrecy::ExposeSecret;

use crate::connection::{Connection, Purpose};
use crate::error::{Error, ServerError};
use crate::greeting::Greeting;
use crate::packet::LONGEST;
use crate::public_key;
use crate::url::Endpoint;
use crate::wire::WireError;
use crate::wire::reader::Reader;

const DOING: &str = "logging in";

const NATIVE: &str = "mysql_native_password";
const CACHING: &str = "caching_sha2_password";
const SHA256: &str = "sha256_password";
const ED25519: &str = "client_ed25519";
const CLEAR: &str = "mysql_clear_password";

/// `utf8mb4_general_ci`, which both servers know; the session's character set is pinned later.
const COLLATION: u8 = 45;
/// What we let the server send in one packet. It fits: the constant is a little more than 2^30.
const LARGEST: u32 = 1 << 30;
const _: () = assert!(LARGEST as usize <= LONGEST);

/// What asks for TLS: the beginning of the packet that would follow in clear text.
pub(crate) fn tls_request(capabilities: CapabilityFlags) -> Vec<u8> {
    let mut body = Vec::new();
    SslRequest::new(capabilities | CapabilityFlags::CLIENT_SSL, LARGEST, COLLATION).serialize(&mut body);
    body
}

/// Who logs in, as far as the answers depend on it.
struct Login<'a> {
    user: &'a str,
    password: &'a str,
    encrypted: bool,
    unix: bool,
}

/// Tells who we are, and answers the server's questions until it is content.
pub(crate) fn log_in(
    connection: &mut Connection,
    endpoint: &Endpoint,
    greeting: &Greeting,
    mut capabilities: CapabilityFlags,
    attributes: HashMap<String, String>,
) -> Result<(), Error> {
    let login = Login {
        user: &endpoint.user,
        password: endpoint.password.as_ref().map_or("", ExposeSecret::expose_secret),
        encrypted: connection.transport().is_encrypted(),
        unix: connection.transport().is_unix(),
    };
    if login.encrypted {
        capabilities |= CapabilityFlags::CLIENT_SSL;
    }
    // A guess: where the account has another plugin, the server says so. It is one that does not show the password.
    let mut plugin = match greeting.plugin.as_str() {
        guess @ (NATIVE | ED25519) => guess.to_owned(),
        _ => CACHING.to_owned(),
    };
    let answer = login.answer(&plugin, &greeting.nonce)?;
    connection.say(DOING, &introduction(endpoint, &plugin, &answer, capabilities, attributes))?;
    let mut nonce = greeting.nonce.clone();
    let mut asked_for_key = false;
    loop {
        let question = connection.packet(DOING)?.to_vec();
        let answer = match question.split_first() {
            Some((0x00, _)) => return Ok(()),
            Some((0xff, _)) => return Err(login.refused_by_server(&question)),
            Some((0xfe, switch)) => {
                (plugin, nonce) = read_switch(switch).map_err(Error::wire(DOING))?;
                asked_for_key = plugin == SHA256;
                login.answer(&plugin, &nonce)?
            }
            // The password was found among those that the server remembers; it says OK next.
            Some((0x01, [3])) if plugin == CACHING => continue,
            Some((0x01, [4])) if plugin == CACHING && (login.encrypted || login.unix) => login.clear(),
            Some((0x01, [4])) if plugin == CACHING => {
                asked_for_key = true;
                vec![2]
            }
            Some((0x01, key)) if asked_for_key => {
                asked_for_key = false;
                public_key::encrypt(login.password, nonce.get(..20).unwrap_or(&nonce), key)
                    .map_err(|why| refused(&why, "use ssl-mode=REQUIRED or stronger in `url`"))?
            }
            Some((0x02, _)) => {
                return Err(refused(
                    "the account wants more than one proof (multi-factor authentication)",
                    "use an account that logs in with a password alone",
                ));
            }
            Some((number, _)) => {
                let error = WireError::Unknown { what: "an unexpected question", number: (*number).into() };
                return Err(Error::wire(DOING)(error));
            }
            None => return Err(Error::wire(DOING)(WireError::Short { what: "question", at: 0, wanted: 1, left: 0 })),
        };
        connection.say(DOING, &answer)?;
    }
}

/// Who we are and what we can, with a first proof.
fn introduction(
    endpoint: &Endpoint,
    plugin: &str,
    answer: &[u8],
    capabilities: CapabilityFlags,
    attributes: HashMap<String, String>,
) -> Vec<u8> {
    let response = HandshakeResponse::new(
        Some(answer),
        // decides between two character sets only
        (8, 0, 0),
        Some(endpoint.user.as_bytes()),
        endpoint.database.as_ref().map(String::as_bytes),
        Some(AuthPlugin::Other(plugin.as_bytes().into())),
        capabilities,
        capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS).then_some(attributes),
        LARGEST,
    );
    let mut body = Vec::new();
    response.serialize(&mut body);
    body
}

/// The plugin that the account has, and its nonce.
fn read_switch(body: &[u8]) -> Result<(String, Vec<u8>), WireError> {
    if body.is_empty() {
        // what servers said before 4.1.1 and for accounts from then
        return Ok(("mysql_old_password".to_owned(), Vec::new()));
    }
    let mut reader = Reader::new("switch of the plugin", body);
    let plugin = String::from_utf8_lossy(reader.terminated()?).into_owned();
    Ok((plugin, reader.rest().to_vec()))
}

fn refused(why: &str, help: &str) -> Error {
    Error::stop(format!("{DOING}: {why}"), help)
}

impl Login<'_> {
    /// What a plugin wants to hear first.
    fn answer(&self, plugin: &str, nonce: &[u8]) -> Result<Vec<u8>, Error> {
        // A zero byte ends most nonces, and may be the last byte of one: so by length.
        let first = |count: usize| {
            let error = WireError::Short { what: "nonce", at: 0, wanted: count, left: nonce.len() };
            nonce.get(..count).ok_or_else(|| Error::wire(DOING)(error))
        };
        let password = self.password.as_bytes();
        Ok(match plugin {
            NATIVE => scramble_native(first(20)?, password).map(Vec::from).unwrap_or_default(),
            CACHING => scramble_sha256(first(20)?, password).map(Vec::from).unwrap_or_default(),
            ED25519 => create_response_for_ed25519(password, first(32)?).to_vec(),
            // Unlike the other one, it does not take a Unix socket for a safe place.
            SHA256 if self.encrypted || password.is_empty() => self.clear(),
            SHA256 => vec![1],
            CLEAR if self.encrypted || self.unix => self.clear(),
            CLEAR => {
                return Err(refused(
                    &format!(
                        "the account {} wants its password in clear text, and the connection is not encrypted",
                        self.user
                    ),
                    "use ssl-mode=REQUIRED or stronger in `url`",
                ));
            }
            other => {
                return Err(refused(
                    &format!("the account {} has the plugin {other:?}, which this version does not know", self.user),
                    "use an account with caching_sha2_password, mysql_native_password, sha256_password or ed25519",
                ));
            }
        })
    }

    fn clear(&self) -> Vec<u8> {
        let mut text = self.password.as_bytes().to_vec();
        text.push(0);
        text
    }

    fn refused_by_server(&self, body: &[u8]) -> Error {
        let error = ServerError::of_packet(body).unwrap_or_default();
        Error::Server { doing: format!("{DOING} as {}", self.user), error }
    }
}

/// What the server shows of us in `performance_schema.session_connect_attrs`.
pub(crate) fn attributes(pipeline: &str, purpose: Purpose) -> HashMap<String, String> {
    let purpose = match purpose {
        Purpose::Control => "control",
        Purpose::Replication => "replication",
    };
    [
        ("program_name", "headwater"),
        ("program_version", env!("CARGO_PKG_VERSION")),
        ("pipeline", pipeline),
        ("purpose", purpose),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(password: &str, encrypted: bool) -> Login<'_> {
        Login { user: "me", password, encrypted, unix: false }
    }

    #[test]
    fn first_answers() {
        let nonce = [7; 33];
        let length = |plugin: &str, password: &str| login(password, false).answer(plugin, &nonce).unwrap().len();
        assert_eq!((length(NATIVE, "x"), length(CACHING, "x"), length(ED25519, "x")), (20, 32, 64));
        assert_eq!((length(NATIVE, ""), length(CACHING, ""), length(ED25519, "")), (0, 0, 64));
        assert_eq!(login("x", false).answer(SHA256, &nonce).unwrap(), [1]);
        assert_eq!(login("x", true).answer(SHA256, &nonce).unwrap(), b"x\0");
        assert!(login("x", false).answer(NATIVE, &nonce[..19]).is_err());
    }

    #[test]
    fn no_password_is_shown_to_whoever_listens() {
        let error = login("hunter2", false).answer(CLEAR, &[]).unwrap_err();
        assert!(error.to_string().contains("not encrypted") && !format!("{error:?}").contains("hunter"));
        assert_eq!(login("hunter2", true).answer(CLEAR, &[]).unwrap(), b"hunter2\0");
        let error = login("hunter2", true).answer("authentication_ldap_sasl_client", &[]).unwrap_err();
        assert!(error.to_string().contains("\"authentication_ldap_sasl_client\""));
    }

    #[test]
    fn switches() {
        assert_eq!(read_switch(b"abc\0nonce\0").unwrap(), ("abc".to_owned(), b"nonce\0".to_vec()));
        assert_eq!(read_switch(b"").unwrap().0, "mysql_old_password");
        assert!(read_switch(b"abc").is_err());
    }
}
