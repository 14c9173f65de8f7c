//! Native parts of the hottest instrumentations: what they compute in each request.

/// Extracts a struct from an object with attributes of the same names.
macro_rules! extract_from_attributes {
    ($made:ident { $($field:ident),* $(,)? }) => {
        impl<'a, 'py> pyo3::FromPyObject<'a, 'py> for $made {
            type Error = pyo3::PyErr;

            fn extract(object: pyo3::Borrowed<'a, 'py, pyo3::PyAny>) -> pyo3::PyResult<Self> {
                Ok($crate::py::attributes::from_attributes!(object, $($field),*))
            }
        }
    };
}

pub mod api_context;
pub mod asgi;
pub mod attributes;
pub mod client;
mod client_span;
pub mod collected;
pub mod contexts;
pub mod dbapi;
pub mod exclusion;
pub mod flask;
pub mod httpx;
pub mod measure;
pub mod originals;
pub mod requests;
pub mod server_span;
pub mod use_span;
pub mod wsgi;
pub mod wsgi_convention;
