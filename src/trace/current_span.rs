//! `start_as_current_span`: a span that is current for a block or a function.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::py::boundary::contained;
use crate::py::context::{self, Token};
use crate::py::exception;
use crate::py::fastcall::{Call, fast_method};
use crate::py::once::{Interned, intern};
use crate::py::thread_end::outlast_exit;
use crate::py::upstream::upstream;
use crate::trace::arguments::{Flag, flag, given};
use crate::trace::classes;
use crate::trace::methods;
use crate::trace::span::Span;
use crate::trace::span::end::is_error;
use crate::trace::start::{Start, start_contained};
use crate::trace::tracer::Tracer;

/// The arguments of `start_as_current_span`.
struct Arguments {
    tracer: Py<Tracer>,
    name: Py<PyAny>,
    context: Option<Py<PyAny>>,
    kind: Option<Py<PyAny>>,
    attributes: Option<Py<PyAny>>,
    links: Option<Py<PyAny>>,
    start_time: Option<Py<PyAny>>,
    record_exception: bool,
    set_status_on_exception: bool,
    end_on_exit: bool,
}

#[pyclass(frozen, module = "otel_rs._native")]
pub struct CurrentSpan {
    arguments: Arguments,
    /// From the start of `__enter__` to `__exit__`.
    in_use: AtomicBool,
    entered: Mutex<Option<Entered>>,
}

struct Entered {
    span: Py<PyAny>,
    token: Token,
}

impl CurrentSpan {
    fn new(arguments: Arguments) -> Self {
        Self { arguments, in_use: AtomicBool::new(false), entered: Mutex::new(None) }
    }

    fn entered(&self) -> std::sync::MutexGuard<'_, Option<Entered>> {
        self.entered.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn start<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Token)> {
        let Arguments { tracer, name, context, kind, attributes, links, start_time, .. } = &self.arguments;
        let start = Start {
            name: name.bind(py),
            context: context.as_ref().map(|context| context.bind(py)),
            kind: kind.as_ref().map(|kind| kind.bind(py)),
            attributes: attributes.as_ref().map(|attributes| attributes.bind(py)),
            links: links.as_ref().map(|links| links.bind(py)),
            start_time: start_time.as_ref().map(|start_time| start_time.bind(py)),
            record_exception: self.arguments.record_exception,
            set_status_on_exception: self.arguments.set_status_on_exception,
        };
        let tracer = tracer.bind(py);
        let span = if methods::are_looked_up() || !tracer.get_type().is(classes::tracer(py)?) {
            start_by_method(tracer, &start)?
        } else {
            start_contained(tracer, &start)?
        };
        let token = context::attach_span(py, upstream(py)?, &span)?;
        Ok((span, token))
    }

    /// Leaves a block of which nobody calls `__exit__` any more.
    fn abandon(&self, py: Python<'_>, entered: Option<Entered>) {
        if let Some(entered) = entered {
            let leave = || contained(py, "__exit__", || self.leave(py, entered, None), || Ok(()));
            exception::in_destructor(py, leave);
        }
    }

    #[inline]
    fn exit(&self, py: Python<'_>, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Some(entered) = self.entered().take() else {
            return Err(PyRuntimeError::new_err("start_as_current_span was not entered"));
        };
        self.in_use.store(false, Ordering::Release);
        contained(py, "__exit__", || self.leave(py, entered, exception), || Ok(()))
    }

    fn leave(&self, py: Python<'_>, entered: Entered, exception: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let Arguments { record_exception, set_status_on_exception, end_on_exit, .. } = self.arguments;
        let at_exit = AtExit { end: end_on_exit, record_exception, set_status: set_status_on_exception };
        leave(entered.span.bind(py), entered.token, exception, at_exit)
    }
}

/// What becomes of a span whose block is left.
#[derive(Clone, Copy)]
pub struct AtExit {
    pub end: bool,
    pub record_exception: bool,
    pub set_status: bool,
}

