//! What Python sees, as a table of contents.

pub mod fork;
pub mod otlp;
pub mod pipeline;
pub mod receiver;
pub mod report;
pub mod runtime;
#[cfg(feature = "python")]
pub mod view;

#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::view::view;
}
