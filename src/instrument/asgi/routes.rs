//! The name of a request's span: of its path, or of the route that it takes.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

use crate::instrument::asgi::module::is;
use crate::instrument::attributes::is_known_method;
use crate::instrument::originals::Originals;
use crate::py::call;
use crate::py::once::intern;

/// What `opentelemetry.instrumentation.asgi.get_default_span_details` makes of a scope; None where it takes another way
/// than the usual one, so that its own code has to run.
#[pyfunction]
pub fn asgi_span_details<'py>(
    scope: &Bound<'py, PyAny>,
) -> PyResult<Option<(Bound<'py, PyString>, Bound<'py, PyDict>)>> {
    let py = scope.py();
    let Ok(scope) = scope.cast_exact::<PyDict>() else { return Ok(None) };
    let (Some(method), Some(path)) = (scope.get_item(intern!(py, "method"))?, scope.get_item(intern!(py, "path"))?)
    else {
        return Ok(None);
    };
    let (Ok(method), Ok(path)) = (method.cast_exact::<PyString>(), path.cast_exact::<PyString>()) else {
        return Ok(None);
    };
    let Ok(text) = path.to_str() else { return Ok(None) };
    // Nothing to strip.
    let is_plain = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    if !(is_known_method(method) && is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last())) {
        return Ok(None);
    }
    Ok(Some((PyString::new(py, &format!("{} {text}", method.to_str()?)), PyDict::new(py))))
}

/// The routes of an application, as the instrumentations of Starlette and FastAPI look through them.
#[pyclass(frozen, module = "otel_rs._native")]
pub struct AsgiRoutes {
    names: Names,
}

/// What it is made of, as attributes of an object.
struct Names {
    /// Classes whose routes match by their regular expression, and their `matches`; empty in a release of Starlette that
    /// is not known.
    classes: Vec<Known>,
    /// `Route`.
    route: Py<PyType>,
    /// Starlette's property `routes`.
    routes: Py<PyAny>,
    get_route_path: Py<PyAny>,
    /// Asks a route of another class: whether that is the one, and its path. And one of an included router.
    ask: Py<PyAny>,
    ask_included: Py<PyAny>,
    /// FastAPI's classes for routers that applications include, in the releases that are known.
    included: Option<Included>,
    /// Where the convertors of paths are that take whatever their expression matches.
    convertors: Py<PyString>,
    /// Contrib's `_get_route_details`; and its `sanitize_method`, where it has one.
    route_details: Py<Originals>,
    method: Option<Py<Originals>>,
    /// The scope's key of a request to a part of another application, which has said what it found; and contrib's way
    /// with it.
    inner: Option<Py<PyString>>,
    in_contrib: Py<PyAny>,
}

extract_from_attributes!(Names {
    classes,
    route,
    routes,
    get_route_path,
    ask,
    ask_included,
    included,
    convertors,
    route_details,
    method,
    inner,
    in_contrib
});

/// FastAPI's `_IncludedRouter`, what it has for each of its routes, and `APIRoute`.
struct Included {
    router: Py<PyType>,
    context: Py<PyType>,
    route: Py<PyType>,
}

extract_from_attributes!(Included { router, context, route });

