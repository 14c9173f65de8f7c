//! The arguments of `extract` and `inject`.

use pyo3::prelude::*;

use crate::py::fastcall::Call;
use crate::py::once::Interned;

/// The parameters of both, by the name of their last one.
pub static EXTRACT: [Interned; 3] = [Interned::new("carrier"), Interned::new("context"), Interned::new("getter")];
pub static INJECT: [Interned; 3] = [Interned::new("carrier"), Interned::new("context"), Interned::new("setter")];

/// `carrier`, `context` and the getter or setter.
pub struct Arguments<'py> {
    pub carrier: Bound<'py, PyAny>,
    pub context: Option<Bound<'py, PyAny>>,
    pub accessor: Option<Bound<'py, PyAny>>,
}

impl<'py> Arguments<'py> {
    /// None if they are not what the method takes: the method itself then says so.
    #[inline]
    pub fn of(call: &Call<'_, 'py>, parameters: &'static [Interned; 3]) -> Option<Self> {
        let [carrier, context, accessor] = call.arguments(parameters)?.map(|argument| argument.map(|a| a.to_owned()));
        let context = context.filter(|context| !context.is_none());
        Some(Self { carrier: carrier?, context, accessor })
    }
}
