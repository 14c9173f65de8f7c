//! The embedded OTLP receiver behind `otel-rs view`: what a developer starts when no collector is at hand.
//!
//! It listens for OTLP over gRPC and HTTP, answers as a collector does, and prints what arrives: traces as trees, or
//! every request as one line of OTLP/JSON. Nothing is stored and nothing is forwarded.
//!
//! What it is sent is untrusted: requests are bounded in size, waiting spans are bounded in number and bytes, and no
//! control character of a peer reaches the terminal.

mod attributes;
mod grpc;
mod http;
mod intake;
mod json;
mod pending;
mod printer;
mod summary;
mod text;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use text::Paint;

pub const DEFAULT_GRPC_ADDRESS: &str = "127.0.0.1:4317";
pub const DEFAULT_HTTP_ADDRESS: &str = "127.0.0.1:4318";
pub const DEFAULT_MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// How long requests that are under way at shutdown may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long what was received may take to be printed at shutdown: the reader of the output may have stopped reading.
const PRINT_TIMEOUT: Duration = Duration::from_secs(2);

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Each trace as a tree, metrics and logs in short.
    Tree(Paint),
    /// Each request as one line of OTLP/JSON.
    Json,
}

#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// `HOST:PORT` of the gRPC server; `None` turns it off, port 0 lets the system choose.
    pub grpc: Option<String>,
    /// `HOST:PORT` of the HTTP server; `None` turns it off, port 0 lets the system choose.
    pub http: Option<String>,
    pub format: Format,
    /// The largest request that is accepted, in bytes; holds before and after decompression.
    pub max_request_bytes: usize,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            grpc: Some(DEFAULT_GRPC_ADDRESS.to_owned()),
            http: Some(DEFAULT_HTTP_ADDRESS.to_owned()),
            format: Format::Tree(Paint::PLAIN),
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
        }
    }
}

#[derive(Debug)]
pub enum ReceiverError {
    /// Both servers are turned off.
    NoListener,
    /// A server could not listen on the address it was given.
    Listen { protocol: &'static str, address: String, source: io::Error },
    /// A server ended without being asked to.
    Serve { protocol: &'static str, message: String },
    /// What was received could not be printed.
    Output(io::Error),
    /// The system refused something else the receiver needs.
    Io(io::Error),
}

impl fmt::Display for ReceiverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => f.write_str("both grpc and http are off: nothing to listen on"),
            Self::Listen { protocol, address, source } => {
                // The kind says it in plain words; the operating system's own wording stands in where there is none.
                match source.kind() {
                    io::ErrorKind::AddrInUse => {
                        write!(f, "cannot listen on {protocol} {address}: address in use")
                    }
                    _ => write!(f, "cannot listen on {protocol} {address}: {source}"),
                }
            }
            Self::Serve { protocol, message } => {
                write!(f, "the {protocol} server stopped: {message}")
            }
            Self::Output(source) => write!(f, "cannot print what was received: {source}"),
            Self::Io(source) => source.fmt(f),
        }
    }
}

impl std::error::Error for ReceiverError {}

/// The sockets of a receiver: bound, so that the ports are known and taken, but not yet served.
pub struct Receiver {
    config: ReceiverConfig,
    grpc: Option<TcpListener>,
    http: Option<TcpListener>,
}

impl Receiver {
    pub fn bind(config: ReceiverConfig) -> Result<Self, ReceiverError> {
        let grpc = config.grpc.as_deref().map(|address| listen("grpc", address)).transpose()?;
        let http = config.http.as_deref().map(|address| listen("http", address)).transpose()?;
        if grpc.is_none() && http.is_none() {
            return Err(ReceiverError::NoListener);
        }
        Ok(Self { config, grpc, http })
    }

    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is ready or the reader of `out` has gone; prints what is pending before it returns.
    ///
    /// Needs a tokio runtime with I/O and time enabled.
    pub async fn serve(
        self,
        out: impl Write + Send + 'static,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ReceiverError> {
        let (intake, mut printed) = printer::start(self.config.format, out).map_err(ReceiverError::Io)?;
        let (stop, stopped) = watch::channel(());
        let mut servers = JoinSet::new();
        if let Some(listener) = self.grpc {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ReceiverError::Io)?;
            servers.spawn(grpc::serve(listener, intake.clone(), self.config.max_request_bytes, closed(&stopped)));
        }
        if let Some(listener) = self.http {
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ReceiverError::Io)?;
            servers.spawn(http::serve(listener, intake.clone(), self.config.max_request_bytes, closed(&stopped)));
        }
        drop(stopped);

        let mut outcome = Ok(());
        tokio::select! {
            () = shutdown => {}
            end = &mut printed => return printer_end(end),
            Some(end) = servers.join_next() => {
                outcome = end.unwrap_or_else(|panic| {
                    Err(ReceiverError::Serve { protocol: "OTLP", message: panic.to_string() })
                });
            }
        }

        drop(stop);
        // Whoever is still sending after this is cut off: the peer sees a failed export and may send it elsewhere.
        let _ = timeout(DRAIN_TIMEOUT, async { while servers.join_next().await.is_some() {} }).await;
        servers.abort_all();
        intake.finish();
        let printed = match timeout(PRINT_TIMEOUT, printed).await {
            Ok(end) => printer_end(end),
            Err(_) => Err(ReceiverError::Output(io::ErrorKind::TimedOut.into())),
        };
        outcome.and(printed)
    }
}

fn listen(protocol: &'static str, address: &str) -> Result<TcpListener, ReceiverError> {
    let failed = |source| ReceiverError::Listen { protocol, address: address.to_owned(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Ready once the sender of `stopped` is gone.
fn closed(stopped: &watch::Receiver<()>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stopped.clone();
    async move { while stopped.changed().await.is_ok() {} }
}

fn printer_end(end: Result<io::Result<()>, tokio::sync::oneshot::error::RecvError>) -> Result<(), ReceiverError> {
    match end {
        Ok(Ok(())) => Ok(()),
        // `otel-rs view | head` is a normal way to end.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Ok(Err(error)) => Err(ReceiverError::Output(error)),
        Err(_) => Err(ReceiverError::Output(io::Error::other("the printing thread panicked"))),
    }
}
