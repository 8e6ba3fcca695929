//! Logging in: trust, clear-text password, MD5, SCRAM-SHA-256 with channel binding where the server offers it.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret;

use crate::connection::Connection;
use crate::error::Error;
use crate::tls;
use crate::url::Endpoint;
use crate::wire::WireError;
use crate::wire::reader::Reader;

const DOING: &str = "logging in";

/// Answers the server's question until it is content.
pub(crate) fn log_in(connection: &mut Connection, endpoint: &Endpoint) -> Result<(), Error> {
    let mut scram: Option<ScramSha256> = None;
    loop {
        let body = connection.expect(b'R', DOING)?;
        let mut reader = Reader::new("authentication request", &body);
        let question = reader.i32().map_err(Error::wire(DOING))?;
        match question {
            0 => {
                reader.end().map_err(Error::wire(DOING))?;
                return match scram {
                    Some(_) => Err(refused("the server ended SCRAM without proving that it knows the password")),
                    None => Ok(()),
                };
            }
            3 => say_password(connection, password(endpoint)?.as_bytes())?,
            5 => {
                let salt = reader.take(4).map_err(Error::wire(DOING))?;
                let salt = <[u8; 4]>::try_from(salt).map_err(|_| refused("the salt is not 4 bytes"))?;
                let hash = md5_hash(endpoint.user.as_bytes(), password(endpoint)?.as_bytes(), salt);
                say_password(connection, hash.as_bytes())?;
            }
            10 => scram = Some(begin_scram(connection, endpoint, &mut reader)?),
            11 => {
                let exchange = scram.as_mut().ok_or_else(|| refused("SCRAM goes on before it began"))?;
                exchange.update(reader.rest()).map_err(|error| refused(&error.to_string()))?;
                let message = exchange.message().to_vec();
                connection.say(DOING, |buffer| frontend::sasl_response(&message, buffer))?;
            }
            12 => {
                let mut exchange = scram.take().ok_or_else(|| refused("SCRAM ends before it began"))?;
                exchange.finish(reader.rest()).map_err(|error| refused(&error.to_string()))?;
            }
            other => return Err(refused(&format!("the server asks for authentication method {other}"))),
        }
    }
}

fn refused(why: &str) -> Error {
    Error::stop(format!("{DOING}: {why}"), "use trust, password, md5, scram-sha-256 or cert in pg_hba.conf")
}

fn password(endpoint: &Endpoint) -> Result<&str, Error> {
    endpoint.password.as_ref().map(ExposeSecret::expose_secret).ok_or_else(|| {
        Error::stop(
            format!("{DOING}: the server asks user {} for a password, and none is configured", endpoint.user),
            "set `password` in [source]",
        )
    })
}

fn say_password(connection: &mut Connection, password: &[u8]) -> Result<(), Error> {
    connection.say(DOING, |buffer: &mut BytesMut| frontend::password_message(password, buffer))
}

fn begin_scram(
    connection: &mut Connection,
    endpoint: &Endpoint,
    reader: &mut Reader<'_>,
) -> Result<ScramSha256, Error> {
    let mut offered = Vec::new();
    loop {
        match reader.text().map_err(Error::wire(DOING))? {
            "" => break,
            mechanism => offered.push(mechanism.to_owned()),
        }
    }
    reader.end().map_err(|error: WireError| Error::wire(DOING)(error))?;
    let offers = |name: &str| offered.iter().any(|mechanism| mechanism == name);
    let end_point = connection.peer_certificate().and_then(tls::end_point);
    let (mechanism, binding) = match end_point {
        Some(hash) if offers(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)),
        Some(_) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None => (SCRAM_SHA_256, ChannelBinding::unsupported()),
    };
    if !offers(mechanism) {
        return Err(refused(&format!("the server offers only {}", offered.join(", "))));
    }
    let exchange = ScramSha256::new(password(endpoint)?.as_bytes(), binding);
    let message = exchange.message().to_vec();
    connection.say(DOING, |buffer| frontend::sasl_initial_response(mechanism, &message, buffer))?;
    Ok(exchange)
}
