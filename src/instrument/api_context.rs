//! `opentelemetry.context`'s functions, and those of `opentelemetry.trace` that look into a context, over contextvars.

use std::ffi::CStr;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::py::context;
use crate::py::fastcall::{Call, new_function, raw_function};
use crate::py::once::{Interned, get_or_make, intern};
use crate::py::upstream::{Upstream, upstream};
use crate::trace::non_recording_span::NonRecordingSpan;
use crate::trace::span::Span;

/// A native function, and the one in whose place it comes.
struct ApiFunction {
    module: &'static Interned,
    name: &'static str,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
    original: PyOnceLock<Py<PyAny>>,
    native: PyOnceLock<Py<PyAny>>,
}

static CONTEXT: Interned = Interned::new("opentelemetry.context");
static PROPAGATION: Interned = Interned::new("opentelemetry.trace.propagation");

macro_rules! api_function {
    ($static:ident, $module:ident, $name:literal, $work:ident, $doc:literal) => {
        static $static: ApiFunction = ApiFunction {
            module: &$module,
            name: $name,
            doc: $doc,
            function: raw_function!(|py, _this, call| $static.call(py, call, $work)),
            original: PyOnceLock::new(),
            native: PyOnceLock::new(),
        };
    };
}

api_function!(
    GET_CURRENT,
    CONTEXT,
    "get_current",
    get_current,
    c"get_current()\n--\n\nThe context of this thread or task."
);
api_function!(
    ATTACH,
    CONTEXT,
    "attach",
    attach,
    c"attach(context)\n--\n\nMakes a context the current one. The token that it returns is for `detach`."
);
api_function!(
    DETACH,
    CONTEXT,
    "detach",
    detach,
    c"detach(token)\n--\n\nMakes the context from before `attach` the current one."
);
api_function!(
    GET_VALUE,
    CONTEXT,
    "get_value",
    get_value,
    c"get_value(key, context=None)\n--\n\nThe value of a key in a context, the current one if none is given."
);
api_function!(
    SET_VALUE,
    CONTEXT,
    "set_value",
    set_value,
    c"set_value(key, value, context=None)\n--\n\nA new context with a value, made of the current one if none is given."
);
api_function!(
    GET_CURRENT_SPAN,
    PROPAGATION,
    "get_current_span",
    get_current_span,
    c"get_current_span(context=None)\n--\n\nThe span of a context, the current one if none is given."
);
api_function!(
    SET_SPAN_IN_CONTEXT,
    PROPAGATION,
    "set_span_in_context",
    set_span_in_context,
    c"set_span_in_context(span, context=None)\n--\n\nA new context with a span, made of the current one if none is given."
);

static FUNCTIONS: [&ApiFunction; 7] =
    [&GET_CURRENT, &ATTACH, &DETACH, &GET_VALUE, &SET_VALUE, &GET_CURRENT_SPAN, &SET_SPAN_IN_CONTEXT];

/// What comes in the place of a function of the API's.
#[pyfunction]
pub fn native_api_function<'py>(original: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = original.py();
    let name: String = original.getattr(intern!(py, "__name__"))?.extract()?;
    let function = FUNCTIONS
        .iter()
        .find(|function| function.name == name)
        .ok_or_else(|| PyValueError::new_err(format!("there is no native {name}")))?;
    get_or_make(py, &function.original, || Ok(original.clone().unbind()))?;
    let native = get_or_make(py, &function.native, || {
        new_function(py, function.module.get(py), function.name, function.doc, function.function)
    })?;
    Ok(native.bind(py).clone())
}

/// None where the original has to do it.
type Work = for<'a, 'py> fn(&'a Api<'a, 'py>, &'a Call<'a, 'py>) -> PyResult<Option<Bound<'py, PyAny>>>;

impl ApiFunction {
    #[inline]
    fn call<'py>(&self, py: Python<'py>, call: &Call<'_, 'py>, work: Work) -> PyResult<Bound<'py, PyAny>> {
        let done = match Api::of(py)? {
            Some(api) => work(&api, call)?,
            None => None,
        };
        match done {
            Some(result) => Ok(result),
            None => call.forward(self.original.get(py).expect("the native function came in its place"), None),
        }
    }
}

