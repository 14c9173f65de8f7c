//! What Python sees, as a table of contents.

mod convert;
mod export;
mod instrument;
mod logs;
mod metrics;
mod propagate;
mod py;
mod trace;
mod view;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::export::batch_processor::BatchProcessor;
    #[pymodule_export]
    use crate::export::collection::Collection;
    #[pymodule_export]
    use crate::export::config::ConfigError;
    #[pymodule_export]
    use crate::export::exporter::OtlpExporter;
    #[pymodule_export]
    use crate::instrument::api_context::native_api_function;
    #[pymodule_export]
    use crate::instrument::asgi::{
        AsgiModule, AsgiReceive, AsgiRequest, AsgiRoutes, AsgiSend, asgi_request_attributes, asgi_span_details,
    };
    #[pymodule_export]
    use crate::instrument::attributes::{
        are_attributes_kept, put_response_code_in_dict, selected_attributes, user_agent_may_be_synthetic,
    };
    #[pymodule_export]
    use crate::instrument::client::{add_pool_attributes, client_request_attributes, is_plain_url};
    #[pymodule_export]
    use crate::instrument::contexts::{is_http_instrumentation_enabled, is_instrumentation_enabled};
    #[pymodule_export]
    use crate::instrument::dbapi::dbapi_method;
    #[pymodule_export]
    use crate::instrument::exclusion::exclusion;
    #[pymodule_export]
    use crate::instrument::flask::{FlaskApplication, FlaskBeforeRequest, FlaskModule, FlaskTeardown};
    #[pymodule_export]
    use crate::instrument::httpx::{HttpxModule, HttpxRequest};
    #[pymodule_export]
    use crate::instrument::originals::{Originals, Variable, lists_are_known};
    #[pymodule_export]
    use crate::instrument::requests::RequestsClient;
    #[pymodule_export]
    use crate::instrument::server_span::{started_span, used_span};
    #[pymodule_export]
    use crate::instrument::use_span::UseSpan;
    #[pymodule_export]
    use crate::instrument::wsgi::wsgi_request_attributes;
    #[pymodule_export]
    use crate::instrument::wsgi_convention::WsgiConvention;
    #[pymodule_export]
    use crate::logs::handler::LoggingHandler;
    #[pymodule_export]
    use crate::logs::logger::{Logger, emit_was_replaced};
    #[pymodule_export]
    use crate::metrics::consumer::{MeasurementConsumer, MeterSwitch};
    #[pymodule_export]
    use crate::metrics::instrument::{Counter, Gauge, Histogram, Instrument, UpDownCounter};
    #[pymodule_export]
    use crate::metrics::periodic_reader::PeriodicReader;
    #[pymodule_export]
    use crate::metrics::stream::Stream;
    #[pymodule_export]
    use crate::propagate::functions::native_propagation;
    #[cfg(debug_assertions)]
    #[pymodule_export]
    use crate::py::boundary::injected::panic_in;
    #[pymodule_export]
    use crate::py::exit::{begin_exit, bounded_by_exit, finish_exit, flush_before_exit, flush_before_sigterm};
    #[pymodule_export]
    use crate::py::unexported::call_unexported;
    #[pymodule_export]
    use crate::trace::current_span::CurrentSpan;
    #[pymodule_export]
    use crate::trace::methods::look_up_methods;
    #[pymodule_export]
    use crate::trace::non_recording_span::NonRecordingSpan;
    #[pymodule_export]
    use crate::trace::processors::Processors;
    #[pymodule_export]
    use crate::trace::span::Span;
    #[pymodule_export]
    use crate::trace::tracer::Tracer;
    #[pymodule_export]
    use crate::view::background::{OtlpReceiver, TerminalReceiver};
    #[pymodule_export]
    use crate::view::view;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        use pyo3::types::PyModuleMethods;

        crate::py::interpreter::must_be_the_main_one()?;
        otel_rs_core::process::watch_forks();
        crate::trace::fast_methods::put_fast_methods(pyo3::Bound::py(module))?;
        module.add(
            "HTTP_METHODS",
            pyo3::types::PyFrozenSet::new(pyo3::Bound::py(module), crate::instrument::attributes::METHODS)?,
        )?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
