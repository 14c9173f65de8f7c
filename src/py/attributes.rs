//! What Python hands over as an object of several attributes.

/// `Self`, each of its fields read from the attribute of its name.
///
/// What PyO3 derives for `FromPyObject` does the same, but interns the names with its own `intern!`; see `py::once`.
macro_rules! from_attributes {
    ($object:expr, $($field:ident),+ $(,)?) => {{
        let object: ::pyo3::Borrowed<'_, '_, ::pyo3::PyAny> = $object;
        Self { $($field: object.getattr($crate::py::once::intern!(object.py(), stringify!($field)))?.extract()?),+ }
    }};
}
pub(crate) use from_attributes;
