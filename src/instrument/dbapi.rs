//! Methods of the proxies that contrib's instrumentation of database drivers puts around connections and cursors.

use std::ffi::CStr;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::instrument::client_span::ClientSpan;
use crate::instrument::contexts::is_instrumentation_enabled;
use crate::instrument::originals::Originals;
use crate::instrument::server_span::{is_recording, set_attributes};
use crate::propagate::known::KnownClass;
use crate::py::call;
use crate::py::fastcall::{Call, new_method, raw_function};
use crate::py::once::{Interned, get_or_make, intern};

/// Contrib's module, as attributes of an object that `otel_rs.instrument.dbapi` makes.
struct Module {
    /// What it has.
    namespace: Py<PyDict>,
    /// Its `get_traced_cursor_proxy`, which a program may replace.
    get_traced_cursor_proxy: Py<Originals>,
    /// Its `CursorTracer`, and what tells whether a method of that is contrib's, or ours in its place.
    cursor_tracer: Py<PyType>,
    is_known: Py<PyAny>,
    leading_comment: Py<PyAny>,
    /// `ObjectProxy.__init__`.
    init_proxy: Py<PyAny>,
    /// By the modes of the semantic conventions in which statements have no metrics.
    names: Vec<Names>,
}

extract_from_attributes!(Module {
    namespace,
    get_traced_cursor_proxy,
    cursor_tracer,
    is_known,
    leading_comment,
    init_proxy,
    names
});

/// The names of a statement's attributes in a mode.
struct Names {
    mode: Py<PyAny>,
    system: Vec<Py<PyString>>,
    name: Vec<Py<PyString>>,
    statement: Vec<Py<PyString>>,
}

extract_from_attributes!(Names { mode, system, name, statement });

static MODULE: PyOnceLock<Module> = PyOnceLock::new();

fn module<'py>(py: Python<'py>) -> &'py Module {
    MODULE.get(py).expect("set before the methods are made")
}

struct Method {
    class: &'static str,
    name: &'static str,
    doc: &'static CStr,
    function: ffi::PyCFunctionFastWithKeywords,
    made: PyOnceLock<Py<PyAny>>,
}

macro_rules! method {
    ($class:literal, $name:literal, $doc:literal, $function:expr) => {
        Method {
            class: $class,
            name: $name,
            doc: $doc,
            function: raw_function!(|py, this, call| {
                let this = this.ok_or_else(|| PyTypeError::new_err("a method has an object"))?;
                $function(py, this, call)
            }),
            made: PyOnceLock::new(),
        }
    };
}

static METHODS: [Method; 7] = [
    method!(
        "TracedConnectionProxy",
        "__getattribute__",
        c"__getattribute__($self, name, /)\n--\n\nThe proxy's own attribute.",
        get_attribute
    ),
    method!(
        "TracedConnectionProxy",
        "cursor",
        c"cursor($self, *args, **kwargs)\n--\n\nA cursor whose statements are traced.",
        cursor
    ),
    method!(
        "TracedCursorProxy",
        "__init__",
        c"__init__($self, cursor, db_api_integration)\n--\n\nA cursor whose statements are traced.",
        init_cursor
    ),
    method!(
        "TracedCursorProxy",
        "execute",
        c"execute($self, *args, **kwargs)\n--\n\nExecutes a statement within a span.",
        |py, this, call| execute(this, intern!(py, "execute"), call)
    ),
    method!(
        "TracedCursorProxy",
        "executemany",
        c"executemany($self, *args, **kwargs)\n--\n\nExecutes a statement for each set of parameters, within a span.",
        |py, this, call| execute(this, intern!(py, "executemany"), call)
    ),
    method!(
        "TracedCursorProxy",
        "callproc",
        c"callproc($self, *args, **kwargs)\n--\n\nCalls a stored procedure within a span.",
        |py, this, call| execute(this, intern!(py, "callproc"), call)
    ),
    method!("CursorTracer", "__init__", c"__init__($self, db_api_integration)\n--\n\nTraces statements.", init_tracer),
];

/// The native method of one of the module's classes.
#[pyfunction]
pub fn dbapi_method<'py>(
    py: Python<'py>,
    class_name: &str,
    name: &str,
    contrib: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    get_or_make(py, &MODULE, || contrib.extract())?;
    let method = METHODS
        .iter()
        .find(|method| method.class == class_name && method.name == name)
        .ok_or_else(|| PyValueError::new_err(format!("there is no native {class_name}.{name}")))?;
    Ok(get_or_make(py, &method.made, || new_method(py, method.name, method.doc, method.function))?.bind(py).clone())
}

