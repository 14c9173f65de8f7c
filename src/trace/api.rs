//! Objects of `opentelemetry-api` and `opentelemetry-sdk` that the hot path compares with or makes, looked up once.

use pyo3::PyTypeInfo;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::convert::once::get_or_make;
use crate::trace::context;
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

pub struct Api {
    /// The API package's context variable; None where another context runtime than contextvars is configured.
    pub context_variable: Option<Py<PyAny>>,
    /// Allocations may start Python's garbage collector, and with it Python code: CPython before 3.12.
    pub allocations_collect: bool,
    pub context: Py<PyType>,
    /// The key under which a context holds its span.
    pub span_key: Py<PyString>,
    pub span: Py<PyType>,
    pub non_recording_span: Py<PyType>,
    pub span_context: Py<PyType>,
    /// `SpanContext` is the tuple of six that it was when this was written, so that it can be made as one.
    pub span_context_is_tuple: bool,
    pub trace_flags: Py<PyType>,
    /// `TraceFlags` by value: none, sampled, random, both.
    pub known_trace_flags: [Py<PyAny>; 4],
    pub default_trace_state: Py<PyAny>,
    /// `SpanKind` in the order of the Python API: internal, server, client, producer, consumer.
    pub kinds: [Py<PyAny>; 5],
    pub status: Py<PyType>,
    /// `StatusCode`: unset, ok, error.
    pub status_codes: [Py<PyAny>; 3],
    /// `Decision`: drop, record only, record and sample.
    pub decisions: [Py<PyAny>; 3],
    pub event: Py<PyType>,
    pub link: Py<PyType>,
    pub bounded_attributes: Py<PyType>,
    pub bounded_list: Py<PyType>,
    /// The Python classes that our native spans are instances of.
    pub our_span: Py<PyType>,
    pub our_non_recording_span: Py<PyType>,
    pub our_tracer: Py<PyType>,
}

/// Imports what is needed at the first call.
pub fn api(py: Python<'_>) -> PyResult<&'static Api> {
    static API: PyOnceLock<Api> = PyOnceLock::new();
    get_or_make(py, &API, || Api::import(py))
}

impl Api {
    #[cold]
    fn import(py: Python<'_>) -> PyResult<Self> {
        let class = |module: &Bound<'_, PyAny>, name: &str| -> PyResult<Py<PyType>> {
            Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind())
        };
        let member =
            |class: &Py<PyType>, name: &str| -> PyResult<Py<PyAny>> { Ok(class.bind(py).getattr(name)?.unbind()) };
        let context_module = py.import("opentelemetry.context")?;
        let trace = py.import("opentelemetry.trace")?.into_any();
        let sdk = py.import("opentelemetry.sdk.trace")?.into_any();
        let sampling = py.import("opentelemetry.sdk.trace.sampling")?.into_any();
        let ours = py.import("otel_rs.trace")?.into_any();
        let span_context = class(&trace, "SpanContext")?;
        let trace_flags = class(&trace, "TraceFlags")?;
        let flags = |value: u8| PyResult::Ok(trace_flags.bind(py).call1((value,))?.unbind());
        let kind = class(&trace, "SpanKind")?;
        let status_code = class(&trace, "StatusCode")?;
        let decision = class(&sampling, "Decision")?;
        let span_key = py.import("opentelemetry.trace.propagation")?.getattr("_SPAN_KEY")?;
        Ok(Self {
            context: subclass_or::<PyDict>(class(&context_module, "Context")?.bind(py)),
            context_variable: context::variable_of(&context_module.getattr("_RUNTIME_CONTEXT")?)?,
            allocations_collect: py.version_info() < (3, 12),
            span_key: span_key.cast_into::<PyString>()?.unbind(),
            span: class(&trace, "Span")?,
            non_recording_span: class(&trace, "NonRecordingSpan")?,
            span_context_is_tuple: is_tuple_of_six(span_context.bind(py))?,
            span_context,
            known_trace_flags: [flags(0)?, flags(1)?, flags(2)?, flags(3)?],
            trace_flags,
            default_trace_state: trace.getattr("DEFAULT_TRACE_STATE")?.unbind(),
            kinds: [
                member(&kind, "INTERNAL")?,
                member(&kind, "SERVER")?,
                member(&kind, "CLIENT")?,
                member(&kind, "PRODUCER")?,
                member(&kind, "CONSUMER")?,
            ],
            status: class(&trace, "Status")?,
            status_codes: [member(&status_code, "UNSET")?, member(&status_code, "OK")?, member(&status_code, "ERROR")?],
            decisions: [
                member(&decision, "DROP")?,
                member(&decision, "RECORD_ONLY")?,
                member(&decision, "RECORD_AND_SAMPLE")?,
            ],
            event: class(&sdk, "Event")?,
            link: class(&trace, "Link")?,
            bounded_attributes: class(&sdk, "BoundedAttributes")?,
            bounded_list: class(&sdk, "BoundedList")?,
            our_span: subclass_or::<Span>(class(&ours, "Span")?.bind(py)),
            our_non_recording_span: subclass_or::<NonRecordingSpan>(class(&ours, "NonRecordingSpan")?.bind(py)),
            our_tracer: class(&ours, "Tracer")?,
        })
    }
}

/// The position of `object` among enum members, by identity.
#[inline]
pub fn position<const N: usize>(members: &[Py<PyAny>; N], object: &Bound<'_, PyAny>) -> Option<usize> {
    members.iter().position(|member| member.is(object))
}

/// The class, or the native one that it should derive from: somebody may have put another in its place, and objects are
/// made as what they should be.
fn subclass_or<T: PyTypeInfo>(class: &Bound<'_, PyType>) -> Py<PyType> {
    let native = class.py().get_type::<T>();
    if class.is_subclass(&native).unwrap_or(false) { class.clone().unbind() } else { native.unbind() }
}

fn is_tuple_of_six(span_context: &Bound<'_, PyType>) -> PyResult<bool> {
    use pyo3::types::{PyTuple, PyTupleMethods};
    let sample = span_context.call1((1u8, 2u8, true))?;
    if !sample.get_type().is(span_context) {
        return Ok(false);
    }
    let Ok(tuple) = sample.cast::<PyTuple>() else { return Ok(false) };
    let field = |at: usize, name: &str| PyResult::Ok(tuple.get_item(at)?.is(sample.getattr(name)?));
    Ok(tuple.len() == 6
        && field(0, "trace_id")?
        && field(1, "span_id")?
        && field(2, "is_remote")?
        && field(3, "trace_flags")?
        && field(4, "trace_state")?
        && field(5, "is_valid")?)
}
