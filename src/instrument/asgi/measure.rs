//! What is measured of a request to an ASGI application.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::instrument::asgi::module::{AsgiModule, Reported};
use crate::instrument::attributes::selected_attributes;
use crate::py::call;
use crate::py::context;
use crate::py::once::intern;
use crate::py::upstream::upstream;

/// A request that has ended.
pub struct Measured<'a, 'py> {
    pub middleware: &'a Bound<'py, PyAny>,
    pub span: &'a Bound<'py, PyAny>,
    pub scope: &'a Bound<'py, PyAny>,
    pub attributes: &'a Bound<'py, PyDict>,
    pub seconds: f64,
}

impl<'py> Measured<'_, 'py> {
    /// Records its duration and its sizes in those of the middleware's histograms that there are.
    pub fn record(&self, module: &AsgiModule, reported: Reported) -> PyResult<()> {
        let py = self.span.py();
        let names = module.names();
        let select = |keys: &Py<_>| selected_attributes(self.attributes, keys.bind(py));
        let old = if reported.old { Some(select(&names.duration_old)?) } else { None };
        let new = if reported.new { Some(select(&names.duration_new)?) } else { None };
        if let Some(labels) = &old
            && let Some(target) = self.target(module)?
        {
            labels.set_item(intern!(py, "http.target"), target)?;
        }
        // For the exemplars.
        let within = context::with_span(upstream(py)?, self.span)?;
        let record = |name: &Bound<'py, PyString>, amount: &Bound<'py, PyAny>, labels: Option<&Bound<'py, PyDict>>| {
            self.record_one(name, amount, labels, &within)
        };
        // As Python rounds.
        let milliseconds = ((self.seconds * 1000.0).round_ties_even() as i64).max(0).into_pyobject(py)?.into_any();
        record(intern!(py, "duration_histogram_old"), &milliseconds, old.as_ref())?;
        let seconds = self.seconds.max(0.0).into_pyobject(py)?.into_any();
        record(intern!(py, "duration_histogram_new"), &seconds, new.as_ref())?;
        let response_size = self.middleware.getattr(intern!(py, "content_length_header"))?;
        if response_size.is_truthy()? {
            record(intern!(py, "server_response_size_histogram"), &response_size, old.as_ref())?;
            record(intern!(py, "server_response_body_size_histogram"), &response_size, new.as_ref())?;
        }
        if let Some(size) = module.content_length(self.scope)? {
            record(intern!(py, "server_request_size_histogram"), &size, old.as_ref())?;
            record(intern!(py, "server_request_body_size_histogram"), &size, new.as_ref())?;
        }
        Ok(())
    }

    fn record_one(
        &self,
        name: &Bound<'py, PyString>,
        amount: &Bound<'py, PyAny>,
        labels: Option<&Bound<'py, PyDict>>,
        within: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let py = name.py();
        let histogram = self.middleware.getattr(name)?;
        if histogram.is_none() || !histogram.is_truthy()? {
            return Ok(());
        }
        let none = py.None().into_bound(py);
        let labels = labels.map_or(&none, |labels| labels.as_any());
        let names = PyTuple::new(py, [intern!(py, "context")])?;
        call::method(intern!(py, "record"), [&histogram, amount, labels, within], Some(&names)).map(drop)
    }

    /// `_collect_target_attribute`: the path of the route, as FastAPI has put it into the scope.
    fn target(&self, module: &AsgiModule) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.span.py();
        let contribs = module.names().target.get();
        let Ok(scope) = self.scope.cast_exact::<PyDict>() else { return truthy(contribs.call(py, (self.scope,))?) };
        if !contribs.are_there(py)? {
            return truthy(contribs.call(py, (scope,))?);
        }
        let Some(route) = scope.get_item(intern!(py, "route"))?.filter(|route| !route.is_none()) else {
            return Ok(None);
        };
        let Some(path) = route.getattr_opt(intern!(py, "path_format"))? else { return Ok(None) };
        let Some(path) = truthy(path)? else { return Ok(None) };
        let root = scope.get_item(intern!(py, "root_path"))?;
        match root {
            None => path.str().map(|path| Some(path.into_any())),
            Some(root) if root.cast_exact::<PyString>().is_ok_and(|root| root.is_empty().unwrap_or(false)) => {
                path.str().map(|path| Some(path.into_any()))
            }
            Some(_) => truthy(contribs.call(py, (scope,))?),
        }
    }
}

fn truthy(object: Bound<'_, PyAny>) -> PyResult<Option<Bound<'_, PyAny>>> {
    Ok(if object.is_truthy()? { Some(object) } else { None })
}
