//! The receiver for a program's own tests: it keeps what it is sent, and runs on a thread of its own.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use tokio::sync::watch;

use otel_rs_view::{End, Format, Receiver, ReceiverConfig, ReceiverError};

/// An OTLP receiver, over gRPC and HTTP on free ports of the loopback interface, that keeps each request as a line of
/// OTLP/JSON.
#[pyclass(module = "otel_rs._native", frozen)]
pub struct OtlpReceiver {
    grpc: SocketAddr,
    http: SocketAddr,
    kept: Kept,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
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
        py.detach(Self::start).map_err(|error| PyOSError::new_err(error.to_string()))
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
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            py.detach(|| thread.join().unwrap_or(()));
        }
    }
}

impl OtlpReceiver {
    fn start() -> Result<Self, ReceiverError> {
        let free = || Some("127.0.0.1:0".to_owned());
        let config = ReceiverConfig { grpc: free(), http: free(), format: Format::Json, ..ReceiverConfig::default() };
        let receiver = Receiver::bind(config)?;
        let (grpc, http) =
            receiver.grpc_addr().zip(receiver.http_addr()).ok_or_else(|| io_error("a socket has no address"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ReceiverError::Io)?;
        let (kept, stop) = (Kept::default(), watch::Sender::new(false));
        let (out, mut stopped) = (kept.clone(), stop.subscribe());
        let serve = move || {
            let end = async move {
                // An error says that the receiver is gone, and nobody asks it any more.
                let _ = stopped.wait_for(|stopped| *stopped).await;
                End::Gracefully
            };
            // What it could not take, its peers have been told.
            let _ = runtime.block_on(receiver.serve(out, io::sink(), end));
        };
        let thread = std::thread::Builder::new().name("otel-rs-receiver".to_owned()).spawn(serve);
        let thread = Mutex::new(Some(thread.map_err(ReceiverError::Io)?));
        Ok(Self { grpc, http, kept, stop, thread })
    }
}

fn io_error(what: &str) -> ReceiverError {
    ReceiverError::Io(io::Error::other(what))
}
