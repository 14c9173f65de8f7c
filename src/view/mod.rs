//! `otel-rs view` as the command line starts it.

pub mod background;

use std::io::{self, Write};
use std::time::Duration;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyValueError};
use pyo3::prelude::*;

use crate::py::wait::SIGNAL_CHECK_INTERVAL;
use otel_rs_view::{
    DEFAULT_GRPC_ADDRESS, DEFAULT_HTTP_ADDRESS, End, Filter, Format, Protocol, Receiver, ReceiverConfig, ReceiverError,
    Screen,
};

/// How long the receiver runs at least, though nobody reads what it prints.
const READER_GRACE: Duration = Duration::from_millis(500);

/// What argparse makes of the command line.
type Namespace<'py> = Bound<'py, PyAny>;

/// Which spans are asked for.
fn filter(arguments: &Namespace) -> PyResult<Filter> {
    Ok(Filter {
        service: arguments.getattr("service")?.extract()?,
        name: arguments.getattr("name")?.extract()?,
        min_duration_nanos: arguments.getattr("min_duration")?.extract()?,
        errors: arguments.getattr("errors")?.extract()?,
    })
}

fn config(arguments: &Namespace) -> PyResult<ReceiverConfig> {
    let file: Option<String> = arguments.getattr("file")?.extract()?;
    let web: Option<u16> = arguments.getattr("web")?.extract()?;
    // A file takes the place of what would be received.
    let address = |name, default: &str| match arguments.getattr(name)?.extract::<Option<String>>()? {
        None => PyResult::Ok(file.is_none().then(|| default.to_owned())),
        given => Ok(given.filter(|address| address != "off")),
    };
    Ok(ReceiverConfig {
        grpc: address("grpc", DEFAULT_GRPC_ADDRESS)?,
        http: address("http", DEFAULT_HTTP_ADDRESS)?,
        page: web.map(|port| format!("127.0.0.1:{port}")),
        format: match (arguments.getattr("json")?.extract()?, web) {
            (true, _) => Format::Json,
            (false, Some(_)) => Format::Page,
            (false, None) => {
                Format::Terminal(Screen::stdout(arguments.getattr("width")?.extract()?, filter(arguments)?))
            }
        },
        allowed_hosts: arguments.getattr("allow_host")?.extract()?,
        file,
        ..ReceiverConfig::default()
    })
}

/// Run an OTLP receiver that shows what it is sent, until a signal's handler raises, or until its output is closed.
///
/// Args:
///     arguments: those of `otel-rs view`, whose help says what they mean.
///
/// Raises:
///     ValueError: both servers are off.
///     OSError: an address cannot be listened on, the output cannot be written, or a file cannot be read.
#[pyfunction]
pub fn view(py: Python<'_>, arguments: &Namespace) -> PyResult<()> {
    let config = config(arguments)?;
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
        for protocol in [Protocol::Grpc, Protocol::Http, Protocol::Page] {
            announce(protocol, receiver.addr(protocol));
        }
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

fn announce(protocol: Protocol, address: Option<std::net::SocketAddr>) {
    let Some(address) = address else { return };
    // Not eprintln!, which panics if stderr is closed.
    let _ = match protocol {
        Protocol::Page => writeln!(io::stderr(), "otel-rs view: the page is at http://{address}/"),
        _ => writeln!(io::stderr(), "otel-rs view: listening on {} {address}", protocol.name()),
    };
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
