//! Why no request could be sent with a configuration.

use std::fmt;
use std::path::Path;

/// The setting of a configuration that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Endpoint,
    Headers,
    UserAgent,
    Compression,
    /// The file with the certificates to trust.
    CertificateFile,
    ClientCertificateFile,
    ClientKeyFile,
}

impl Setting {
    /// The exporters' argument of this setting.
    pub fn argument(self) -> &'static str {
        match self {
            Setting::Endpoint => "endpoint",
            Setting::Headers => "headers",
            Setting::UserAgent => "user_agent",
            Setting::Compression => "compression",
            Setting::CertificateFile => "certificate_file",
            Setting::ClientCertificateFile => "client_certificate_file",
            Setting::ClientKeyFile => "client_key_file",
        }
    }
}

/// A setting that no request could be sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub setting: Setting,
    /// As it may be shown: without secrets, and nothing of a file's contents. None for what is a secret.
    pub value: Option<String>,
    pub problem: String,
    pub accepted: &'static str,
}

impl ConfigError {
    pub(super) fn of_file(
        setting: Setting,
        path: &Path,
        problem: impl Into<String>,
        accepted: &'static str,
    ) -> ConfigError {
        ConfigError { setting, value: Some(path.display().to_string()), problem: problem.into(), accepted }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.setting.argument())?;
        if let Some(value) = &self.value {
            write!(f, " is {value:?}")?;
        }
        write!(f, ": {}; accepted: {}", self.problem, self.accepted)
    }
}

impl std::error::Error for ConfigError {}