/// The API package over the context variable that it had when it was looked up.
struct Api<'a, 'py> {
    py: Python<'py>,
    upstream: &'a Upstream,
}

impl<'py> Api<'_, 'py> {
    /// None where contexts are kept in another way, or somebody has replaced the runtime.
    #[inline]
    fn of(py: Python<'py>) -> PyResult<Option<Self>> {
        static RUNTIME: PyOnceLock<(Py<PyDict>, Py<PyAny>)> = PyOnceLock::new();
        let upstream = upstream(py)?;
        let name = intern!(py, "_RUNTIME_CONTEXT");
        let (namespace, known) = get_or_make(py, &RUNTIME, || {
            let module = py.import(CONTEXT.get(py))?;
            Ok((module.dict().unbind(), module.getattr(name)?.unbind()))
        })?;
        let is_known = namespace.bind(py).get_item(name)?.is_some_and(|runtime| runtime.is(known));
        Ok((is_known && upstream.context_variable.is_some()).then_some(Self { py, upstream }))
    }

    fn current(&self) -> PyResult<Bound<'py, PyAny>> {
        context::current(self.py, self.upstream)
    }

    /// The context that is given, or the current one; None if it is not of the API's own class.
    fn given_or_current(&self, given: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let context = match given.filter(|context| !context.is_none()) {
            Some(context) => context.clone(),
            None => self.current()?,
        };
        let is_plain = context.get_type().is(&self.upstream.context);
        Ok(context.cast_into::<PyDict>().ok().filter(|_| is_plain))
    }

    fn none(&self) -> Bound<'py, PyAny> {
        self.py.None().into_bound(self.py)
    }
}

fn get_current<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 0] = [];
    if call.arguments(&PARAMETERS).is_none() {
        return Ok(None);
    }
    api.current().map(Some)
}

fn attach<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 1] = [Interned::new("context")];
    let Some([Some(context)]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    let token = context::attach(api.upstream, &context)?;
    Ok(Some(token.into_object().into_bound(api.py)))
}

fn detach<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 1] = [Interned::new("token")];
    let Some([Some(token)]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    // Of what fails the API's own says so, in its words.
    Ok(context::reset(api.py, api.upstream, &token).then(|| api.none()))
}

fn get_value<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 2] = [Interned::new("key"), Interned::new("context")];
    let Some([Some(key), given]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    let Some(context) = api.given_or_current(given.as_deref())? else { return Ok(None) };
    Ok(Some(context.get_item(key)?.unwrap_or_else(|| api.none())))
}

fn set_value<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 3] = [Interned::new("key"), Interned::new("value"), Interned::new("context")];
    let Some([Some(key), Some(value), given]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    with_value(api, &key, &value, given.as_deref())
}

fn with_value<'py>(
    api: &Api<'_, 'py>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
    given: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(context) = api.given_or_current(given)? else { return Ok(None) };
    let new = context::copied(api.py, api.upstream, Some(&context))?;
    new.set_item(key, value)?;
    Ok(Some(new.into_any()))
}

fn get_current_span<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 1] = [Interned::new("context")];
    let Some([given]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    let Some(context) = api.given_or_current(given.as_deref())? else { return Ok(None) };
    let span = context.get_item(&api.upstream.span_key)?;
    let is_span = match &span {
        None => false,
        Some(span) if span.is_none() => false,
        Some(span) if span.is_instance_of::<Span>() || span.is_instance_of::<NonRecordingSpan>() => true,
        Some(span) => span.is_instance(api.upstream.span.bind(api.py))?,
    };
    Ok(span.filter(|_| is_span).or_else(|| Some(api.upstream.invalid_span.bind(api.py).clone())))
}

fn set_span_in_context<'py>(api: &Api<'_, 'py>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static PARAMETERS: [Interned; 2] = [Interned::new("span"), Interned::new("context")];
    let Some([Some(span), given]) = call.arguments(&PARAMETERS) else { return Ok(None) };
    with_value(api, api.upstream.span_key.bind(api.py), &span, given.as_deref())
}
