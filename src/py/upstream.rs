//! The one table of the names of `opentelemetry-api` and `opentelemetry-sdk` that we look up, and the objects among
//! them that the hot path compares with or makes, looked up once.

use pyo3::PyTypeInfo;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::py::once::get_or_make;

/// A name of a module. It is looked up when it is used, so that the order of imports does not matter, and a
/// function that somebody has replaced is the one we call.
pub struct Name {
    module: &'static str,
    name: &'static str,
}

const fn name(module: &'static str, name: &'static str) -> Name {
    Name { module, name }
}

impl Name {
    pub fn look_up<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import(self.module)?.getattr(self.name)
    }

    pub fn class(&self, py: Python<'_>) -> PyResult<Py<PyType>> {
        Ok(self.look_up(py)?.cast_into::<PyType>()?.unbind())
    }
}

// The API.
const RUNTIME_CONTEXT: Name = name("opentelemetry.context", "_RUNTIME_CONTEXT");
const CONTEXT: Name = name("opentelemetry.context", "Context");
pub const GET_CURRENT: Name = name("opentelemetry.context", "get_current");
pub const ATTACH: Name = name("opentelemetry.context", "attach");
pub const DETACH: Name = name("opentelemetry.context", "detach");
pub const SET_VALUE: Name = name("opentelemetry.context", "set_value");
pub const SUPPRESS_HTTP_INSTRUMENTATION_KEY: Name = name("opentelemetry.context", "_SUPPRESS_HTTP_INSTRUMENTATION_KEY");
pub const SUPPRESS_INSTRUMENTATION_KEYS: [Name; 2] = [
    name("opentelemetry.context", "_SUPPRESS_INSTRUMENTATION_KEY"),
    name("opentelemetry.instrumentation.utils", "_SUPPRESS_INSTRUMENTATION_KEY_PLAIN"),
];
const CONTEXT_VARS_RUNTIME: Name = name("opentelemetry.context.contextvars_context", "ContextVarsRuntimeContext");
const SPAN: Name = name("opentelemetry.trace", "Span");
const SPAN_CONTEXT: Name = name("opentelemetry.trace", "SpanContext");
const SPAN_KIND: Name = name("opentelemetry.trace", "SpanKind");
const STATUS: Name = name("opentelemetry.trace", "Status");
const STATUS_CODE: Name = name("opentelemetry.trace", "StatusCode");
const TRACE_FLAGS: Name = name("opentelemetry.trace", "TraceFlags");
const DEFAULT_TRACE_STATE: Name = name("opentelemetry.trace", "DEFAULT_TRACE_STATE");
const LINK: Name = name("opentelemetry.trace", "Link");
const INVALID_SPAN: Name = name("opentelemetry.trace", "INVALID_SPAN");
pub const NON_RECORDING_SPAN: Name = name("opentelemetry.trace", "NonRecordingSpan");
pub const GET_CURRENT_SPAN: Name = name("opentelemetry.trace", "get_current_span");
pub const SET_SPAN_IN_CONTEXT: Name = name("opentelemetry.trace", "set_span_in_context");
const SPAN_KEY: Name = name("opentelemetry.trace.propagation", "_SPAN_KEY");
pub const TRACE_STATE: Name = name("opentelemetry.trace.span", "TraceState");
pub const BAGGAGE_KEY: Name = name("opentelemetry.baggage", "_BAGGAGE_KEY");

// The SDK.
const EVENT: Name = name("opentelemetry.sdk.trace", "Event");
const BOUNDED_ATTRIBUTES: Name = name("opentelemetry.sdk.trace", "BoundedAttributes");
const BOUNDED_LIST: Name = name("opentelemetry.sdk.trace", "BoundedList");
pub const RANDOM_ID_GENERATOR: Name = name("opentelemetry.sdk.trace.id_generator", "RandomIdGenerator");
const DECISION: Name = name("opentelemetry.sdk.trace.sampling", "Decision");
pub const STATIC_SAMPLERS: [Name; 3] = [
    name("opentelemetry.sdk.trace.sampling", "StaticSampler"),
    name("opentelemetry.sdk.trace.sampling", "_AlwaysOn"),
    name("opentelemetry.sdk.trace.sampling", "_AlwaysOff"),
];
pub const RATIO_SAMPLERS: [Name; 1] = [name("opentelemetry.sdk.trace.sampling", "TraceIdRatioBased")];
pub const PARENT_BASED_SAMPLERS: [Name; 4] = [
    name("opentelemetry.sdk.trace.sampling", "ParentBased"),
    name("opentelemetry.sdk.trace.sampling", "ParentBasedTraceIdRatio"),
    name("opentelemetry.sdk.trace.sampling", "_ParentBasedAlwaysOn"),
    name("opentelemetry.sdk.trace.sampling", "_ParentBasedAlwaysOff"),
];
pub const GAUGE: Name = name("opentelemetry.sdk.metrics.export", "Gauge");
pub const SUM: Name = name("opentelemetry.sdk.metrics.export", "Sum");
pub const HISTOGRAM: Name = name("opentelemetry.sdk.metrics.export", "Histogram");
pub const EXPONENTIAL_HISTOGRAM: Name = name("opentelemetry.sdk.metrics.export", "ExponentialHistogram");

