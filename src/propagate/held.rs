//! The context that an extraction has by now.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::py::context;
use crate::py::upstream::Upstream;

pub struct Held<'py> {
    /// None until a propagator has returned one.
    context: Option<Bound<'py, PyAny>>,
    /// It was made in this call, and nobody else has it.
    is_ours: bool,
}

impl<'py> Held<'py> {
    pub fn given(context: Option<Bound<'py, PyAny>>) -> Self {
        Self { context: context.filter(|context| !context.is_none()), is_ours: false }
    }

    fn ours(context: Bound<'py, PyDict>) -> Self {
        Self { context: Some(context.into_any()), is_ours: true }
    }

    /// For Python code, which may keep it.
    pub fn shown(&mut self) -> Option<&Bound<'py, PyAny>> {
        self.is_ours = false;
        self.context.as_ref()
    }

    pub fn into_result(self) -> Option<Bound<'py, PyAny>> {
        self.context
    }

    pub fn or_empty(self, py: Python<'py>, upstream: &Upstream) -> PyResult<Self> {
        match self.context {
            Some(_) => Ok(self),
            None => Ok(Self::ours(context::copied(py, upstream, None)?)),
        }
    }

    pub fn or_current(self, py: Python<'py>, upstream: &Upstream) -> PyResult<Self> {
        match self.context {
            Some(_) => Ok(self),
            None => Ok(Self::given(Some(context::current(py, upstream)?))),
        }
    }

    /// None unless it is a `Context` or a plain dict: others have code of their own.
    #[inline]
    pub fn dict(&self, upstream: &Upstream) -> Option<&Bound<'py, PyDict>> {
        self.context.as_ref().and_then(|context| plain(upstream, context))
    }

    /// With one more value. `dict` gave something.
    #[inline]
    pub fn with(
        self,
        py: Python<'py>,
        upstream: &Upstream,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let context = match self.dict(upstream) {
            Some(context) if self.is_ours => context.clone(),
            before => context::copied(py, upstream, before)?,
        };
        context.set_item(key, value)?;
        Ok(Self::ours(context))
    }
}

#[inline]
pub fn plain<'a, 'py>(upstream: &Upstream, context: &'a Bound<'py, PyAny>) -> Option<&'a Bound<'py, PyDict>> {
    let is_context = context.get_type_ptr().cast() == upstream.context.as_ptr();
    if is_context || context.is_exact_instance_of::<PyDict>() { context.cast::<PyDict>().ok() } else { None }
}