/// Leaves the block in which a span was the current one.
pub fn leave(
    span: &Bound<'_, PyAny>,
    token: Token,
    exception: Option<&Bound<'_, PyAny>>,
    at_exit: AtExit,
) -> PyResult<()> {
    let py = span.py();
    context::detach(py, upstream(py)?, token);
    let ours = span.cast::<Span>().ok();
    // The other spans that a tracer returns record nothing.
    if let Some(exception) = exception
        && let Some(ours) = ours
        && is_error(exception)
        && !ours.get().has_ended()
        && let Err(error) = Span::record_escaping(ours, exception, at_exit.record_exception, at_exit.set_status, false)
    {
        exception::swallow(py, "An exception was not recorded", error);
    }
    match ours {
        _ if !at_exit.end => Ok(()),
        // Not a subclass: no need to look its `end` up.
        Some(ours) if span.get_type().is(classes::span(py)?) && !methods::are_looked_up() => Span::end_now(ours, None),
        _ => span.call_method0(intern!(py, "end")).map(drop),
    }
}

impl Drop for CurrentSpan {
    /// Nobody left the block: its span ends all the same, and is current no longer, as where upstream's generator is
    /// closed.
    ///
    /// CPython 3.14 looks for signals after it called `__enter__` and before the block begins. An exception that a handler
    /// raises there discards this object without a call of `__exit__`.
    fn drop(&mut self) {
        let entered = self.entered.get_mut().unwrap_or_else(|e| e.into_inner()).take();
        if entered.is_some() {
            // Python deallocates in attached threads; where it cannot be attached, it is going away.
            Python::try_attach(|py| self.abandon(py, entered));
        }
    }
}

/// A subclass of the tracer may have its own `start_span`.
fn start_by_method<'py>(tracer: &Bound<'py, Tracer>, start: &Start<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = tracer.py();
    let arguments = PyDict::new(py);
    arguments.set_item("name", start.name)?;
    arguments.set_item("context", start.context)?;
    arguments.set_item("kind", start.kind.unwrap_or(upstream(py)?.kinds[0].bind(py)))?;
    arguments.set_item("attributes", start.attributes)?;
    arguments.set_item("links", start.links.unwrap_or(PyTuple::empty(py).as_any()))?;
    arguments.set_item("start_time", start.start_time)?;
    arguments.set_item("record_exception", start.record_exception)?;
    arguments.set_item("set_status_on_exception", start.set_status_on_exception)?;
    tracer.call_method("start_span", (), Some(&arguments))
}

#[pymethods]
impl CurrentSpan {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Arguments { tracer, name, context, kind, attributes, links, start_time, .. } = &self.arguments;
        visit.call(tracer)?;
        visit.call(name)?;
        [context, kind, attributes, links, start_time].into_iter().try_for_each(|argument| visit.call(argument))?;
        match self.entered.try_lock() {
            Ok(entered) => entered.iter().try_for_each(|entered| {
                visit.call(&entered.span)?;
                entered.token.traverse(&visit)
            }),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self, py: Python<'_>) {
        let entered = self.entered().take();
        self.abandon(py, entered);
    }

