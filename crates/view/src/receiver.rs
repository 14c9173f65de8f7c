//! The receiver: binds, serves, and prints what is pending before it ends.

use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::ReceiverConfig;
use crate::error::ReceiverError;
use crate::{grpc, http, printer};

/// How long requests that are under way at shutdown may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long what was received may take to be printed at shutdown: the reader of the output may have stopped reading.
const PRINT_TIMEOUT: Duration = Duration::from_secs(2);

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
