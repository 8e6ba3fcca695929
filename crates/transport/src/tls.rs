//! TLS: what has to be proven, and by which roots.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// What a session has to prove, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub host: &'a str,
    /// The certificate has to lead to a root that is trusted. Signatures of the handshake are always checked.
    pub chain: bool,
    /// It has to name the host.
    pub name: bool,
    /// A PEM file of the roots to trust. None, or `system`: the machine's own.
    pub root: Option<&'a Path>,
    /// PEM files of what the client shows, if the server asks for it: both or none.
    pub certificate: Option<&'a Path>,
    pub key: Option<&'a Path>,
    pub words: Words,
}

/// What the three files are called where a person names them.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub root: &'static str,
    pub certificate: &'static str,
    pub key: &'static str,
}

/// Why there is no session; a person must act.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Refused {
    pub what: String,
    pub help: String,
}

impl Refused {
    fn new(what: String, help: &str) -> Self {
        Self { what, help: help.to_owned() }
    }

    fn unreadable(word: &str, path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::new(format!("{word}: cannot read {}: {why}", path.display()), "give a readable PEM file")
    }
}

/// A session, not yet begun.
pub fn session(terms: &Terms<'_>) -> Result<ClientConnection, Refused> {
    let Terms { host, words, .. } = terms;
    let bug = |error: rustls::Error| Refused::new(format!("TLS: {error}"), "report this");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(bug)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier(terms, provider)?));
    let config = match (terms.certificate, terms.key) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let (shown, secret) = (certificates(certificate, words.certificate)?, private_key(key, words.key)?);
            builder.with_client_auth_cert(shown, secret).map_err(|error| {
                let what = format!("{} and {}: {error}", words.certificate, words.key);
                Refused::new(what, "check that they belong together")
            })?
        }
        _ => {
            let what = format!("url: {} and {} go together", words.certificate, words.key);
            return Err(Refused::new(what, "give both or none"));
        }
    };
    let name = ServerName::try_from((*host).to_owned()).map_err(|_| {
        let what = format!("url: {host:?} is no host name that TLS can check");
        Refused::new(what, "use a DNS name or an address")
    })?;
    ClientConnection::new(Arc::new(config), name).map_err(bug)
}

fn certificates(path: &Path, word: &str) -> Result<Vec<CertificateDer<'static>>, Refused> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| Refused::unreadable(word, path, &error))?;
    if found.is_empty() { Err(Refused::unreadable(word, path, &"it holds no certificate")) } else { Ok(found) }
}

fn private_key(path: &Path, word: &str) -> Result<PrivateKeyDer<'static>, Refused> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| Refused::unreadable(word, path, &error))
}

/// Checks the certificate as far as the mode asks for it; the handshake's signatures always.
#[derive(Debug)]
struct Verifier {
    chain: Option<Arc<dyn ServerCertVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

fn verifier(terms: &Terms<'_>, provider: Arc<CryptoProvider>) -> Result<Verifier, Refused> {
    if !terms.chain {
        return Ok(Verifier { chain: None, name: false, provider });
    }
    let word = terms.words.root;
    let failed = |error: &dyn std::fmt::Display| {
        Refused::new(format!("{word}: {error}"), "give a PEM file with the certificate authority, or `system`")
    };
    let chain: Arc<dyn ServerCertVerifier> = match terms.root {
        Some(path) if path.as_os_str() != "system" => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, word)? {
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|error| failed(&error))?
        }
        _ => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| failed(&error))?),
    };
    Ok(Verifier { chain: Some(chain), name: terms.name, provider })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, host, ocsp, now) {
            // The name is checked last, when the chain was found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
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