    fn __enter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.in_use.swap(true, Ordering::AcqRel) {
            return Err(PyRuntimeError::new_err("start_as_current_span is entered already"));
        }
        match self.start(py) {
            Ok((span, token)) => {
                // Nothing is replaced: `in_use` excludes all others.
                *self.entered() = Some(Entered { span: span.clone().unbind(), token });
                Ok(span)
            }
            Err(error) => {
                self.in_use.store(false, Ordering::Release);
                Err(error)
            }
        }
    }

    #[pyo3(signature = (_kind=None, exception=None, _traceback=None))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: Option<&Bound<'_, PyAny>>,
        exception: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.exit(py, exception)?;
        Ok(false)
    }

    /// Decorates a function, a coroutine function included: every call gets a span of its own.
    fn __call__<'py>(&self, py: Python<'py>, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let a = &self.arguments;
        let keywords = PyDict::new(py);
        keywords.set_item("context", &a.context)?;
        keywords.set_item("kind", &a.kind)?;
        keywords.set_item("attributes", &a.attributes)?;
        keywords.set_item("links", &a.links)?;
        keywords.set_item("start_time", &a.start_time)?;
        keywords.set_item("record_exception", a.record_exception)?;
        keywords.set_item("set_status_on_exception", a.set_status_on_exception)?;
        keywords.set_item("end_on_exit", a.end_on_exit)?;
        let decorate = py.import("otel_rs.trace._decorator")?.getattr("in_span")?;
        decorate.call1((&a.tracer, &a.name, keywords, function))
    }
}

fast_method!(pub static START_AS_CURRENT_SPAN: Tracer, "start_as_current_span", make_by_call);

static PARAMETERS: [Interned; 9] = [
    Interned::new("name"),
    Interned::new("context"),
    Interned::new("kind"),
    Interned::new("attributes"),
    Interned::new("links"),
    Interned::new("start_time"),
    Interned::new("record_exception"),
    Interned::new("set_status_on_exception"),
    Interned::new("end_on_exit"),
];

fn make_by_call<'py>(tracer: &Bound<'py, Tracer>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = tracer.py();
    let Some([Some(name), context, kind, attributes, links, start_time, record, set_status, end]) =
        call.arguments(&PARAMETERS)
    else {
        return Ok(None);
    };
    outlast_exit();
    let owned = |argument| given(&argument).map(|argument| argument.clone().unbind());
    let made = CurrentSpan::new(Arguments {
        tracer: tracer.clone().unbind(),
        name: name.to_owned().unbind(),
        context: owned(context),
        kind: owned(kind),
        attributes: owned(attributes),
        links: owned(links),
        start_time: owned(start_time),
        record_exception: flag(record)?,
        set_status_on_exception: flag(set_status)?,
        end_on_exit: flag(end)?,
    });
    Ok(Some(Bound::new(py, made)?.into_any()))
}

fast_method!(pub static EXIT: CurrentSpan, "__exit__", exit_by_call);

static EXIT_PARAMETERS: [Interned; 3] =
    [Interned::new("_kind"), Interned::new("exception"), Interned::new("_traceback")];

fn exit_by_call<'py>(current: &Bound<'py, CurrentSpan>, call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = current.py();
    let Some([_, exception, _]) = call.arguments(&EXIT_PARAMETERS) else { return Ok(None) };
    current.get().exit(py, given(&exception))?;
    Ok(Some(PyBool::new(py, false).to_owned().into_any()))
}

#[pymethods]
impl Tracer {
    /// A context manager, also a decorator, that starts a span, makes it the current one, and ends it.
    #[pyo3(signature = (name, context=None, kind=None, attributes=None, links=None, start_time=None,
                        record_exception=Flag(true), set_status_on_exception=Flag(true), end_on_exit=Flag(true)))]
    #[allow(clippy::too_many_arguments)]
    fn start_as_current_span(
        slf: &Bound<'_, Self>,
        name: Py<PyAny>,
        context: Option<Py<PyAny>>,
        kind: Option<Py<PyAny>>,
        attributes: Option<Py<PyAny>>,
        links: Option<Py<PyAny>>,
        start_time: Option<Py<PyAny>>,
        record_exception: Flag,
        set_status_on_exception: Flag,
        end_on_exit: Flag,
    ) -> CurrentSpan {
        outlast_exit();
        let tracer = slf.clone().unbind();
        CurrentSpan::new(Arguments {
            tracer,
            name,
            context,
            kind,
            attributes,
            links,
            start_time,
            record_exception: record_exception.0,
            set_status_on_exception: set_status_on_exception.0,
            end_on_exit: end_on_exit.0,
        })
    }
}
