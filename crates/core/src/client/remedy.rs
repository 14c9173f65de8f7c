//! What to change after a failed export: the last words of its line. All of them are here.
//!
//! `docs/troubleshooting.md` explains each message; a test compares.

use tonic::Code;

use super::compression::Compression;
use super::config::{ClientConfig, Protocol, Signal};
use super::endpoint::{Endpoint, Target};
use super::greeting::Speech;

/// What a failure says about its remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clue {
    /// An HTTP status that refuses the request.
    Http(u16),
    /// A gRPC code that refuses the call.
    Grpc(Code),
    /// The server speaks this, and the client another protocol, or no TLS.
    Speaks(Speech),
    /// The server does not speak TLS, and the client does.
    NoTls,
    /// A server of HTTP that knows no gRPC.
    NotGrpc,
    /// The connection is lost, and the server has never said anything over it that is known.
    Unheard,
    /// The handshake of TLS broke off, and the server has not said why.
    NoHandshake,
    /// Nobody listens at the address.
    Refused,
    /// No answer in time.
    Timeout,
    UnknownName,
    /// The proxy's status, to the request for a way through it.
    ProxyStatus(u16),
    /// The server would take a smaller request.
    TooLarge,
}

/// What a remedy depends on.
pub(super) struct Circumstances {
    protocol: Protocol,
    signal: Signal,
    compression: Compression,
    is_tls: bool,
    /// The client has a certificate to show.
    has_certificate: bool,
    /// Empty for a socket.
    host: String,
    port: Option<u16>,
    /// Of HTTP.
    path: String,
    /// Host and port.
    proxy: Option<String>,
}

/// The usual ones.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

const HTTP_PROTOCOL: &str = "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or the endpoint to the receiver's port for \
                             gRPC, usually 4317";
const GRPC_PROTOCOL: &str =
    "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or the endpoint to the receiver's port for HTTP, usually 4318";
const CREDENTIALS: &str = "OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer%20TOKEN";

