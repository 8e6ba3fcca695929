//! TLS with libpq's words, and the hash that binds SCRAM to the channel.

use sha2::{Digest, Sha256, Sha384, Sha512};
use transport::{Terms, Words};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::{SslMode, Tls};

const WORDS: Words = Words { root: "sslrootcert", certificate: "sslcert", key: "sslkey" };

/// What the mode asks for, of this host.
pub(crate) fn terms<'a>(tls: &'a Tls, host: &'a str) -> Terms<'a> {
    let proven = matches!(tls.mode, SslMode::VerifyCa | SslMode::VerifyFull);
    Terms {
        host,
        // As libpq does: `require` with a root certificate at hand verifies the chain.
        chain: proven || tls.root.is_some(),
        name: tls.mode == SslMode::VerifyFull,
        root: tls.root.as_deref(),
        certificate: tls.certificate.as_deref(),
        key: tls.key.as_deref(),
        words: WORDS,
    }
}

/// RFC 5929 `tls-server-end-point`: the certificate's hash, by the hash of its own signature (MD5 and SHA-1 raised to
/// SHA-256). `None` where the signature algorithm names no hash (Ed25519).
pub(crate) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let parsed = Certificate::from_der(certificate).ok()?;
    match parsed.signature_algorithm.oid.to_string().as_str() {
        // RSA with MD5, SHA-1 and SHA-256; ECDSA with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}
