//! The API's objects, made as their classes make them.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::py::once::get_or_make;
use crate::py::once::intern;
use crate::py::upstream::{BAGGAGE_KEY, TRACE_STATE, Upstream};

pub struct Objects {
    non_recording_span: OneAttribute,
    pub trace_state: Py<PyType>,
    made_trace_state: OneAttribute,
    pub baggage_key: Py<PyString>,
}

/// Looked up at the first call, and never again.
#[inline]
pub fn objects(py: Python<'_>, upstream: &Upstream) -> PyResult<&'static Objects> {
    static OBJECTS: PyOnceLock<Objects> = PyOnceLock::new();
    get_or_make(py, &OBJECTS, || {
        let span = upstream.non_recording_span.bind(py);
        let trace_state = TRACE_STATE.class(py)?;
        let is_made_of = |class: &Bound<'_, PyType>, name: &str| {
            let made = class.call1((py.None(),))?;
            let is_alone = made.getattr("__dict__")?.cast::<PyDict>().is_ok_and(|dict| dict.len() == 1);
            PyResult::Ok(is_alone && made.hasattr(name)? && is_plain(class))
        };
        Ok(Objects {
            non_recording_span: OneAttribute {
                is_known: is_made_of(span, "_context")?,
                class: upstream.non_recording_span.clone_ref(py),
            },
            made_trace_state: OneAttribute {
                is_known: is_made_of(trace_state.bind(py), "_dict")?,
                class: trace_state.clone_ref(py),
            },
            trace_state,
            baggage_key: BAGGAGE_KEY.look_up(py)?.cast_into::<PyString>()?.unbind(),
        })
    })
}

impl Objects {
    #[inline]
    pub fn new_span<'py>(&self, context: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.non_recording_span.made(intern!(context.py(), "_context"), context, || Ok(context.clone()))
    }

    /// Of members that are valid, and not too many.
    #[inline]
    pub fn new_trace_state<'py>(&self, members: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        self.made_trace_state.made(intern!(members.py(), "_dict"), members, || Ok(members.items().into_any()))
    }

    /// The members of a trace state; None if it is another thing than we know.
    #[inline]
    pub fn members<'py>(&self, trace_state: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
        if !self.made_trace_state.is_known || !trace_state.get_type().is(&self.trace_state) {
            return Ok(None);
        }
        let members = trace_state.getattr(intern!(trace_state.py(), "_dict"))?;
        Ok(members.cast_into_exact::<PyDict>().ok())
    }
}

/// A class of objects that have one attribute.
struct OneAttribute {
    class: Py<PyType>,
    is_known: bool,
}

impl OneAttribute {
    #[inline]
    fn made<'py>(
        &self,
        name: &Bound<'py, PyString>,
        value: &Bound<'py, PyAny>,
        argument: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        let class = self.class.bind(py);
        if !self.is_known {
            return class.call1((argument()?,));
        }
        #[allow(unsafe_code)]
        // SAFETY: the class's tp_new is object's own (`is_plain`); the result is a new reference, or null with an
        // exception set.
        let object = unsafe {
            let new = ffi::PyBaseObject_Type.tp_new.expect("object can be made");
            let made = new(class.as_type_ptr(), PyTuple::empty(py).as_ptr(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made)?
        };
        object.setattr(name, value)?;
        Ok(object)
    }
}

/// Whether objects of the class are made as objects are.
fn is_plain(class: &Bound<'_, PyType>) -> bool {
    #[allow(unsafe_code)]
    // SAFETY: compares two fields of living classes.
    unsafe {
        let of_object = ffi::PyBaseObject_Type.tp_new.map(|new| new as usize);
        (*class.as_type_ptr()).tp_new.map(|new| new as usize) == of_object
    }
}
