//! What Python sees, as a table of contents.

pub mod descriptors;
pub mod exit;
pub mod fork;
pub mod otlp;
pub mod pipeline;
pub mod published;
pub mod receiver;
pub mod report;
pub mod runtime;
pub mod sync;
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub mod termination;

#[cfg(feature = "python")]
pub mod convert;
#[cfg(feature = "python")]
pub mod exporter;
#[cfg(feature = "python")]
pub mod exporter_config;
#[cfg(feature = "python")]
pub mod trace;
#[cfg(feature = "python")]
pub mod view;

#[cfg(feature = "python")]
#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::exporter::OtlpExporter;
    #[pymodule_export]
    use crate::exporter_config::ConfigError;
    #[pymodule_export]
    use crate::trace::at_exit::{begin_exit, bounded_by_exit, finish_exit, flush_before_exit, flush_before_sigterm};
    #[cfg(debug_assertions)]
    #[pymodule_export]
    use crate::trace::boundary::injected::panic_in;
    #[pymodule_export]
    use crate::trace::current_span::CurrentSpan;
    #[pymodule_export]
    use crate::trace::methods::look_up_methods;
    #[pymodule_export]
    use crate::trace::non_recording_span::NonRecordingSpan;
    #[pymodule_export]
    use crate::trace::pipeline::SpanPipeline;
    #[pymodule_export]
    use crate::trace::processors::Processors;
    #[pymodule_export]
    use crate::trace::span::Span;
    #[pymodule_export]
    use crate::trace::tracer::Tracer;
    #[pymodule_export]
    use crate::view::view;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods;

        crate::trace::interpreter::must_be_the_main_one()?;
        crate::fork::watch();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