/// As contrib looks them up: on the proxy itself, and where that is false or none on its `_connection`, if it has one.
fn get_attribute<'py>(_py: Python<'py>, this: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let Some(name) = call.positional(0).filter(|_| call.positional_count() == 1) else {
        return Err(PyTypeError::new_err("__getattribute__() takes one argument"));
    };
    own_attribute(this, &name)
}

/// Contrib looks a true one up twice, which finds the same.
fn own_attribute<'py>(proxy: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    let found = get(proxy, name)?;
    if found.is_truthy()? {
        return Ok(found);
    }
    get(&get(proxy, intern!(py, "_connection").as_any())?, name)
}

/// What `object.__getattribute__` finds.
fn get<'py>(object: &Bound<'py, PyAny>, name: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    #[allow(unsafe_code)]
    // SAFETY: both are living objects; the result is a new reference, or null with an exception set, as where the name is
    // no text.
    unsafe {
        Bound::from_owned_ptr_or_err(object.py(), ffi::PyObject_GenericGetAttr(object.as_ptr(), name.as_ptr()))
    }
}

fn cursor<'py>(py: Python<'py>, this: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let module = module(py);
    let is_contribs =
        this.get_type().is(module.namespace.bind(py).as_any().get_item(intern!(py, "TracedConnectionProxy"))?);
    // Not by the class, whose `__getattribute__` does the same.
    let attribute =
        |name: &Bound<'py, PyString>| if is_contribs { own_attribute(this, name) } else { this.getattr(name) };
    let make = attribute(intern!(py, "__wrapped__"))?.getattr(intern!(py, "cursor"))?;
    let cursor = call.pass_on(&make)?;
    let integration = attribute(intern!(py, "_self_db_api_integration"))?;
    let contribs = module.get_traced_cursor_proxy.get();
    if !contribs.are_there(py)? {
        return contribs.call(py, (cursor, integration));
    }
    let class = module.namespace.bind(py).as_any().get_item(intern!(py, "TracedCursorProxy"))?;
    call::function(&class, [&cursor, &integration], None)
}

fn init_cursor<'py>(py: Python<'py>, this: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    static PARAMETERS: [Interned; 2] = [Interned::new("cursor"), Interned::new("db_api_integration")];
    let Some([Some(cursor), Some(integration)]) = call.arguments(&PARAMETERS) else {
        return Err(PyTypeError::new_err("__init__() takes a cursor and a db_api_integration"));
    };
    let module = module(py);
    call::function(module.init_proxy.bind(py), [this, &cursor], None)?;
    // Not `CursorTracer[...]`: to call a generic alias takes longer than the tracer itself.
    let class = module.namespace.bind(py).as_any().get_item(intern!(py, "CursorTracer"))?;
    this.setattr(intern!(py, "_self_cursor_tracer"), call::function(&class, [&*integration], None)?)?;
    Ok(py.None().into_bound(py))
}

fn init_tracer<'py>(py: Python<'py>, this: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    static PARAMETERS: [Interned; 1] = [Interned::new("db_api_integration")];
    let Some([Some(integration)]) = call.arguments(&PARAMETERS) else {
        return Err(PyTypeError::new_err("__init__() takes a db_api_integration"));
    };
    let options = integration.getattr(intern!(py, "commenter_options"))?;
    let options = if options.is_truthy()? { options } else { PyDict::new(py).into_any() };
    let enabled = integration.getattr(intern!(py, "enable_commenter"))?;
    let in_attributes = integration.getattr(intern!(py, "enable_attribute_commenter"))?;
    let connect_module = integration.getattr(intern!(py, "connect_module"))?;
    this.setattr(intern!(py, "_db_api_integration"), integration)?;
    this.setattr(intern!(py, "_commenter_enabled"), enabled)?;
    this.setattr(intern!(py, "_commenter_options"), options)?;
    this.setattr(intern!(py, "_enable_attribute_commenter"), in_attributes)?;
    this.setattr(intern!(py, "_connect_module"), connect_module)?;
    this.setattr(intern!(py, "_leading_comment_remover"), &module(py).leading_comment)?;
    Ok(py.None().into_bound(py))
}

/// The attributes that `__init__` sets.
const TRACERS_ATTRIBUTES: usize = 6;

static CURSOR_TRACER: KnownClass = KnownClass::new(TRACERS_ATTRIBUTES, |class| {
    let py = class.py();
    let is_known = module(py).is_known.bind(py);
    let dict = class.getattr(intern!(py, "__dict__"))?;
    for name in ["traced_execution", "get_operation_name", "_populate_span", "get_statement"] {
        if !is_known.call1((dict.get_item(name)?,))?.is_truthy()? {
            return Ok(false);
        }
    }
    Ok(true)
});

