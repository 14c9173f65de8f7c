//! `otel-rs view` as the command line starts it.

use std::env;
use std::io::{self, IsTerminal, Write};

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::receiver::{
    DEFAULT_GRPC_ADDRESS, DEFAULT_HTTP_ADDRESS, Format, Paint, Receiver, ReceiverConfig, ReceiverError,
};

/// Run an OTLP receiver that prints what it is sent, until SIGINT or SIGTERM, or until its output is closed.
///
/// Args:
///     grpc: `HOST:PORT` of the gRPC server, or `off`; by default 127.0.0.1:4317.
///     http: `HOST:PORT` of the HTTP server, or `off`; by default 127.0.0.1:4318.
///     json: print each request as a line of OTLP/JSON instead of each trace as a tree.
///
/// Raises:
///     ValueError: both servers are off.
///     OSError: an address cannot be listened on, or the output cannot be written.
#[pyfunction]
#[pyo3(signature = (grpc=None, http=None, json=false))]
pub fn view(py: Python<'_>, grpc: Option<String>, http: Option<String>, json: bool) -> PyResult<()> {
    let config = ReceiverConfig {
        grpc: address(grpc, DEFAULT_GRPC_ADDRESS),
        http: address(http, DEFAULT_HTTP_ADDRESS),
        format: if json { Format::Json } else { Format::Tree(paint()) },
        ..ReceiverConfig::default()
    };
    let outcome = py.detach(|| run(config));
    // tokio's handler also calls the one that was installed before it, Python's: a Ctrl-C that has ended the receiver
    // is still waiting to be raised here, and has done its work.
    match py.check_signals() {
        Err(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => return Err(error),
        _ => {}
    }
    outcome.map_err(|error| match error {
        ReceiverError::NoListener => PyValueError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    })
}

fn address(given: Option<String>, default: &str) -> Option<String> {
    match given {
        None => Some(default.to_owned()),
        Some(address) if address == "off" => None,
        Some(address) => Some(address),
    }
}

/// Colours for a terminal, unless the user has asked for none (https://no-color.org).
fn paint() -> Paint {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !unwanted { Paint::ANSI } else { Paint::PLAIN }
}

fn run(config: ReceiverConfig) -> Result<(), ReceiverError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReceiverError::Io)?;
    runtime.block_on(async {
        // Handled from before the first line is printed: whoever has read it may end the receiver.
        let end = end_signal().map_err(ReceiverError::Io)?;
        let receiver = Receiver::bind(config)?;
        announce("grpc", receiver.grpc_addr());
        announce("http", receiver.http_addr());
        receiver.serve(io::stdout(), end).await
    })
}

fn announce(protocol: &str, address: Option<std::net::SocketAddr>) {
    if let Some(address) = address {
        // Not eprintln!, which panics if stderr is closed.
        let _ = writeln!(io::stderr(), "otel-rs view: listening on {protocol} {address}");
    }
}

#[cfg(unix)]
fn end_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn end_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
