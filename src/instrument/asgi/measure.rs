//! What is measured of a request to an ASGI application.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::instrument::asgi::module::{AsgiModule, Reported};
use crate::instrument::measure::Measurement;
use crate::metrics::exemplar_filter::Within;
use crate::metrics::items::Given;
use crate::py::once::intern;

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
        let target = if reported.old { self.target(module)? } else { None };
        let target = target.as_ref().map(|target| (intern!(py, "http.target"), target));
        // For the exemplars.
        let within = Within::Span(self.span);
        let measurement = |keys, more| Measurement { attributes: Given::Dict(self.attributes), keys, more, within };
        let old = measurement(&names.duration_old, target);
        let new = measurement(&names.duration_new, None);
        let seconds = self.seconds.max(0.0);
        if let Some(histogram) = self.histogram(intern!(py, "duration_histogram_old"))? {
            old.record_milliseconds(&histogram, seconds)?;
        }
        if let Some(histogram) = self.histogram(intern!(py, "duration_histogram_new"))? {
            new.record_seconds(&histogram, seconds)?;
        }
        let response_size = self.middleware.getattr(intern!(py, "content_length_header"))?;
        let sizes = [
            (intern!(py, "server_response_size_histogram"), intern!(py, "server_response_body_size_histogram")),
            (intern!(py, "server_request_size_histogram"), intern!(py, "server_request_body_size_histogram")),
        ];
        let response_size = if response_size.is_truthy()? { Some(response_size) } else { None };
        for (size, (old_name, new_name)) in [response_size, module.content_length(self.scope)?].into_iter().zip(sizes) {
            let Some(size) = size else { continue };
            if let Some(histogram) = self.histogram(old_name)? {
                old.record_size(&histogram, &size)?;
            }
            if let Some(histogram) = self.histogram(new_name)? {
                new.record_size(&histogram, &size)?;
            }
        }
        Ok(())
    }

    /// None where the program asked for other names.
    fn histogram(&self, name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let histogram = self.middleware.getattr(name)?;
        Ok(if !histogram.is_none() && histogram.is_truthy()? { Some(histogram) } else { None })
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