pub const RESOURCE: Name = name("opentelemetry.sdk.resources", "Resource");
pub const READ_WRITE_LOG_RECORD: Name = name("opentelemetry.sdk._logs", "ReadWriteLogRecord");
pub const DROPPED_ATTRIBUTES_WARNING: Name = name("opentelemetry.sdk._logs", "LogRecordDroppedAttributesWarning");

pub const MEASUREMENT: Name = name("opentelemetry.sdk.metrics._internal.measurement", "Measurement");
pub const ALWAYS_OFF_FILTER: Name = name("opentelemetry.sdk.metrics", "AlwaysOffExemplarFilter");
pub const ALWAYS_ON_FILTER: Name = name("opentelemetry.sdk.metrics", "AlwaysOnExemplarFilter");
pub const TRACE_BASED_FILTER: Name = name("opentelemetry.sdk.metrics", "TraceBasedExemplarFilter");

pub struct Upstream {
    /// The API package's context variable; None where another context runtime than contextvars is configured.
    pub context_variable: Option<Py<PyAny>>,
    /// Allocations may start Python's garbage collector, and with it Python code: CPython before 3.12.
    pub allocations_collect: bool,
    pub context: Py<PyType>,
    /// The key under which a context holds its span.
    pub span_key: Py<PyString>,
    pub span: Py<PyType>,
    pub invalid_span: Py<PyAny>,
    pub non_recording_span: Py<PyType>,
    pub span_context: Py<PyType>,
    /// `SpanContext` is the tuple of six fields that we know, so that we can make it as a tuple.
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
}

/// Looked up at the first call, and never again.
#[inline]
pub fn upstream(py: Python<'_>) -> PyResult<&'static Upstream> {
    static UPSTREAM: PyOnceLock<Upstream> = PyOnceLock::new();
    get_or_make(py, &UPSTREAM, || Upstream::look_up(py))
}

impl Upstream {
    #[cold]
    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let span_context = SPAN_CONTEXT.class(py)?;
        let trace_flags = TRACE_FLAGS.class(py)?;
        let flags = |value: u8| PyResult::Ok(trace_flags.bind(py).call1((value,))?.unbind());
        Ok(Self {
            context: subclass_or::<PyDict>(CONTEXT.class(py)?.bind(py)),
            context_variable: context_variable(&RUNTIME_CONTEXT.look_up(py)?)?,
            allocations_collect: py.version_info() < (3, 12),
            span_key: SPAN_KEY.look_up(py)?.cast_into::<PyString>()?.unbind(),
            span: SPAN.class(py)?,
            invalid_span: INVALID_SPAN.look_up(py)?.unbind(),
            non_recording_span: NON_RECORDING_SPAN.class(py)?,
            span_context_is_tuple: is_tuple_of_six(span_context.bind(py))?,
            span_context,
            known_trace_flags: [flags(0)?, flags(1)?, flags(2)?, flags(3)?],
            trace_flags,
            default_trace_state: DEFAULT_TRACE_STATE.look_up(py)?.unbind(),
            kinds: members(py, &SPAN_KIND, ["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])?,
            status: STATUS.class(py)?,
            status_codes: members(py, &STATUS_CODE, ["UNSET", "OK", "ERROR"])?,
            decisions: members(py, &DECISION, ["DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"])?,
            event: EVENT.class(py)?,
            link: LINK.class(py)?,
            bounded_attributes: BOUNDED_ATTRIBUTES.class(py)?,
            bounded_list: BOUNDED_LIST.class(py)?,
        })
    }
}

/// Members of an enum, by their names.
fn members<const N: usize>(py: Python<'_>, class: &Name, names: [&str; N]) -> PyResult<[Py<PyAny>; N]> {
    let class = class.look_up(py)?;
    let members = names.iter().map(|name| Ok(class.getattr(*name)?.unbind())).collect::<PyResult<Vec<_>>>()?;
    Ok(members.try_into().expect("as many members as names"))
}

/// The variable of the runtime, if it is upstream's own on contextvars.
fn context_variable(runtime: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    if !runtime.get_type().is(&CONTEXT_VARS_RUNTIME.look_up(runtime.py())?) {
        return Ok(None);
    }
    let variable = runtime.getattr("_current_context")?;
    #[allow(unsafe_code)]
    // SAFETY: only looks at the object's type.
    let is_variable = unsafe { ffi::PyContextVar_CheckExact(variable.as_ptr()) } != 0;
    Ok(is_variable.then(|| variable.unbind()))
}

/// The position of `object` among enum members, by identity.
#[inline]
pub fn position<const N: usize>(members: &[Py<PyAny>; N], object: &Bound<'_, PyAny>) -> Option<usize> {
    members.iter().position(|member| member.is(object))
}

/// The class, or the native one if somebody has put a class in its place that does not derive from it: making an object
/// of a foreign class would be unsound.
pub fn subclass_or<T: PyTypeInfo>(class: &Bound<'_, PyType>) -> Py<PyType> {
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
