//! The certificate that the client shows, and its key.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

use super::super::config_error::{ConfigError, Setting};
use super::certificate::{Description, date};
use super::once::say_once;
use super::pem;

const ACCEPTED_CERTIFICATE: &str = "PEM with the client's CERTIFICATE first and its issuers' after it";
const ACCEPTED_KEY: &str = "PEM with a PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted: RSA of 2048 to \
                            8192 bits, P-256, P-384, P-521 or Ed25519";

pub struct Identity {
    pub resolver: Arc<SingleCertAndKey>,
    /// The file, and whose certificate is in it.
    pub described: String,
}

impl Identity {
    /// Without a file of its own the key is in the certificate's.
    pub fn load(certificate: &Path, key: Option<&Path>, provider: &CryptoProvider) -> Result<Identity, ConfigError> {
        let chain = chain(certificate).map_err(|problem| invalid_certificate(certificate, problem))?;
        let key_file = key.unwrap_or(certificate);
        let key = pem::key(key_file).map_err(|problem| invalid_key(key_file, problem))?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|_| invalid_key(key_file, "a key of this kind or size is not supported"))?;
        let described = described(certificate, &chain[0]);
        if Description::of(&chain[0]).is_some_and(|description| description.has_expired()) {
            say_once(format!("The client's certificate in {described}: servers may refuse it."));
        }
        if !belong_together(&chain, &key) {
            let problem = format!("it is not the key of the certificate in {}", certificate.display());
            return Err(invalid_key(key_file, problem));
        }
        Ok(Identity { resolver: Arc::new(CertifiedKey::new(chain, key).into()), described })
    }
}

pub fn key_alone(key: &Path) -> ConfigError {
    invalid_key(key, "it is given without a client certificate")
}

/// At least one. Damaged ones behind the first are left out: the server may know the issuers.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = pem::certificates_of_file(path)?.readable;
    if found.first().is_none_or(|first| webpki::anchor_from_trusted_cert(first).is_err()) {
        return Err(pem::NOT_WELL_FORMED.to_owned());
    }
    Ok(found)
}

/// Compares the public keys. rustls does it for certificates of version 3 without unknown critical extensions; which
/// others are good is for the server to say.
fn belong_together(chain: &[CertificateDer<'static>], key: &Arc<dyn SigningKey>) -> bool {
    match CertifiedKey::new(chain.to_vec(), Arc::clone(key)).keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => true,
        Err(Error::InconsistentKeys(_)) => false,
        Err(_) => match (key.public_key(), webpki::anchor_from_trusted_cert(&chain[0])) {
            // The anchor's is the content of the other's outermost sequence.
            (Some(key), Ok(anchor)) => key.ends_with(&anchor.subject_public_key_info),
            _ => true,
        },
    }
}

fn described(path: &Path, certificate: &CertificateDer<'_>) -> String {
    let path = path.display();
    match Description::of(certificate) {
        Some(description) if description.has_expired() => {
            format!("{path} ({description}, expired on {})", date(description.not_after))
        }
        Some(description) => format!("{path} ({description})"),
        None => path.to_string(),
    }
}

fn invalid_certificate(path: &Path, problem: impl Into<String>) -> ConfigError {
    ConfigError::of_file(Setting::ClientCertificateFile, path, problem, ACCEPTED_CERTIFICATE)
}

fn invalid_key(path: &Path, problem: impl Into<String>) -> ConfigError {
    ConfigError::of_file(Setting::ClientKeyFile, path, problem, ACCEPTED_KEY)
}
