//! The server's first packet, and what of its abilities we use.
//!
//! Read by hand: mysql_common's `HandshakePacket` subtracts in eight bits with a sign, which panics on some bytes.

use mysql_common::constants::CapabilityFlags;

use crate::wire::WireError;
use crate::wire::reader::Reader;

/// What every server since MySQL 5.5 and MariaDB 5.5 can do, and we need.
const NEEDED: CapabilityFlags = CapabilityFlags::CLIENT_PROTOCOL_41
    .union(CapabilityFlags::CLIENT_SECURE_CONNECTION)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH);

/// What we use where the server offers it. Left out on purpose: `LOCAL_FILES` (the server could ask for our files),
/// `MULTI_STATEMENTS` (an injected semicolon stays harmless), `COMPRESS` (the log compresses itself), `SESSION_TRACK`. The
/// first flag has another meaning in MariaDB: without it a client asks for MariaDB's own extensions.
const WANTED: CapabilityFlags = CapabilityFlags::CLIENT_LONG_PASSWORD
    .union(CapabilityFlags::CLIENT_LONG_FLAG)
    .union(CapabilityFlags::CLIENT_TRANSACTIONS)
    .union(CapabilityFlags::CLIENT_CONNECT_ATTRS)
    .union(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA)
    .union(CapabilityFlags::CLIENT_DEPRECATE_EOF);

/// MariaDB's first ten major versions claim to be MySQL 5.5.5 for old replicas.
const DISGUISE: &str = "5.5.5-";

/// Handshake packet, version 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    /// The number of this connection, for `KILL`.
    pub(crate) id: u32,
    pub(crate) capabilities: CapabilityFlags,
    pub(crate) plugin: String,
    /// What the plugin of that name mixes into its answer.
    pub(crate) nonce: Vec<u8>,
}

impl Greeting {
    pub(crate) fn read(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("handshake packet", body);
        match reader.u8()? {
            10 => {}
            number => return Err(WireError::Unknown { what: "protocol version", number: number.into() }),
        }
        let version = String::from_utf8_lossy(reader.terminated()?).into_owned();
        let id = reader.u32()?;
        let mut nonce = reader.take(8)?.to_vec();
        reader.take(1)?;
        let low = reader.u16()?;
        // character set and status
        reader.take(3)?;
        let high = reader.u16()?;
        let capabilities = CapabilityFlags::from_bits_truncate(u32::from(high) << 16 | u32::from(low));
        let length = usize::from(reader.u8()?);
        reader.take(10)?;
        let mut plugin = String::new();
        if capabilities.contains(CapabilityFlags::CLIENT_SECURE_CONNECTION) {
            nonce.extend_from_slice(reader.take(length.saturating_sub(8).max(13))?);
        }
        if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            // some servers forget the zero byte
            let name = reader.rest().split(|byte| *byte == 0).next().unwrap_or_default();
            plugin = String::from_utf8_lossy(name).into_owned();
        }
        let version = version.strip_prefix(DISGUISE).map(str::to_owned).unwrap_or(version);
        Ok(Self { version, id, capabilities, plugin, nonce })
    }

    /// What both sides can; `None`: the server is too old.
    pub(crate) fn common(&self) -> Option<CapabilityFlags> {
        self.capabilities.contains(NEEDED).then(|| self.capabilities & (NEEDED | WANTED))
    }

    pub(crate) fn offers_tls(&self) -> bool {
        self.capabilities.contains(CapabilityFlags::CLIENT_SSL)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(version: &str, length: u8, plugin: &[u8]) -> Vec<u8> {
        let mut bytes = vec![10];
        bytes.extend_from_slice(version.as_bytes());
        bytes.extend_from_slice(b"\0\x2a\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf");
        bytes.push(length);
        bytes.extend_from_slice(&[0; 10]);
        bytes.extend_from_slice(b"ijklmnopqrst\0");
        bytes.extend_from_slice(plugin);
        bytes
    }

    #[test]
    fn a_greeting() {
        for plugin in [&b"mysql_native_password\0"[..], b"mysql_native_password"] {
            let greeting = Greeting::read(&packet("5.5.5-10.11.19-MariaDB", 21, plugin)).unwrap();
            assert_eq!((greeting.version.as_str(), greeting.id), ("10.11.19-MariaDB", 42));
            assert_eq!(greeting.plugin, "mysql_native_password");
            assert_eq!(greeting.nonce, b"abcdefghijklmnopqrst\0");
            assert!(greeting.offers_tls());
            let common = greeting.common().unwrap();
            assert!(common.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF));
            assert!(!common.contains(CapabilityFlags::CLIENT_LOCAL_FILES));
        }
    }

    #[test]
    fn what_is_no_greeting() {
        assert!(Greeting::read(&[9, 0]).is_err());
        assert!(Greeting::read(&packet("9.7.4", 200, b"")).is_err());
        let old = Greeting {
            capabilities: CapabilityFlags::CLIENT_PROTOCOL_41,
            ..Greeting::read(&packet("4", 21, b"x")).unwrap()
        };
        assert_eq!(old.common(), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let read = Greeting::read(&bytes);
            prop_assert!(read.is_err() || bytes.first() == Some(&10));
        }
    }
}
