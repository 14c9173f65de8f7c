//! The configuration of a client.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::compression::Compression;
use super::grpc_codes::GrpcCodes;
use super::secrets::without_secrets;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
    /// The specification's JSON mapping of the same messages.
    HttpJson,
}

impl Protocol {
    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Grpc => "gRPC",
            Protocol::HttpProtobuf | Protocol::HttpJson => "HTTP",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    /// Where receivers of OTLP/HTTP take it.
    pub(super) fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    pub(super) fn grpc_path(self) -> &'static str {
        match self {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        })
    }
}

#[derive(Clone)]
pub struct ClientConfig {
    pub signal: Signal,
    pub protocol: Protocol,
    /// HTTP: the signal's full URL, used verbatim; user info in it is sent as basic authentication. gRPC:
    /// `scheme://host:port` or `scheme://host:port,host:port`, where `http` means plaintext and `https` TLS and a path is
    /// ignored, or a socket as `unix:path`, `unix:///absolute/path` or, on Linux, `unix-abstract:name`. An IPv6 address
    /// of a link has its zone behind `%` or `%25`.
    pub endpoint: String,
    /// Sent with every request. They override the client's own, the user agent included, but not what describes the
    /// connection or the message's framing. Of two with one name the last wins over HTTP; gRPC sends both. The values
    /// are secrets.
    pub headers: Vec<(String, Vec<u8>)>,
    /// For one export, all its attempts and the waits between them included.
    pub timeout: Duration,
    pub compression: Compression,
    pub user_agent: String,
    /// Not read unless the endpoint's scheme is https.
    pub tls: TlsFiles,
    /// gRPC: tried again, in place of the specification's. UNAVAILABLE stands for what the connection may meet, too.
    pub retryable_codes: Option<GrpcCodes>,
    /// The proxy's address, a secret in part; empty for none. None: by the environment.
    pub proxy: Option<String>,
}

/// Files with PEM. They are read when the client is made and again when they have changed; connections made from then
/// on use what they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates to trust, in place of the system's. None: the system's.
    pub trusted: Vec<TrustedFile>,
    /// The client's certificate, its own first and then its issuers'.
    pub client_certificate_file: Option<PathBuf>,
    /// The private key of that certificate. None: it is in the same file.
    pub client_key_file: Option<PathBuf>,
}

/// A file of certificates to trust, or a folder of such files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedFile {
    pub path: PathBuf,
    /// The variable or argument that names it, for messages.
    pub source: String,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("ClientConfig")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("endpoint", &without_secrets(&self.endpoint))
            .field("header_names", &names)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("user_agent", &self.user_agent)
            .field("tls", &self.tls)
            .field("retryable_codes", &self.retryable_codes)
            .field("proxy", &self.proxy.as_deref().map(without_secrets))
            .finish()
    }
}
