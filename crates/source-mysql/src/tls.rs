//! TLS with the words of MySQL's manual: what has to be proven, and by which roots.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

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
        (Some(certificate), Some(key)) => {
            builder.with_client_auth_cert(certificates(certificate, "ssl-cert")?, private_key(key)?).map_err(
                |error| Error::stop(format!("ssl-cert and ssl-key: {error}"), "check that they belong together"),
            )?
        }
        _ => return Err(Error::stop("url: ssl-cert and ssl-key go together", "give both or none")),
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
        Error::stop(format!("ssl-key: cannot read {}: {error}", path.display()), "give a readable PEM file")
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
    // A certificate authority that is named is asked, whatever the mode: the mysql client would ignore it without a word.
    let checks = match tls.mode {
        SslMode::VerifyCa | SslMode::VerifyIdentity => true,
        _ => tls.root.is_some(),
    };
    if !checks {
        return Ok(Verifier { chain: None, name_counts: false, provider });
    }
    let failed = |error: &dyn std::fmt::Display| {
        Error::stop(format!("ssl-ca: {error}"), "give a PEM file with the certificate authority, or `system`")
    };
    let chain: Arc<dyn ServerCertVerifier> = match &tls.root {
        Some(path) if path.as_os_str() != "system" => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, "ssl-ca")? {
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| failed(&error))?
        }
        _ => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| failed(&error))?),
    };
    Ok(Verifier { chain: Some(chain), name_counts: tls.mode == SslMode::VerifyIdentity, provider })
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
