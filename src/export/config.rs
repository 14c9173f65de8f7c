//! An exporter's configuration as Python hands it over, and the error for one that cannot be used.

use std::path::PathBuf;
use std::time::Duration;

use otel_rs_core::client::{self, ClientConfig, Compression, GrpcCodes, Protocol, Signal, TlsFiles, TrustedFile};
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::py::attributes::from_attributes;

/// `otel_rs.exporter.otlp._config.ExporterConfig`, whose settings have been checked there.
pub struct ExporterConfig {
    signal: String,
    protocol: String,
    endpoint: String,
    headers: Vec<(String, Vec<u8>)>,
    timeout: f64,
    compression: String,
    user_agent: String,
    /// Path and source of each file or folder with certificates to trust.
    certificate_files: Vec<(PathBuf, String)>,
    client_key_file: Option<PathBuf>,
    client_certificate_file: Option<PathBuf>,
    /// Of one request of metrics.
    pub max_data_points: Option<usize>,
    /// In bytes, before compression.
    pub max_request_size: Option<usize>,
    /// gRPC's.
    retryable_codes: Option<Vec<u32>>,
    proxy: Option<String>,
}

impl<'py> FromPyObject<'_, 'py> for ExporterConfig {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(from_attributes!(
            object,
            signal,
            protocol,
            endpoint,
            headers,
            timeout,
            compression,
            user_agent,
            certificate_files,
            client_key_file,
            client_certificate_file,
            max_data_points,
            max_request_size,
            retryable_codes,
            proxy,
        ))
    }
}

impl ExporterConfig {
    pub fn client(&self) -> PyResult<ClientConfig> {
        let compressions = [Compression::None, Compression::Gzip, Compression::Deflate, Compression::Zstd];
        let timeout = Duration::try_from_secs_f64(self.timeout).map_err(|_| {
            PyValueError::new_err(format!("timeout is {}; accepted: seconds, zero or more", self.timeout))
        })?;
        let retryable_codes = self.retryable_codes.as_deref().map(|codes| {
            let unknown = || PyValueError::new_err(format!("retryable_codes is {codes:?}; accepted: gRPC's, 0 to 16"));
            GrpcCodes::new(codes).ok_or_else(unknown)
        });
        let trusted = self.certificate_files.iter().cloned();
        let trusted = trusted.map(|(path, source)| TrustedFile { path, source });
        Ok(ClientConfig {
            signal: named("signal", &self.signal, [Signal::Traces, Signal::Metrics, Signal::Logs], Signal::to_string)?,
            protocol: named(
                "protocol",
                &self.protocol,
                [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson],
                |protocol| protocol.name().to_owned(),
            )?,
            endpoint: self.endpoint.clone(),
            headers: self.headers.clone(),
            timeout,
            compression: named("compression", &self.compression, compressions, Compression::to_string)?,
            user_agent: self.user_agent.clone(),
            tls: TlsFiles {
                trusted: trusted.collect(),
                client_key_file: self.client_key_file.clone(),
                client_certificate_file: self.client_certificate_file.clone(),
            },
            retryable_codes: retryable_codes.transpose()?,
            proxy: self.proxy.clone(),
        })
    }
}

/// The one of them that has the name.
fn named<T, const N: usize>(setting: &str, value: &str, all: [T; N], name: impl Fn(&T) -> String) -> PyResult<T> {
    let accepted = all.each_ref().map(&name).join(", ");
    let found = all.into_iter().find(|one| name(one) == value);
    found.ok_or_else(|| PyValueError::new_err(format!("{setting} is {value:?}; accepted: {accepted}")))
}

/// A setting that no request could be sent with.
#[pyclass(extends = PyValueError, frozen, module = "otel_rs._native")]
pub struct ConfigError {
    /// The exporters' argument: `endpoint`, `headers`, `user_agent`, `compression`, `certificate_file`,
    /// `client_certificate_file` or `client_key_file`.
    #[pyo3(get)]
    setting: String,
    /// As it may be shown, without secrets; None for what is a secret.
    #[pyo3(get)]
    value: Option<String>,
    #[pyo3(get)]
    problem: String,
    /// What is accepted, in words.
    #[pyo3(get)]
    accepted: String,
}

#[pymethods]
impl ConfigError {
    #[new]
    fn new(setting: String, value: Option<String>, problem: String, accepted: String) -> Self {
        Self { setting, value, problem, accepted }
    }

    fn __str__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let ConfigError { setting, value, problem, accepted } = slf.get();
        let value = value.as_ref().map(|value| PyResult::Ok(format!(" is {}", value.into_pyobject(slf.py())?.repr()?)));
        Ok(format!("{setting}{}: {problem}; accepted: {accepted}", value.transpose()?.unwrap_or_default()))
    }
}

pub fn config_error(error: client::ConfigError) -> PyErr {
    let client::ConfigError { setting, value, problem, accepted } = error;
    PyErr::new::<ConfigError, _>((setting.argument(), value, problem, accepted))
}
