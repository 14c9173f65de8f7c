//! otel-rs without Python: what is sent, and how. That pyo3 is not among the dependencies proves that exporting cannot
//! take the GIL.

// What exports at an end of a process that no Python sees: signals and `exit` are caught on Unix alone.
#![cfg_attr(not(unix), allow(dead_code))]

pub mod batch_processor;
pub mod client;
pub mod export;
pub mod metrics;
pub mod otlp;
pub mod periodic_reader;
pub mod process;
pub mod propagate;