/// The route that a request takes, as far as it is known.
enum Found<'py> {
    Taken(Bound<'py, PyAny>),
    /// The best one so far, if there is one.
    Perhaps(Bound<'py, PyAny>),
}

/// A class of routes.
struct Known {
    class: Py<PyType>,
    matches: Py<PyAny>,
}

extract_from_attributes!(Known { class, matches });

#[pymethods]
impl AsgiRoutes {
    #[new]
    fn new(names: Names) -> Self {
        Self { names }
    }

    /// `_get_route_details`: the path of the route that a request takes, None if it takes none.
    fn path<'py>(&self, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        if let Some(inner) = &self.names.inner
            && scope.contains(inner)?
        {
            return self.names.in_contrib.bind(py).call1((scope,));
        }
        let routes = self.routes(&scope.get_item(intern!(py, "app"))?)?;
        let usual = self.are_usual(py)?;
        let path = if usual { Some(self.route_path(scope)?) } else { None };
        let mut found = py.None().into_bound(py);
        for route in routes.try_iter()? {
            match self.find(&route?, scope, path.as_ref(), found)? {
                Found::Taken(path) => return Ok(path),
                Found::Perhaps(path) => found = path,
            }
        }
        Ok(found)
    }

    /// `_get_default_span_details`.
    fn __call__<'py>(&self, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let py = scope.py();
        let contribs = self.names.route_details.get();
        let route = if contribs.are_there(py)? { self.path(scope)? } else { contribs.call(py, (scope,))? };
        let method = self.method(scope)?;
        let attributes = PyDict::new(py);
        let name = if route.is_truthy()? {
            attributes.set_item(intern!(py, "http.route"), &route)?;
            if method.is_truthy()? { joined(&method, &route)? } else { route }
        } else {
            method
        };
        PyTuple::new(py, [name, attributes.into_any()])
    }
}

/// `f"{method} {route}"`.
fn joined<'py>(method: &Bound<'py, PyAny>, route: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = route.py();
    if let (Ok(method), Ok(route)) = (method.cast_exact::<PyString>(), route.cast_exact::<PyString>())
        && let (Ok(method), Ok(route)) = (method.to_str(), route.to_str())
    {
        return Ok(PyString::new(py, &format!("{method} {route}")).into_any());
    }
    intern!(py, "{} {}").call_method1(intern!(py, "format"), (method, route))
}

