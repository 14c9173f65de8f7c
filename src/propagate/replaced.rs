//! The API's own methods and functions in whose place native ones came: what those do not do themselves is theirs.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::propagate::held::Held;
use crate::py::once::get_or_make;

pub struct Replaced {
    /// As upstream names it, with its class; a function of the module `propagate` has none.
    pub name: &'static str,
    pub attribute: &'static str,
    original: PyOnceLock<Original>,
    native: PyOnceLock<Py<PyAny>>,
}

pub struct Original {
    pub function: Py<PyAny>,
    /// The getter or setter, where none is given.
    pub default: Py<PyAny>,
    /// What the function sees as global names, and the `get_global_textmap` among them.
    pub globals: Py<PyDict>,
    pub get_global_textmap: Option<Py<PyAny>>,
}

pub static EXTRACT_TRACE_CONTEXT: Replaced = Replaced::new("TraceContextTextMapPropagator.extract", "extract");
pub static INJECT_TRACE_CONTEXT: Replaced = Replaced::new("TraceContextTextMapPropagator.inject", "inject");
pub static EXTRACT_BAGGAGE: Replaced = Replaced::new("W3CBaggagePropagator.extract", "extract");
pub static INJECT_BAGGAGE: Replaced = Replaced::new("W3CBaggagePropagator.inject", "inject");
pub static EXTRACT_COMPOSITE: Replaced = Replaced::new("CompositePropagator.extract", "extract");
pub static INJECT_COMPOSITE: Replaced = Replaced::new("CompositePropagator.inject", "inject");
pub static EXTRACT: Replaced = Replaced::new("extract", "extract");
pub static INJECT: Replaced = Replaced::new("inject", "inject");

impl Replaced {
    const fn new(name: &'static str, attribute: &'static str) -> Self {
        Self { name, attribute, original: PyOnceLock::new(), native: PyOnceLock::new() }
    }

    /// The native method in the place of `original`, made at the first call.
    pub fn by<'py>(
        &self,
        original: &Bound<'py, PyAny>,
        make: impl FnOnce() -> PyResult<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = original.py();
        get_or_make(py, &self.original, || Original::of(original))?;
        Ok(get_or_make(py, &self.native, make)?.bind(py).clone())
    }

    /// The native method, once it is made.
    pub fn native(&self, py: Python<'_>) -> Option<&Py<PyAny>> {
        self.native.get(py)
    }

    /// Whether the native method is this class's now.
    pub fn is_replaced_in(&self, class: &Bound<'_, PyType>) -> PyResult<bool> {
        let found = class.getattr(self.attribute)?;
        Ok(self.native.get(class.py()).is_some_and(|native| found.is(native)))
    }

    #[inline]
    pub fn original(&self, py: Python<'_>) -> &Original {
        self.original.get(py).expect("the native method came in its place")
    }

    #[cold]
    pub fn extract<'py>(
        &self,
        propagator: &Bound<'py, PyAny>,
        carrier: &Bound<'py, PyAny>,
        held: &mut Held<'py>,
        getter: &Bound<'py, PyAny>,
    ) -> PyResult<Held<'py>> {
        let original = self.original(propagator.py()).function.bind(propagator.py());
        Ok(Held::given(Some(original.call1((propagator, carrier, held.shown(), getter))?)))
    }

    #[cold]
    pub fn inject<'py>(
        &self,
        propagator: &Bound<'py, PyAny>,
        carrier: &Bound<'py, PyAny>,
        context: Option<&Bound<'py, PyAny>>,
        setter: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let original = self.original(propagator.py()).function.bind(propagator.py());
        original.call1((propagator, carrier, context, setter)).map(drop)
    }
}

impl Original {
    fn of(function: &Bound<'_, PyAny>) -> PyResult<Self> {
        let globals = function.getattr("__globals__")?.cast_into::<PyDict>()?;
        let defaults = function.getattr("__defaults__")?.cast_into::<PyTuple>()?;
        Ok(Self {
            function: function.clone().unbind(),
            default: defaults.get_item(defaults.len().saturating_sub(1))?.unbind(),
            get_global_textmap: globals.get_item("get_global_textmap")?.map(Bound::unbind),
            globals: globals.unbind(),
        })
    }
}