impl Circumstances {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint, proxy: Option<String>) -> Circumstances {
        let (host, port, path) = match endpoint {
            Endpoint::Url(Target { url, .. }) => (url.host_str().unwrap_or_default(), url.port(), url.path()),
            Endpoint::Unix(_) => ("", None, ""),
        };
        let ClientConfig { protocol, signal, compression, .. } = *config;
        let (host, path, is_tls) = (host.to_owned(), path.to_owned(), endpoint.is_tls());
        let has_certificate = config.tls.client_certificate_file.is_some();
        Circumstances { protocol, signal, compression, is_tls, has_certificate, host, port, path, proxy }
    }

    pub fn remedy(&self, clue: Clue) -> String {
        match clue {
            Clue::Http(status) => self.of_status(status),
            Clue::Grpc(code) => self.of_code(code),
            Clue::Speaks(Speech::Tls) => "begin the endpoint with https://".to_owned(),
            Clue::Speaks(Speech::Http1) | Clue::NotGrpc => HTTP_PROTOCOL.to_owned(),
            Clue::Speaks(Speech::Http2) => GRPC_PROTOCOL.to_owned(),
            Clue::Unheard => self.of_silence(),
            Clue::NoTls => "begin the endpoint with http://".to_owned(),
            Clue::NoHandshake => "if it is without TLS, begin the endpoint with http://".to_owned(),
            Clue::Refused => self.where_nobody_listens(),
            Clue::Timeout => format!(
                "check host and port of {}, and firewalls; a slow receiver needs a larger OTEL_EXPORTER_OTLP_TIMEOUT",
                self.proxy.as_deref().map_or("the endpoint", |_| "the proxy and the endpoint")
            ),
            Clue::UnknownName => format!(
                "check the host in {}, and whether this machine or container can look it up",
                self.proxy.as_deref().map_or("the endpoint", |_| "the proxy's address")
            ),
            Clue::ProxyStatus(status) => self.of_proxy(status),
            Clue::TooLarge => "raise the receiver's limit, or lower OTEL_RS_EXPORTER_MAX_REQUEST_BYTES".to_owned(),
        }
    }

    fn of_silence(&self) -> String {
        match (self.protocol, self.port) {
            (Protocol::Grpc, Some(HTTP_PORT)) => return HTTP_PROTOCOL.to_owned(),
            (Protocol::HttpProtobuf | Protocol::HttpJson, Some(GRPC_PORT)) => return GRPC_PROTOCOL.to_owned(),
            _ => {}
        }
        // Servers that close the connection instead of saying so.
        let why = match (self.is_tls, self.has_certificate) {
            (false, _) => "the port may be for TLS (begin the endpoint with https://) or",
            (true, false) => {
                "the server may want a client certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
                 OTEL_EXPORTER_OTLP_CLIENT_KEY), or the port may be"
            }
            (true, true) => {
                "the server may refuse the certificate in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, or the port may be"
            }
        };
        format!(
            "if this goes on, {why} for another protocol (OTEL_EXPORTER_OTLP_PROTOCOL is {}; usual ports are \
             4317 for grpc, 4318 for http/protobuf)",
            self.protocol.name()
        )
    }

    fn of_status(&self, status: u16) -> String {
        match status {
            300..400 => "set the endpoint to the address that it redirects to".to_owned(),
            400 => format!("check that the endpoint is an OTLP receiver of {}", self.signal),
            401 => format!("set credentials that the receiver takes in {CREDENTIALS}"),
            403 => format!("give the credentials in {CREDENTIALS}, the right to send {}", self.signal),
            404 | 405 => self.of_path(),
            407 => self.of_proxy(status),
            413 => self.remedy(Clue::TooLarge),
            415 => self.of_content(),
            429 => self.of_rate(),
            _ => "the receiver's own log says more".to_owned(),
        }
    }

    fn of_code(&self, code: Code) -> String {
        match code {
            Code::Unauthenticated => self.of_status(401),
            Code::PermissionDenied => self.of_status(403),
            Code::ResourceExhausted => self.of_status(429),
            Code::InvalidArgument => self.of_status(400),
            Code::Unimplemented => format!(
                "check that the endpoint is the port for gRPC, usually {GRPC_PORT}, of a receiver of {signal}; if there is \
                 none, set OTEL_{name}_EXPORTER to none",
                signal = self.signal,
                name = self.signal.to_string().to_uppercase()
            ),
            _ => self.of_status(500),
        }
    }

    /// Nothing is at the path, or something else.
    fn of_path(&self) -> String {
        let expected = self.signal.http_path();
        let variable = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", self.signal.to_string().to_uppercase());
        let path = self.path.trim_end_matches('/');
        let doubled = path.strip_suffix(expected).and_then(|rest| {
            let signals = [Signal::Traces, Signal::Metrics, Signal::Logs];
            signals.map(Signal::http_path).into_iter().find(|path| rest.ends_with(path))
        });
        if let Some(first) = doubled {
            return format!("write OTEL_EXPORTER_OTLP_ENDPOINT without {first}: {expected} is put behind it");
        }
        match path.ends_with(expected) {
            true => format!("check the path, and that the endpoint is an OTLP/HTTP receiver of {}", self.signal),
            false => format!(
                "write the path, usually {expected}, into {variable}, which is used as it is, or set \
                 OTEL_EXPORTER_OTLP_ENDPOINT instead, behind which it is put"
            ),
        }
    }

    fn of_content(&self) -> String {
        let other = match self.protocol {
            Protocol::HttpJson => "http/protobuf",
            Protocol::HttpProtobuf | Protocol::Grpc => "http/json",
        };
        // gRPC's servers answer so to what is not gRPC.
        let protocol = format!(
            "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc if the port is for it, as {GRPC_PORT} usually is, else to {other}"
        );
        match self.compression {
            Compression::None => protocol,
            _ => format!("set OTEL_EXPORTER_OTLP_COMPRESSION to none; if that is not it, {protocol}"),
        }
    }

    fn of_rate(&self) -> String {
        let less = match self.signal {
            Signal::Traces => "OTEL_TRACES_SAMPLER=parentbased_traceidratio and OTEL_TRACES_SAMPLER_ARG=0.1",
            Signal::Metrics => "a longer OTEL_METRIC_EXPORT_INTERVAL",
            Signal::Logs => "a higher level of the program's loggers",
        };
        format!("raise the receiver's limit, or send less, as by {less}")
    }

    fn of_proxy(&self, status: u16) -> String {
        let proxy = self.proxy.as_deref().unwrap_or("HOST:PORT");
        match status {
            407 => format!("write user and password into the proxy's address: http://USER:PASSWORD@{proxy}"),
            _ => format!("let the proxy allow {}, or go without it by no_proxy={}", self.host, self.host),
        }
    }

    fn where_nobody_listens(&self) -> String {
        if let Some(proxy) = &self.proxy {
            return format!("start the proxy at {proxy}, or go without it by no_proxy={}", self.host);
        }
        let port = match self.protocol {
            Protocol::Grpc => GRPC_PORT,
            Protocol::HttpProtobuf | Protocol::HttpJson => HTTP_PORT,
        };
        let is_local = ["localhost", "127.0.0.1", "[::1]"].contains(&&*self.host);
        let container = if is_local { "; in a container, localhost is the container itself" } else { "" };
        format!(
            "start a receiver there, or set OTEL_EXPORTER_OTLP_ENDPOINT to where one listens, usually at port \
             {port}{container}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_at_the_other_protocols_usual_port_is_explained_by_it() {
        let circumstances = |protocol, port| Circumstances {
            protocol,
            signal: Signal::Traces,
            compression: Compression::None,
            is_tls: false,
            has_certificate: false,
            host: String::new(),
            port: Some(port),
            path: String::new(),
            proxy: None,
        };
        assert_eq!(circumstances(Protocol::Grpc, 4318).remedy(Clue::Unheard), HTTP_PROTOCOL);
        assert_eq!(circumstances(Protocol::HttpProtobuf, 4317).remedy(Clue::Unheard), GRPC_PROTOCOL);
        assert!(circumstances(Protocol::Grpc, 4317).remedy(Clue::Unheard).starts_with("if this goes on"));
    }

    #[test]
    fn the_path_of_another_signal_is_doubled_too() {
        let circumstances = Circumstances {
            protocol: Protocol::HttpProtobuf,
            signal: Signal::Metrics,
            compression: Compression::None,
            is_tls: false,
            has_certificate: false,
            host: String::new(),
            port: None,
            path: "/v1/traces/v1/metrics".to_owned(),
            proxy: None,
        };
        let remedy = "write OTEL_EXPORTER_OTLP_ENDPOINT without /v1/traces: /v1/metrics is put behind it";
        assert_eq!(circumstances.remedy(Clue::Http(404)), remedy);
    }
}
