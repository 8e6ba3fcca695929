//! TLS with the words of MySQL's manual.

use transport::{Terms, Words};

use crate::config::{SslMode, Tls};

const WORDS: Words = Words { root: "ssl-ca", certificate: "ssl-cert", key: "ssl-key" };

/// What the mode asks for, of this host.
pub(crate) fn terms<'a>(tls: &'a Tls, host: &'a str) -> Terms<'a> {
    let proven = matches!(tls.mode, SslMode::VerifyCa | SslMode::VerifyIdentity);
    Terms {
        host,
        // A certificate authority that is named is asked, whatever the mode: the mysql client would ignore it without a word.
        chain: proven || tls.root.is_some(),
        name: tls.mode == SslMode::VerifyIdentity,
        root: tls.root.as_deref(),
        certificate: tls.certificate.as_deref(),
        key: tls.key.as_deref(),
        words: WORDS,
    }
}
