//! What a client is told, and what can be wrong with it.

use std::fmt;
use std::time::Duration;

use super::compression::Compression;
use super::endpoint;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    HttpProtobuf,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Grpc => "gRPC",
            Protocol::HttpProtobuf => "HTTP",
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
    /// HTTP: the signal's full URL, used verbatim. gRPC: `scheme://host:port`, where `http` means plaintext and `https`
    /// TLS; a path is ignored.
    pub endpoint: String,
    /// Sent with every request. They override the client's own, the user agent included, but not what describes the
    /// connection or the message's framing. Of two with one name the last wins. The values are secrets.
    pub headers: Vec<(String, String)>,
    /// For one export, all its attempts and the waits between them included.
    pub timeout: Duration,
    pub compression: Compression,
    /// gRPC appends the name of its library.
    pub user_agent: String,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("ClientConfig")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("endpoint", &endpoint::without_secrets(&self.endpoint))
            .field("header_names", &names)
            .field("timeout", &self.timeout)
            .field("compression", &self.compression)
            .field("user_agent", &self.user_agent)
            .finish()
    }
}

/// A configuration that no request could be sent with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    Endpoint {
        /// Without user info, query and fragment.
        endpoint: String,
        problem: String,
        accepted: &'static str,
    },
    HeaderName {
        name: String,
    },
    HeaderValue {
        name: String,
    },
    Tls {
        problem: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Endpoint { endpoint, problem, accepted } => {
                write!(f, "invalid OTLP endpoint {endpoint:?}: {problem}; accepted: {accepted}")
            }
            ConfigError::HeaderName { name } => {
                write!(f, "invalid OTLP header name {name:?}; accepted: letters, digits and any of !#$%&'*+-.^_`|~")
            }
            ConfigError::HeaderValue { name } => {
                write!(f, "invalid value of the OTLP header {name:?}; accepted: text without control characters")
            }
            ConfigError::Tls { problem } => write!(f, "TLS cannot be set up: {problem}"),
        }
    }
}

impl std::error::Error for ConfigError {}
