//! What the certificate and key files hold.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::super::config_error::{ConfigError, Setting};

const ACCEPTED_CA: &str = "PEM with at least one CERTIFICATE";
const ACCEPTED_CLIENT_CERTIFICATE: &str = "PEM with the client's CERTIFICATE first and its issuers' after it";
const ACCEPTED_KEY: &str = "PEM with a PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY, not encrypted";

/// A bundle of all public authorities has a fifth of this.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

pub fn ca_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    certificates(path).map_err(|problem| invalid_ca(path, problem))
}

pub fn client_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    certificates(path).map_err(|problem| invalid_client_certificate(path, problem))
}

pub fn client_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let content = read(path).map_err(|problem| invalid_key(path, problem))?;
    PrivateKeyDer::from_pem_slice(&content).map_err(|error| match error {
        pem::Error::NoItemsFound if contains(&content, b"ENCRYPTED PRIVATE KEY") => {
            invalid_key(path, "the key is encrypted")
        }
        error => invalid_key(path, described(error)),
    })
}

pub fn invalid_ca(path: &Path, problem: impl ToString) -> ConfigError {
    invalid(Setting::CertificateFile, path, problem, ACCEPTED_CA)
}

pub fn invalid_client_certificate(path: &Path, problem: impl ToString) -> ConfigError {
    invalid(Setting::ClientCertificateFile, path, problem, ACCEPTED_CLIENT_CERTIFICATE)
}

pub fn invalid_key(path: &Path, problem: impl ToString) -> ConfigError {
    invalid(Setting::ClientKeyFile, path, problem, ACCEPTED_KEY)
}

fn invalid(setting: Setting, path: &Path, problem: impl ToString, accepted: &'static str) -> ConfigError {
    ConfigError { setting, value: Some(path.display().to_string()), problem: problem.to_string(), accepted }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(described(pem::Error::NoItemsFound)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(described(error)),
    }
}

/// Our own words, because the library's may quote the file, which may be a key instead of a certificate.
fn described(error: pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "nothing of that kind is in it".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        _ => "it is not well-formed PEM".to_owned(),
    }
}

/// Reads a file. A pipe or a device is refused, since reading it may never end.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    match content.len() as u64 > MAX_FILE_BYTES {
        true => Err(format!("it is larger than {MAX_FILE_BYTES} bytes")),
        false => Ok(content),
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
