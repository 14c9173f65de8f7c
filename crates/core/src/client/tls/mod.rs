//! The TLS set-up of both protocols: rustls, the certificates it trusts, and the one it shows.

mod pem;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::{CryptoProvider, ring};
use rustls_platform_verifier::BuilderVerifierExt;

use super::config::TlsFiles;
use super::config_error::{ConfigError, Setting};

/// How often, at most, an export checks whether the files have changed. Tests do not wait.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 1 });

/// TLS settings that follow their files.
pub(super) struct Tls {
    files: TlsFiles,
    alpn: &'static [u8],
    state: Mutex<TlsState>,
}

/// What new connections use. A greater generation was read later.
#[derive(Clone)]
pub(super) struct Settings {
    pub generation: u64,
    pub config: Arc<rustls::ClientConfig>,
}

struct TlsState {
    settings: Settings,
    /// As they were when they were last read, whether that worked or not.
    stamps: Vec<Stamp>,
    checked_at: Instant,
    /// Why what the files hold now is not in use.
    problem: Option<String>,
}

/// Changes when a file is written or replaced, be it by a rename or by the symbolic links of a Kubernetes secret.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    len: Option<u64>,
    inode: Option<u64>,
}

impl Tls {
    pub fn new(files: &TlsFiles, alpn: &'static [u8]) -> Result<Tls, ConfigError> {
        // Before the files are read, so that changes during the reading are noticed.
        let stamps = stamps(files);
        let config = Arc::new(configure(files, alpn)?);
        let settings = Settings { generation: 0, config };
        let state = TlsState { settings, stamps, checked_at: Instant::now(), problem: None };
        Ok(Tls { files: files.clone(), alpn, state: Mutex::new(state) })
    }

    /// The settings, read anew if the files have changed. If they cannot be used as they are now, perhaps because a
    /// rotation is not done with them, the settings stay as they were.
    pub fn current(&self) -> Settings {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.stamps.is_empty() || state.checked_at.elapsed() < FILE_CHECK_INTERVAL {
            return state.settings.clone();
        }
        state.checked_at = Instant::now();
        let stamps = stamps(&self.files);
        if stamps != state.stamps {
            state.stamps = stamps;
            match configure(&self.files, self.alpn) {
                Ok(config) => {
                    let generation = state.settings.generation + 1;
                    state.settings = Settings { generation, config: Arc::new(config) };
                    state.problem = None;
                }
                Err(error) => state.problem = Some(error.to_string()),
            }
        }
        state.settings.clone()
    }

    /// Why the files as they are now are not in use, if so.
    pub fn problem(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }
}

fn configure(files: &TlsFiles, alpn: &[u8]) -> Result<rustls::ClientConfig, ConfigError> {
    let builder = builder()?;
    let builder = match &files.ca_file {
        None => builder.with_platform_verifier().map_err(unusable)?,
        Some(path) => {
            let verifier = trust::Verifier::of(pem::ca_certificates(path)?, provider())
                .map_err(|problem| pem::invalid_ca(path, problem))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match (&files.client_certificate_file, &files.client_key_file) {
        (None, None) => builder.with_no_client_auth(),
        (None, Some(key)) => return Err(pem::invalid_key(key, "it is given without a client certificate")),
        (Some(certificate), key) => {
            let key = key.as_ref().unwrap_or(certificate);
            let chain = pem::client_certificates(certificate)?;
            builder
                .with_client_auth_cert(chain, pem::client_key(key)?)
                .map_err(|error| pem::invalid_client_certificate(certificate, error))?
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn builder() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier>, ConfigError> {
    rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(unusable)
}

/// An endpoint that TLS cannot be set up for.
pub(super) fn unusable(problem: impl ToString) -> ConfigError {
    let problem = format!("TLS cannot be set up: {}", problem.to_string());
    ConfigError {
        setting: Setting::Endpoint,
        value: None,
        problem,
        accepted: "an endpoint without TLS, or certificates to trust",
    }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    let TlsFiles { ca_file, client_certificate_file, client_key_file } = files;
    [ca_file, client_certificate_file, client_key_file].into_iter().flatten().map(PathBuf::as_path).map(stamp).collect()
}

fn stamp(path: &Path) -> Stamp {
    let Ok(metadata) = path.metadata() else { return Stamp { modified: None, len: None, inode: None } };
    #[cfg(unix)]
    let inode = Some(std::os::unix::fs::MetadataExt::ino(&metadata));
    #[cfg(not(unix))]
    let inode = None;
    Stamp { modified: metadata.modified().ok(), len: Some(metadata.len()), inode }
}
