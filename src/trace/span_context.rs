//! A span's context: numbers for the hot path, and the API's `SpanContext` object once somebody asks for it.

use std::sync::{Arc, OnceLock};

use pyo3::IntoPyObjectExt;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple};

use crate::py::call;
use crate::py::once::get_or_make;
use crate::py::once::intern;
use crate::py::thread_end::outlast_exit;
use crate::py::upstream::Upstream;

pub const SAMPLED: u8 = 0x01;
pub const RANDOM_TRACE_ID: u8 = 0x02;

pub struct SpanContext {
    pub trace_id: u128,
    pub span_id: u64,
    pub flags: u8,
    pub is_remote: bool,
    /// None stands for the API's empty default.
    pub trace_state: Option<Py<PyAny>>,
    /// Shared with the children, whose parent it is, so that all have the same object.
    object: OnceLock<Arc<PyOnceLock<Py<PyAny>>>>,
}

fn known(py: Python<'_>, object: Py<PyAny>) -> OnceLock<Arc<PyOnceLock<Py<PyAny>>>> {
    let cell = PyOnceLock::new();
    let _ = cell.set(py, object);
    OnceLock::from(Arc::new(cell))
}

impl SpanContext {
    pub fn local(trace_id: u128, span_id: u64, flags: u8, trace_state: Option<Py<PyAny>>) -> Self {
        Self { trace_id, span_id, flags, is_remote: false, trace_state, object: OnceLock::new() }
    }

    /// The context that an API object holds; None if it is not valid.
    pub fn of_object(py: Python<'_>, upstream: &Upstream, object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        if upstream.span_context_is_tuple
            && object.get_type().is(&upstream.span_context)
            && let Ok(fields) = object.cast::<PyTuple>()
        {
            // Reads the tuple's fields without calling their properties.
            return Self::of_fields(py, upstream, object, |at, _| fields.get_item(at));
        }
        Self::of_fields(py, upstream, object, |_, name| object.getattr(name))
    }

    fn of_fields<'py>(
        py: Python<'py>,
        upstream: &Upstream,
        object: &Bound<'py, PyAny>,
        field: impl Fn(usize, &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Self>> {
        if !field(5, intern!(py, "is_valid"))?.is_truthy()? {
            return Ok(None);
        }
        let trace_state = field(4, intern!(py, "trace_state"))?;
        let has_state = !trace_state.is_none() && !trace_state.is(&upstream.default_trace_state);
        Ok(Some(Self {
            trace_id: field(0, intern!(py, "trace_id"))?.extract()?,
            span_id: field(1, intern!(py, "span_id"))?.extract()?,
            is_remote: field(2, intern!(py, "is_remote"))?.is_truthy()?,
            flags: (field(3, intern!(py, "trace_flags"))?.extract::<u64>()? & 0xff) as u8,
            trace_state: has_state.then(|| trace_state.unbind()),
            object: known(py, object.clone().unbind()),
        }))
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.flags,
            is_remote: self.is_remote,
            trace_state: self.trace_state.as_ref().map(|state| state.clone_ref(py)),
            object: OnceLock::from(Arc::clone(self.cell())),
        }
    }

    pub fn is_valid(&self) -> bool {
        self.trace_id != 0 && self.span_id != 0
    }

    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    fn cell(&self) -> &Arc<PyOnceLock<Py<PyAny>>> {
        self.object.get_or_init(|| Arc::new(PyOnceLock::new()))
    }

    /// The API's object, made at the first call.
    pub fn object<'py>(&self, py: Python<'py>, upstream: &Upstream) -> PyResult<&Bound<'py, PyAny>> {
        Ok(get_or_make(py, self.cell(), || self.make_object(py, upstream))?.bind(py))
    }

    pub fn make_object(&self, py: Python<'_>, upstream: &Upstream) -> PyResult<Py<PyAny>> {
        outlast_exit();
        let flags = match upstream.known_trace_flags.get(usize::from(self.flags)) {
            Some(flags) => flags.clone_ref(py),
            None => upstream.trace_flags.bind(py).call1((self.flags,))?.unbind(),
        };
        let trace_state = self.trace_state.as_ref().unwrap_or(&upstream.default_trace_state);
        let class = upstream.span_context.bind(py);
        if !upstream.span_context_is_tuple {
            let arguments = (self.trace_id, self.span_id, self.is_remote, flags, trace_state);
            return Ok(class.call1(arguments)?.unbind());
        }
        let fields: [Py<PyAny>; 6] = [
            self.trace_id.into_py_any(py)?,
            self.span_id.into_py_any(py)?,
            self.is_remote.into_py_any(py)?,
            flags,
            trace_state.clone_ref(py),
            self.is_valid().into_py_any(py)?,
        ];
        #[allow(unsafe_code)]
        // SAFETY: `SpanContext` derives from tuple (checked when the API was looked up), which allocates its objects, with
        // place for so many. The result is a new reference, or null with an exception set. Each place takes a reference
        // before anybody else has the object: so does tuple's own tp_new.
        let object = unsafe {
            let allocate = (*class.as_type_ptr()).tp_alloc.expect("every class has it");
            let object = Bound::from_owned_ptr_or_err(py, allocate(class.as_type_ptr(), fields.len() as isize))?;
            for (place, field) in (0..).zip(fields) {
                ffi::PyTuple_SET_ITEM(object.as_ptr(), place, field.into_ptr());
            }
            // Where tuples keep their hash, tuple's own tp_new says so too that there is none yet.
            #[cfg(Py_3_14)]
            {
                (*object.as_ptr().cast::<ffi::PyTupleObject>()).ob_hash = -1;
            }
            object
        };
        Ok(object.unbind())
    }

    /// The W3C tracestate header, which is also the wire form.
    pub fn trace_state_header(&self, py: Python<'_>) -> PyResult<String> {
        match &self.trace_state {
            Some(state) => call::method(intern!(py, "to_header"), [state.bind(py)], None)?.extract(),
            None => Ok(String::new()),
        }
    }
}
