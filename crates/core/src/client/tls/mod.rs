//! The TLS set-up of both protocols: rustls, the certificates it trusts, and the one it shows.

mod alert;
mod certificate;
mod identity;
mod once;
mod pem;
mod refusal;
mod trust;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::aws_lc_rs;

use self::identity::Identity;
use self::trust::Trusted;
use self::verifier::Verifier;
use super::config::TlsFiles;
use super::config_error::{ConfigError, Setting};

pub(super) use self::alert::{Meaning, meaning};
pub(super) use self::refusal::noted;

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
    /// The client's certificate, in words, if it has one.
    pub identity: Option<Arc<str>>,
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
        let settings = configure(files, alpn)?;
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
                Ok(settings) => {
                    let generation = state.settings.generation + 1;
                    state.settings = Settings { generation, ..settings };
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

/// The settings that the files make, as the first generation.
fn configure(files: &TlsFiles, alpn: &[u8]) -> Result<Settings, ConfigError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = match files.trusted.is_empty() {
        true => Verifier::of_the_system(Arc::clone(&provider)),
        false => Verifier::of(Trusted::of_files(&files.trusted)?, Arc::clone(&provider)),
    };
    let verifier = Arc::new(verifier.map_err(unusable)?);
    let identity = match (&files.client_certificate_file, &files.client_key_file) {
        (None, None) => None,
        (None, Some(key)) => return Err(identity::key_alone(key)),
        (Some(certificate), key) => Some(Identity::load(certificate, key.as_deref(), &provider)?),
    };
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let (mut config, identity) = match identity {
        None => (builder.with_no_client_auth(), None),
        Some(Identity { resolver, described }) => {
            (builder.with_client_cert_resolver(resolver), Some(Arc::from(described)))
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Settings { generation: 0, config: Arc::new(config), identity })
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
    let TlsFiles { trusted, client_certificate_file, client_key_file } = files;
    let trusted = trusted.iter().map(|file| &file.path);
    let paths: Vec<&PathBuf> = trusted.chain(client_certificate_file).chain(client_key_file).collect();
    // A folder changes when files come and go, and these when they are written.
    let in_folders = paths.iter().filter(|path| path.is_dir()).flat_map(|path| pem::files(path).unwrap_or_default());
    let in_folders: Vec<PathBuf> = in_folders.collect();
    paths.into_iter().chain(&in_folders).map(|path| stamp(path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let Ok(metadata) = path.metadata() else { return Stamp { modified: None, len: None, inode: None } };
    #[cfg(unix)]
    let inode = Some(std::os::unix::fs::MetadataExt::ino(&metadata));
    #[cfg(not(unix))]
    let inode = None;
    Stamp { modified: metadata.modified().ok(), len: Some(metadata.len()), inode }
}