impl AsgiRoutes {
    /// `path`: what the expressions are matched with, if no program has replaced what matches.
    fn find<'py>(
        &self,
        route: &Bound<'py, PyAny>,
        scope: &Bound<'py, PyAny>,
        path: Option<&Bound<'py, PyAny>>,
        found: Bound<'py, PyAny>,
    ) -> PyResult<Found<'py>> {
        if let (Some(path), Some(included)) = (path, &self.names.included)
            && route.get_type().is(&included.router)
        {
            return self.find_included(route, scope, path, found);
        }
        self.find_one(route, scope, path, found, &self.names.ask)
    }

    /// `effective_route_contexts`, one after the other.
    fn find_included<'py>(
        &self,
        router: &Bound<'py, PyAny>,
        scope: &Bound<'py, PyAny>,
        path: &Bound<'py, PyAny>,
        mut found: Bound<'py, PyAny>,
    ) -> PyResult<Found<'py>> {
        let py = router.py();
        for candidate in router.call_method0(intern!(py, "effective_candidates"))?.try_iter()? {
            let candidate = candidate?;
            let next = match &self.names.included {
                Some(included) if candidate.get_type().is(&included.router) => {
                    self.find_included(&candidate, scope, path, found)?
                }
                _ => {
                    let starlettes = candidate.getattr(intern!(py, "starlette_route"))?;
                    let route = if starlettes.is_none() { candidate } else { starlettes };
                    self.find_one(&route, scope, Some(path), found, &self.names.ask_included)?
                }
            };
            match next {
                Found::Taken(path) => return Ok(Found::Taken(path)),
                Found::Perhaps(path) => found = path,
            }
        }
        Ok(Found::Perhaps(found))
    }

    fn find_one<'py>(
        &self,
        route: &Bound<'py, PyAny>,
        scope: &Bound<'py, PyAny>,
        path: Option<&Bound<'py, PyAny>>,
        found: Bound<'py, PyAny>,
        ask: &Py<PyAny>,
    ) -> PyResult<Found<'py>> {
        let py = route.py();
        if let Some(path) = path
            && self.is_known(route)?
        {
            let expression = route.getattr(intern!(py, "path_regex"))?;
            if call::method(intern!(py, "match"), [&expression, path], None)?.is_none() {
                return Ok(Found::Perhaps(found));
            }
            if self.takes(route, scope)? {
                return route.getattr(intern!(py, "path")).map(Found::Taken);
            }
        }
        let answer = ask.bind(py).call1((route, scope, found))?;
        let (is_taken, path) = answer.extract::<(bool, Bound<'py, PyAny>)>()?;
        Ok(if is_taken { Found::Taken(path) } else { Found::Perhaps(path) })
    }

    /// `application.routes`.
    fn routes<'py>(&self, application: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = application.py();
        let name = intern!(py, "routes");
        if application.get_type().getattr(name)?.is(&self.names.routes) {
            return application.getattr(intern!(py, "router"))?.getattr(name);
        }
        application.getattr(name)
    }

    /// Whether no program has replaced what matches.
    fn are_usual(&self, py: Python<'_>) -> PyResult<bool> {
        for known in &self.names.classes {
            if !known.class.bind(py).getattr(intern!(py, "matches"))?.is(&known.matches) {
                return Ok(false);
            }
        }
        Ok(!self.names.classes.is_empty())
    }

    /// Whether its expression tells which paths it takes.
    fn is_known(&self, route: &Bound<'_, PyAny>) -> PyResult<bool> {
        let class = route.get_type();
        if let Some(included) = &self.names.included
            && class.is(&included.context)
        {
            let original = route.getattr(intern!(route.py(), "original_route"))?;
            return original.is_instance(included.route.bind(route.py()));
        }
        Ok(self.names.classes.iter().any(|known| class.is(&known.class)))
    }

    fn route_path<'py>(&self, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        if let Ok(scope) = scope.cast_exact::<PyDict>() {
            let root = scope.get_item(intern!(py, "root_path"))?;
            if root.map_or(Ok(true), |root| root.is_truthy().map(|is_there| !is_there))? {
                return scope.as_any().get_item(intern!(py, "path"));
            }
        }
        self.names.get_route_path.bind(py).call1((scope,))
    }

    /// Whether it is this one, whose expression matches. If that is not sure, it has to be asked.
    fn takes(&self, route: &Bound<'_, PyAny>, scope: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = route.py();
        let is_context = self.names.included.as_ref().is_some_and(|included| route.get_type().is(&included.context));
        let is_route = is_context || route.is_instance(self.names.route.bind(py))?;
        if !is_route || !is(&scope.get_item(intern!(py, "type"))?, "http")? {
            return Ok(false);
        }
        let methods = route.getattr(intern!(py, "methods"))?;
        if methods.is_truthy()? && !methods.contains(scope.get_item(intern!(py, "method"))?)? {
            return Ok(false);
        }
        let convertors = route.getattr(intern!(py, "param_convertors"))?;
        let Ok(convertors) = convertors.cast_exact::<PyDict>() else { return Ok(false) };
        for convertor in convertors.values() {
            let module = convertor.get_type().getattr(intern!(py, "__module__"))?;
            if !module.is(&self.names.convertors) && !module.eq(&self.names.convertors)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn method<'py>(&self, scope: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = scope.py();
        let method = match scope.cast_exact::<PyDict>() {
            Ok(scope) => scope.get_item(intern!(py, "method"))?,
            Err(_) => Some(scope.call_method1(intern!(py, "get"), (intern!(py, "method"), ""))?),
        };
        let method = method.unwrap_or_else(|| intern!(py, "").clone().into_any());
        let Some(contribs) = &self.names.method else { return Ok(method) };
        if contribs.get().are_there(py)? && method.cast_exact::<PyString>().is_ok_and(is_known_method) {
            return Ok(method);
        }
        let method = contribs.get().call(py, (method.call_method0(intern!(py, "strip"))?,))?;
        Ok(if method.eq("_OTHER")? { intern!(py, "HTTP").clone().into_any() } else { method })
    }
}
