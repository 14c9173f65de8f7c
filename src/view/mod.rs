//! `otel-rs view` as the command line starts it.

pub mod in_process;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::py::wait::SIGNAL_CHECK_INTERVAL;
use otel_rs_view::{
    DEFAULT_GRPC_ADDRESS, DEFAULT_HTTP_ADDRESS, End, Format, Paint, Receiver, ReceiverConfig, ReceiverError,
};

/// How long the receiver runs at least, though nobody reads what it prints.
const READER_GRACE: Duration = Duration::from_millis(500);

/// Run an OTLP receiver that prints what it is sent, until a signal's handler raises, or until its output is closed.
///
/// Args:
///     grpc: `HOST:PORT` of the gRPC server, or `off`; by default 127.0.0.1:4317.
///     http: `HOST:PORT` of the HTTP server, or `off`; by default 127.0.0.1:4318.
///     json: print each request as a line of OTLP/JSON instead of each trace as a tree.
///     allowed_hosts: names by which clients may address it, besides loopback's and those that it listens on.
///
/// Raises:
///     ValueError: both servers are off.
///     OSError: an address cannot be listened on, or the output cannot be written.
#[pyfunction]
#[pyo3(signature = (grpc=None, http=None, json=false, allowed_hosts=vec![]))]
pub fn view(
    py: Python<'_>,
    grpc: Option<String>,
    http: Option<String>,
    json: bool,
    allowed_hosts: Vec<String>,
) -> PyResult<()> {
    let config = ReceiverConfig {
        grpc: address(grpc, DEFAULT_GRPC_ADDRESS),
        http: address(http, DEFAULT_HTTP_ADDRESS),
        format: if json { Format::Json } else { Format::Tree(paint()) },
        allowed_hosts,
        ..ReceiverConfig::default()
    };
    let (raised, outcome) = py.detach(|| run(config));
    match raised {
        // Ctrl-C is the way to end the receiver.
        Some(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => return Err(error),
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

/// Colours for a terminal that has them, unless the user has asked for none (https://no-color.org).
fn paint() -> Paint {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|value| value == "dumb");
    if io::stdout().is_terminal() && !unwanted { Paint::ANSI } else { Paint::PLAIN }
}

/// Also returns what a signal's handler raised.
fn run(config: ReceiverConfig) -> (Option<PyErr>, Result<(), ReceiverError>) {
    let mut raised = None;
    let outcome = serve(config, &mut raised);
    (raised, outcome)
}

fn serve(config: ReceiverConfig, raised: &mut Option<PyErr>) -> Result<(), ReceiverError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReceiverError::Io)?;
    runtime.block_on(async {
        let receiver = Receiver::bind(config)?;
        announce("grpc", receiver.grpc_addr());
        announce("http", receiver.http_addr());
        let end = async {
            tokio::select! {
                error = interrupt() => {
                    *raised = Some(error);
                    End::Gracefully
                }
                () = reader_gone() => End::AtOnce,
            }
        };
        receiver.serve(io::stdout(), io::stderr(), end).await
    })
}

/// `otel-rs view | head -3` ends when `head` does, and not when there is something to print again.
async fn reader_gone() {
    // Whoever was just told the addresses finds the receiver there, also if its reader was quicker.
    tokio::time::sleep(READER_GRACE).await;
    #[cfg(unix)]
    otel_rs_view::reader::gone(io::stdout()).await;
    #[cfg(not(unix))]
    std::future::pending::<()>().await;
}

fn announce(protocol: &str, address: Option<std::net::SocketAddr>) {
    if let Some(address) = address {
        // Not eprintln!, which panics if stderr is closed.
        let _ = writeln!(io::stderr(), "otel-rs view: listening on {protocol} {address}");
    }
}

/// What a signal's handler raises. Python's handlers run on this thread, and only when we call `check_signals`.
async fn interrupt() -> PyErr {
    loop {
        tokio::time::sleep(SIGNAL_CHECK_INTERVAL).await;
        if let Err(raised) = Python::attach(|py| py.check_signals()) {
            return raised;
        }
    }
}
