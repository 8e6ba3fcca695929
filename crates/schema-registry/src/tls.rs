//! The HTTP client with its TLS settings made explicitly: no process-wide provider is installed.

use crate::config::Config;
use crate::error::ConfigError;
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn http_client(config: &Config) -> Result<reqwest::Client, ConfigError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(config)?)
        .timeout(config.timeout)
        .connect_timeout(config.timeout)
        // A redirected POST would arrive as a GET; registry.url is to be the right one.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("headwater/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ConfigError::Client(error.without_url().to_string()))
}

fn tls(config: &Config) -> Result<ClientConfig, ConfigError> {
    let failed = |error: rustls::Error| ConfigError::Client(error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder: ConfigBuilder<ClientConfig, WantsClientCert> = match &config.ca {
        Some(path) => builder.with_root_certificates(roots(path)?),
        // The system's certificates are not needed, and may not exist in a small container.
        None if config.url().scheme() == "http" => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_platform_verifier().map_err(failed)?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, ConfigError> {
    let failed = |reason: String| ConfigError::Ca { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::http_client;
    use crate::config::Config;

    #[test]
    fn a_ca_file_that_is_missing_or_empty_is_named() {
        let mut config = Config::new("https://localhost").unwrap();
        http_client(&config).unwrap();
        for path in ["/nowhere/ca.pem", "/dev/null"] {
            config.ca = Some(path.into());
            let error = http_client(&config).unwrap_err().to_string();
            assert!(error.contains(path), "{error}");
        }
    }
}
