//! TLS with libpq's words: what has to be proven, by which roots, and the hash that binds SCRAM to the channel.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::config::{SslMode, Tls};
use crate::error::Error;

/// A session for `host`, not yet begun.
pub(crate) fn session(tls: &Tls, host: &str) -> Result<ClientConnection, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::stop(format!("TLS: {error}"), "report this"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier(tls, provider)?));
    let config = match (&tls.certificate, &tls.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates(certificate, "sslcert")?, private_key(key)?)
            .map_err(|error| Error::stop(format!("sslcert and sslkey: {error}"), "check that they belong together"))?,
        _ => return Err(Error::stop("url: sslcert and sslkey go together", "give both or none")),
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::stop(format!("url: {host:?} is no host name that TLS can check"), "use a DNS name or an address")
    })?;
    ClientConnection::new(Arc::new(config), name).map_err(|error| Error::stop(format!("TLS: {error}"), "report this"))
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bad = |error: &dyn std::fmt::Display| {
        Error::stop(format!("{key}: cannot read {}: {error}", path.display()), "give a readable PEM file")
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(|error| bad(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&error))?;
    if found.is_empty() { Err(bad(&"it holds no certificate")) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| {
        Error::stop(format!("sslkey: cannot read {}: {error}", path.display()), "give a readable PEM file")
    })
}

/// Checks the certificate as far as the mode asks for it; the handshake's signatures always.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<dyn ServerCertVerifier>>,
    name_counts: bool,
    provider: Arc<CryptoProvider>,
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Verifier, Error> {
    // As libpq does: `require` with a root certificate at hand verifies the chain.
    let checks = match tls.mode {
        SslMode::VerifyCa | SslMode::VerifyFull => true,
        _ => tls.root.is_some(),
    };
    if !checks {
        return Ok(Verifier { chain: None, name_counts: false, provider });
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::stop(format!("sslrootcert: {error}"), "give a PEM file with the certificate authority, or `system`")
    };
    let chain: Arc<dyn ServerCertVerifier> = match &tls.root {
        Some(path) if path.as_os_str() != "system" => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "sslrootcert")? {
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| failed(&error))?
        }
        _ => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| failed(&error))?),
    };
    Ok(Verifier { chain: Some(chain), name_counts: tls.mode == SslMode::VerifyFull, provider })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            // The name is checked last, when the chain was found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name_counts => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
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