fn execute<'py>(
    this: &Bound<'py, PyAny>,
    method: &Bound<'py, PyString>,
    call: &Call<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let tracer = this.getattr(intern!(py, "_self_cursor_tracer"))?;
    let cursor = this.getattr(intern!(py, "__wrapped__"))?;
    let query_method = cursor.getattr(method)?;
    if let Some(statement) = Statement::of(&tracer, call)? {
        if !is_instrumentation_enabled(py)? {
            return call.pass_on(&query_method);
        }
        if let Some(span) = ClientSpan::start(&statement.tracer, &statement.operation, None)? {
            let result = statement.set_attributes(span.span.bind(py), call).and_then(|()| call.pass_on(&query_method));
            return span.leave(py, result);
        }
    }
    let execution = tracer.getattr(intern!(py, "traced_execution"))?;
    call.call_after(&execution, &[&cursor, &query_method])
}

/// A statement that is traced in the usual way.
struct Statement<'py> {
    text: Bound<'py, PyAny>,
    operation: Bound<'py, PyAny>,
    integration: Bound<'py, PyAny>,
    tracer: Bound<'py, PyAny>,
    names: &'py Names,
}

impl<'py> Statement<'py> {
    /// None where `CursorTracer.traced_execution` has to look.
    fn of(tracer: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<Option<Self>> {
        let py = tracer.py();
        let module = module(py);
        if !CURSOR_TRACER.is_set() {
            CURSOR_TRACER.set(module.cursor_tracer.bind(py));
        }
        let Some(attributes) = CURSOR_TRACER.attributes_of(tracer) else { return Ok(None) };
        let attribute = |name: &Bound<'py, PyString>| attributes.as_any().get_item(name);
        if attribute(intern!(py, "_commenter_enabled"))?.is_truthy()? {
            return Ok(None);
        }
        let Some(operation) = call.positional(0).and_then(|text| operation(&text)) else { return Ok(None) };
        let integration = attribute(intern!(py, "_db_api_integration"))?;
        let mode = integration.getattr(intern!(py, "_sem_conv_opt_in_mode_db"))?;
        let Some(names) = module.names.iter().find(|names| mode.is(&names.mode)) else { return Ok(None) };
        let tracer = integration.getattr(intern!(py, "_tracer"))?;
        let text = call.positional(0).map(|text| text.to_owned()).expect("it has an operation");
        Ok(Some(Self { text, operation: operation.into_any(), integration, tracer, names }))
    }

    /// `_populate_span`.
    fn set_attributes(&self, span: &Bound<'py, PyAny>, call: &Call<'_, 'py>) -> PyResult<()> {
        let py = span.py();
        if !is_recording(span)? {
            return Ok(());
        }
        let all = PyDict::new(py);
        let set =
            |keys: &[Py<PyString>], value: &Bound<'py, PyAny>| keys.iter().try_for_each(|key| all.set_item(key, value));
        let of_integration = |name: &Bound<'py, PyString>| self.integration.getattr(name);
        let system = of_integration(intern!(py, "database_system"))?;
        if system.is_truthy()? {
            set(&self.names.system, &system)?;
        }
        let name = of_integration(intern!(py, "database"))?;
        if name.is_truthy()? {
            set(&self.names.name, &name)?;
        }
        set(&self.names.statement, &self.text)?;
        all.update(of_integration(intern!(py, "span_attributes"))?.cast()?)?;
        let mut failed = None;
        if let Some(parameters) = call.positional(1)
            && of_integration(intern!(py, "capture_parameters"))?.is_truthy()?
        {
            match parameters.str() {
                Ok(text) => all.set_item(intern!(py, "db.statement.parameters"), text)?,
                // The others are set before, in contrib.
                Err(error) => failed = Some(error),
            }
        }
        set_attributes(span, &all)?;
        failed.map_or(Ok(()), Err)
    }
}

/// The first word; None of what is no text, has no word, or begins with a comment.
fn operation<'py>(query: &Bound<'py, PyAny>) -> Option<Bound<'py, PyString>> {
    let text = query.cast_exact::<PyString>().ok()?.to_str().ok()?;
    // As Python splits.
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f');
    let word = text.trim_start_matches(is_space).split(is_space).next().filter(|word| !word.is_empty())?;
    (!text.starts_with("/*")).then(|| PyString::new(query.py(), word))
}
