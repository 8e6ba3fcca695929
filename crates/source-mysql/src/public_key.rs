//! A password for the server's RSA key, where the connection is neither encrypted nor local.
//!
//! mysql_common does the arithmetic. It panics on a key that it cannot read and on a password that is too long for it, and the
//! key comes from the network: so it is read and measured here first.

use mysql_common::crypto::rsa::{GetRandom, Pkcs1OaepPadding, PublicKey};
use num_bigint::BigUint;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// Shorter keys are broken, longer ones keep a processor busy for minutes.
const BITS: std::ops::RangeInclusive<u64> = 1024..=16_384;
/// OAEP with SHA-1 takes two hashes and two bytes of the key's length.
const PADDING: usize = 2 * 20 + 2;

/// `password` and its zero byte, mixed with the server's `nonce`, for the key in `pem`. The reason why not, if not.
pub(crate) fn encrypt(password: &str, nonce: &[u8], pem: &[u8]) -> Result<Vec<u8>, String> {
    let key = public_key(pem).ok_or("the server's public key cannot be read")?;
    if !BITS.contains(&key.modulus().bits()) {
        return Err(format!("the server's public key has {} bits", key.modulus().bits()));
    }
    let mut text = password.as_bytes().to_vec();
    text.push(0);
    if nonce.is_empty() || text.len() + PADDING > key.num_octets() {
        return Err("the password is too long for the server's public key".to_owned());
    }
    for (byte, mask) in text.iter_mut().zip(nonce.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(key.encrypt_block(text, Pkcs1OaepPadding::new(GetRandom)))
}

fn public_key(pem: &[u8]) -> Option<PublicKey> {
    let info = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    let info = SubjectPublicKeyInfoRef::from_der(info.as_ref()).ok()?;
    let mut reader = SliceReader::new(info.subject_public_key.as_bytes()?).ok()?;
    let (modulus, exponent) = reader.sequence(|key| Ok((UintRef::decode(key)?, UintRef::decode(key)?))).ok()?;
    // Real keys have 3 or 65537; a long exponent only costs time.
    (exponent.as_bytes().len() <= 8).then(|| {
        PublicKey::new(BigUint::from_bytes_be(modulus.as_bytes()), BigUint::from_bytes_be(exponent.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr5qlAdjMAZDCX91ogBws\n\
DkOGgIJ8ZEzJc6czRU67XtzLskr/gcijr1pMuX0//SRQDsQIeFdWQApDHC1KXwAq\n\
ZIFykf7K3f6plIL9H4IuMopxYb+sgxB5B+jS/yaxG3t9PBUBLyB/oFpltuxulzTp\n\
C98Wvr/PehwuSKScgM6RLVED5HYX0o5QeU4eUTrNCtWvelrp4hLcEhXA1A7goTcW\n\
7bOKywuIe/nkahnEL/06Gi57SXJHgomVI04c/N7W9TVunu/qaBAy4IqPY3ITw6PV\n\
EQ6MjBDycGehZc6k6t6AtTo4gnFpDHpvyW9kyP1qqINYZC0beW1JlUw0C8Qst679\n\
hQIDAQAB\n\
-----END PUBLIC KEY-----";

    #[test]
    fn a_key_is_read() {
        let key = public_key(KEY).unwrap();
        assert_eq!((key.modulus().bits(), key.num_octets()), (2048, 256));
        assert_eq!(encrypt("secret", b"nonce", KEY).unwrap().len(), 256);
    }

    #[test]
    fn what_would_panic_is_refused() {
        assert!(encrypt("secret", b"nonce", b"").is_err());
        assert!(encrypt("secret", b"nonce", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err());
        assert!(encrypt(&"x".repeat(213), b"nonce", KEY).is_ok());
        assert!(encrypt(&"x".repeat(214), b"nonce", KEY).unwrap_err().contains("too long"));
    }
}
