//! Receivers that run on a thread of their own, beside the program whose telemetry they take.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use tokio::sync::watch;

use super::{Namespace, filter};
use otel_rs_view::{End, Format, Protocol, Receiver, ReceiverConfig, ReceiverError, Screen};

fn free_port() -> Option<String> {
    Some("127.0.0.1:0".to_owned())
}

/// An OTLP receiver, over gRPC and HTTP on free ports of the loopback interface, that keeps each request as a line of
/// OTLP/JSON.
#[pyclass(module = "otel_rs._native", frozen)]
pub struct OtlpReceiver {
    grpc: SocketAddr,
    http: SocketAddr,
    kept: Kept,
    background: Background,
}

/// What was received, and the part of a line that is not complete.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[pymethods]
impl OtlpReceiver {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let config = ReceiverConfig {
            grpc: free_port(),
            http: free_port(),
            format: Format::Json,
            // A program that was told that its spans have arrived finds them.
            answers_when_printed: true,
            ..ReceiverConfig::default()
        };
        let kept = Kept::default();
        let started = py.detach(|| {
            let receiver = Receiver::bind(config)?;
            let addresses = (address(&receiver, Protocol::Grpc)?, address(&receiver, Protocol::Http)?);
            Ok((addresses, Background::start(receiver, kept.clone(), io::sink())?))
        });
        let ((grpc, http), background) = started.map_err(os_error)?;
        Ok(Self { grpc, http, kept, background })
    }

    /// `127.0.0.1:PORT`
    #[getter]
    fn grpc_address(&self) -> String {
        self.grpc.to_string()
    }

    /// `127.0.0.1:PORT`
    #[getter]
    fn http_address(&self) -> String {
        self.http.to_string()
    }

    /// The requests so far, each once: lines of OTLP/JSON.
    fn take(&self) -> String {
        let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = kept.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = kept.drain(..complete).collect();
        String::from_utf8_lossy(&lines).into_owned()
    }

    /// Answers the requests that are under way, and closes the ports. Doing so again changes nothing.
    fn stop(&self, py: Python<'_>) {
        self.background.stop(py);
    }
}

/// An OTLP receiver, over gRPC and HTTP on one free port of the loopback interface, that prints to stderr.
#[pyclass(module = "otel_rs._native", frozen)]
pub struct TerminalReceiver {
    address: SocketAddr,
    has_printed: Arc<AtomicBool>,
    background: Background,
}

/// Stderr, and whether anything went there.
struct Stderr(Arc<AtomicBool>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.store(true, Ordering::Relaxed);
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[pymethods]
impl TerminalReceiver {
    #[new]
    fn new(py: Python<'_>, arguments: &Namespace) -> PyResult<Self> {
        let format = Format::Terminal(Screen::stderr(filter(arguments)?));
        let config = ReceiverConfig { grpc: None, http: None, both: free_port(), format, ..ReceiverConfig::default() };
        let has_printed = Arc::new(AtomicBool::new(false));
        let started = py.detach(|| {
            let receiver = Receiver::bind(config)?;
            let address = address(&receiver, Protocol::Both)?;
            Ok((address, Background::start(receiver, Stderr(has_printed.clone()), io::stderr())?))
        });
        let (address, background) = started.map_err(os_error)?;
        Ok(Self { address, has_printed, background })
    }

    /// `127.0.0.1:PORT`
    #[getter]
    fn address(&self) -> String {
        self.address.to_string()
    }

    /// Prints what is left, and closes the port. Returns whether anything was printed at all.
    fn stop(&self, py: Python<'_>) -> bool {
        self.background.stop(py);
        self.has_printed.load(Ordering::Relaxed)
    }
}

/// A receiver on its thread.
struct Background {
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    fn start(
        receiver: Receiver,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Result<Self, ReceiverError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReceiverError::Io)?;
        let stop = watch::Sender::new(false);
        let mut stopped = stop.subscribe();
        let serve = move || {
            let end = async move {
                // An error says that the receiver is gone, and nobody asks it any more.
                let _ = stopped.wait_for(|stopped| *stopped).await;
                End::Gracefully
            };
            // What it could not take, its peers have been told.
            let _ = runtime.block_on(receiver.serve(out, err, end));
        };
        let thread = std::thread::Builder::new().name("otel-rs-receiver".to_owned()).spawn(serve);
        Ok(Self { stop, thread: Mutex::new(Some(thread.map_err(ReceiverError::Io)?)) })
    }

    fn stop(&self, py: Python<'_>) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            py.detach(|| thread.join().unwrap_or(()));
        }
    }
}

fn address(receiver: &Receiver, protocol: Protocol) -> Result<SocketAddr, ReceiverError> {
    receiver.addr(protocol).ok_or_else(|| ReceiverError::Io(io::Error::other("a socket has no address")))
}

fn os_error(error: ReceiverError) -> PyErr {
    PyOSError::new_err(error.to_string())
}
