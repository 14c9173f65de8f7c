//! The receiver: binds, serves, and prints what is pending before it ends.

use std::future::Future;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::body::BodyReader;
use crate::complaints::Complaints;
use crate::config::{Format, Protocol, ReceiverConfig};
use crate::error::ReceiverError;
use crate::hosts::Hosts;
use crate::intake::Intake;
use crate::lines;
use crate::printer;
use crate::server::{self, Service};

/// How long requests that are under way at shutdown may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long what was received may take to be printed at shutdown: the reader of the output may have stopped reading.
const PRINT_TIMEOUT: Duration = Duration::from_secs(2);

/// How a receiver is to end.
pub enum End {
    /// Once the requests that are under way are answered and everything is printed, or soon.
    Gracefully,
    /// The reader of the output is gone: nothing can be printed, and nobody waits.
    AtOnce,
}

/// The sockets of a receiver: bound, so that the ports are known and taken, but not yet served.
pub struct Receiver {
    config: ReceiverConfig,
    listeners: Vec<(Protocol, TcpListener)>,
}

impl Receiver {
    pub fn bind(config: ReceiverConfig) -> Result<Self, ReceiverError> {
        let listeners = config.addresses().map(|(protocol, address)| Ok((protocol, listen(protocol, address)?)));
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        if config.file.is_none() && listeners.iter().all(|(protocol, _)| *protocol == Protocol::Page) {
            return Err(ReceiverError::NoListener);
        }
        Ok(Self { config, listeners })
    }

    pub fn addr(&self, protocol: Protocol) -> Option<SocketAddr> {
        let listener = self.listeners.iter().find(|(served, _)| *served == protocol);
        listener.and_then(|(_, listener)| listener.local_addr().ok())
    }

    /// Serves until `shutdown` is ready or the reader of `out` has gone; prints what is pending before it returns.
    /// Lines about requests that are refused go to `err`.
    ///
    /// Needs a tokio runtime with I/O and time enabled.
    pub async fn serve(
        self,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        shutdown: impl Future<Output = End>,
    ) -> Result<(), ReceiverError> {
        let config = self.config.clone();
        let (intake, mut printed) =
            printer::start(config.format.clone(), config.limits, config.answers_when_printed, out, err)
                .map_err(ReceiverError::Io)?;
        let complaints = Complaints::new(intake.clone());
        let (stop, stopped) = watch::channel(());
        let mut servers = self.start(&intake, &complaints, &stopped)?;
        drop(stopped);

        let mut outcome = Ok(());
        tokio::select! {
            end = shutdown => if let End::AtOnce = end {
                return Ok(());
            },
            end = &mut printed => return printer_end(end),
            end = read(&config, &intake) => outcome = end,
            Some(end) = servers.join_next() => {
                let message = end.err().map_or_else(|| "it ended by itself".to_owned(), |panic| panic.to_string());
                outcome = Err(ReceiverError::Serve { protocol: "OTLP", message });
            }
        }

        drop(stop);
        // Whoever is still sending after this is cut off: the peer sees a failed export and may send it elsewhere.
        let _ = timeout(DRAIN_TIMEOUT, async { while servers.join_next().await.is_some() {} }).await;
        servers.abort_all();
        complaints.tell_rest();
        intake.finish();
        let printed = match timeout(PRINT_TIMEOUT, printed).await {
            Ok(end) => printer_end(end),
            Err(_) => Err(ReceiverError::Output(io::ErrorKind::TimedOut.into())),
        };
        outcome.and(printed)
    }

    fn start(
        self,
        intake: &Intake,
        complaints: &Complaints,
        stopped: &watch::Receiver<()>,
    ) -> Result<JoinSet<()>, ReceiverError> {
        let (grpc, http) = (self.addr(Protocol::Grpc), self.addr(Protocol::Http));
        let ReceiverConfig { limits, allowed_hosts, .. } = &self.config;
        let hosts = Hosts::new(self.config.addresses().map(|(_, address)| address), allowed_hosts);
        let bodies = BodyReader::new(*limits);
        let mut servers = JoinSet::new();
        for (protocol, listener) in self.listeners {
            let (other_name, other) = match protocol {
                Protocol::Grpc => ("OTLP/HTTP", http),
                _ => ("OTLP/gRPC", grpc),
            };
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ReceiverError::Io)?;
            let other = match other {
                Some(address) => format!("{other_name} goes to http://{address}"),
                None => format!("{other_name} is off"),
            };
            let service = Service {
                protocol,
                other: other.into(),
                limits: *limits,
                hosts: hosts.clone(),
                bodies: bodies.clone(),
                intake: intake.clone(),
                complaints: complaints.clone(),
            };
            servers.spawn(server::serve(listener, service, stopped.clone()));
        }
        Ok(servers)
    }
}

/// Ready at the end of the file, if there is one and nothing else is wanted than to show it.
async fn read(config: &ReceiverConfig, intake: &Intake) -> Result<(), ReceiverError> {
    if let Some(file) = &config.file {
        lines::read(file, intake).await?;
    }
    if config.file.is_none() || matches!(config.format, Format::Page) {
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn listen(protocol: Protocol, address: &str) -> Result<TcpListener, ReceiverError> {
    let failed = |source| ReceiverError::Listen { protocol: protocol.name(), address: address.to_owned(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
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
