//! What a receiver listens on, takes and prints.

use std::time::Duration;

use crate::screen::Screen;

pub const DEFAULT_GRPC_ADDRESS: &str = "127.0.0.1:4317";
pub const DEFAULT_HTTP_ADDRESS: &str = "127.0.0.1:4318";

const MIB: usize = 1024 * 1024;

/// What peers may make the receiver hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one request, as sent and after decompression.
    pub request_bytes: usize,
    /// Of requests as they are received, all together.
    pub bodies_bytes: usize,
    /// In memory after decoding: one request, and all that wait to be printed.
    pub decoded_bytes: usize,
    /// Of each server.
    pub connections: usize,
    /// How long a request's head may take, from the connection's beginning or from its own first byte.
    pub head: Duration,
    /// How long a request's body may take.
    pub read: Duration,
    /// How long a connection may be without a request. This and `head` are more than the usual 5 s between two exports
    /// of spans, and no interval that anybody sets: no exporter sends just as its connection closes.
    pub idle: Duration,
    /// The same where another connection wants the place. Long enough for a new one to send its request.
    pub idle_when_full: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 16 * MIB,
            bodies_bytes: 48 * MIB,
            decoded_bytes: 64 * MIB,
            connections: 128,
            head: Duration::from_secs(7),
            read: Duration::from_secs(10),
            idle: Duration::from_secs(23),
            idle_when_full: Duration::from_millis(500),
        }
    }
}

/// How what is received is shown.
#[derive(Clone, Debug)]
pub enum Format {
    /// For a person: each trace with its log records, other records, metrics.
    Terminal(Screen),
    /// Each request as one line of OTLP/JSON.
    Json,
    /// Not printed, but kept for the page.
    Page,
}

#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// `HOST:PORT` of the gRPC server; `None` turns it off, port 0 lets the system choose.
    pub grpc: Option<String>,
    /// `HOST:PORT` of the HTTP server; `None` turns it off, port 0 lets the system choose.
    pub http: Option<String>,
    /// The same for a server that takes both protocols.
    pub both: Option<String>,
    /// The same for the page.
    pub page: Option<String>,
    /// A file with lines of OTLP/JSON, or `-` for stdin.
    pub file: Option<String>,
    pub format: Format,
    /// Names by which peers may address it besides loopback's and those that it listens on.
    pub allowed_hosts: Vec<String>,
    pub limits: Limits,
    /// Whether a request is answered once it is printed, rather than once it waits for that.
    pub answers_when_printed: bool,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            grpc: Some(DEFAULT_GRPC_ADDRESS.to_owned()),
            http: Some(DEFAULT_HTTP_ADDRESS.to_owned()),
            both: None,
            page: None,
            file: None,
            format: Format::Terminal(Screen::default()),
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
            answers_when_printed: false,
        }
    }
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Http,
    /// Whichever of the two the peer speaks.
    Both,
    /// No OTLP at all: the page.
    Page,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Both => "otlp",
            Self::Page => "web",
        }
    }
}

impl ReceiverConfig {
    pub fn addresses(&self) -> impl Iterator<Item = (Protocol, &str)> {
        let addresses = [
            (Protocol::Grpc, &self.grpc),
            (Protocol::Http, &self.http),
            (Protocol::Both, &self.both),
            (Protocol::Page, &self.page),
        ];
        addresses.into_iter().filter_map(|(protocol, address)| Some((protocol, address.as_deref()?)))
    }
}
