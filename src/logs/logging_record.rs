//! A LogRecord of Python's `logging`, read from its dict.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyType};

use crate::convert::attributes::PyAttributes;
use crate::convert::fields::text_if_any;
use crate::convert::pairs::Pairs;
use crate::py::call;
use crate::py::once::get_or_make;
use crate::py::once::intern;

/// What every record has; the handlers leave it out of the attributes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Msg,
    Args,
    LevelName,
    LevelNumber,
    PathName,
    FunctionName,
    LineNumber,
    Created,
    ExceptionInfo,
    NotSent,
    /// Not of every record. Where the program has set it, a handler takes it for something else, or sets it itself.
    Special,
}

const FIELDS: [(&str, Field); 29] = [
    ("name", Field::NotSent),
    ("msg", Field::Msg),
    ("args", Field::Args),
    ("levelname", Field::LevelName),
    ("levelno", Field::LevelNumber),
    ("pathname", Field::PathName),
    ("filename", Field::NotSent),
    ("module", Field::NotSent),
    ("exc_info", Field::ExceptionInfo),
    ("exc_text", Field::NotSent),
    ("stack_info", Field::NotSent),
    ("lineno", Field::LineNumber),
    ("funcName", Field::FunctionName),
    ("created", Field::Created),
    ("msecs", Field::NotSent),
    ("relativeCreated", Field::NotSent),
    ("thread", Field::NotSent),
    ("threadName", Field::NotSent),
    ("processName", Field::NotSent),
    ("process", Field::NotSent),
    ("taskName", Field::NotSent),
    ("asctime", Field::NotSent),
    ("message", Field::NotSent),
    ("getMessage", Field::NotSent),
    ("otel.event.name", Field::Special),
    ("event.name", Field::Special),
    ("code.file.path", Field::Special),
    ("code.function.name", Field::Special),
    ("code.line.number", Field::Special),
];

/// The fields by the address of their name, which Python keeps once.
struct FieldTable([Option<(Py<PyString>, Field)>; FieldTable::SIZE]);

impl FieldTable {
    const SIZE: usize = 64;

    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static TABLE: PyOnceLock<FieldTable> = PyOnceLock::new();
        get_or_make(py, &TABLE, || {
            let mut table = Self([const { None }; Self::SIZE]);
            for (name, field) in FIELDS {
                let name = PyString::intern(py, name);
                let mut at = Self::place(&name);
                while table.0[at].is_some() {
                    at = (at + 1) % Self::SIZE;
                }
                table.0[at] = Some((name.unbind(), field));
            }
            Ok(table)
        })
    }

    #[inline]
    fn place(name: &Bound<'_, PyString>) -> usize {
        // Strings are at multiples of 16.
        (name.as_ptr() as usize >> 4) % Self::SIZE
    }

    #[inline]
    fn find(&self, name: &Bound<'_, PyString>) -> Option<Field> {
        let mut at = Self::place(name);
        while let Some((known, field)) = &self.0[at] {
            if known.is(name) {
                return Some(*field);
            }
            at = (at + 1) % Self::SIZE;
        }
        // A name that somebody made at run time.
        let text = name.to_str().ok()?;
        FIELDS.iter().find(|(known, _)| *known == text).map(|(_, field)| *field)
    }
}

/// What a record has besides its fields.
#[derive(Default)]
pub enum Extras<'py> {
    #[default]
    None,
    /// Names and values, the first ones.
    Few([Option<(Bound<'py, PyString>, Bound<'py, PyAny>)>; Extras::FEW]),
    /// Many, or some that are special.
    Others,
}

impl<'py> Extras<'py> {
    const FEW: usize = 8;

    fn add(&mut self, name: &Bound<'py, PyString>, value: &Bound<'py, PyAny>) {
        if let Self::None = self {
            *self = Self::Few([const { None }; Self::FEW]);
        }
        let Self::Few(few) = self else { return };
        match few.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some((name.clone(), value.clone())),
            None => *self = Self::Others,
        }
    }

    /// Puts them into the attributes. False, with any of them put, if the general way is needed.
    pub fn put(&self, value_len: Option<usize>, attributes: &mut PyAttributes) -> bool {
        match self {
            Self::None => true,
            Self::Few(few) => {
                let few = few.iter().flatten();
                attributes.wire.reserve(Self::FEW);
                few.map(|(name, value)| attributes.set_plain(name, value, value_len)).all(|put| put == Some(true))
            }
            Self::Others => false,
        }
    }
}

/// The fields of a record that are sent, and what else it has.
#[derive(Default)]
pub struct LoggingRecord<'py> {
    msg: Option<Bound<'py, PyAny>>,
    args: Option<Bound<'py, PyAny>>,
    level_name: Option<Bound<'py, PyAny>>,
    level_number: Option<Bound<'py, PyAny>>,
    path_name: Option<Bound<'py, PyAny>>,
    function_name: Option<Bound<'py, PyAny>>,
    line_number: Option<Bound<'py, PyAny>>,
    created: Option<Bound<'py, PyAny>>,
    exception_info: Option<Bound<'py, PyAny>>,
    pub extras: Extras<'py>,
}

impl<'py> LoggingRecord<'py> {
    /// None if the record's fields are not all in its dict, or the dict has a key that is not a plain text.
    pub fn of(record: &Bound<'py, PyAny>, dict: &Bound<'py, PyDict>) -> PyResult<Option<Self>> {
        if !has_fields_in_dict(&record.get_type())? {
            return Ok(None);
        }
        let table = FieldTable::get(dict.py())?;
        let mut record = Self::default();
        let all = Pairs::of(dict).each_simple(|name, value| {
            let kept = || Some(value.clone());
            match table.find(name) {
                None => record.extras.add(name, value),
                Some(Field::Special) => record.extras = Extras::Others,
                Some(Field::NotSent) => {}
                Some(Field::Msg) => record.msg = kept(),
                Some(Field::Args) => record.args = kept(),
                Some(Field::LevelName) => record.level_name = kept(),
                Some(Field::LevelNumber) => record.level_number = kept(),
                Some(Field::PathName) => record.path_name = kept(),
                Some(Field::FunctionName) => record.function_name = kept(),
                Some(Field::LineNumber) => record.line_number = kept(),
                Some(Field::Created) => record.created = kept(),
                Some(Field::ExceptionInfo) => record.exception_info = kept(),
            }
            true
        });
        Ok(all.then_some(record))
    }

    pub fn time_unix_nano(&self) -> u64 {
        let seconds: Option<f64> = self.created.as_ref().and_then(|created| created.extract().ok());
        // Rounded as upstream's, which multiplies before it truncates.
        seconds.map_or(0, |seconds| (seconds * 1e9) as u64)
    }

    /// `SeverityNumber`, which has four steps for each level of Python's.
    pub fn severity_number(&self) -> u64 {
        let level: i64 = self.level_number.as_ref().and_then(|level| level.extract().ok()).unwrap_or(0);
        match level {
            ..10 => 0,
            10..=53 => (level / 10 * 4 + 1 + (level % 10).min(3)) as u64,
            _ => 24,
        }
    }

    /// By the names of OpenTelemetry.
    pub fn severity_text(&self) -> Cow<'_, str> {
        let Some(name) = &self.level_name else { return Cow::Borrowed("") };
        match text_if_any(name) {
            name if name == "WARNING" => Cow::Borrowed("WARN"),
            name if name == "CRITICAL" => Cow::Borrowed("FATAL"),
            name => name,
        }
    }

    /// What was logged if that is no text that arguments go into, or any text.
    pub fn object(&self) -> Option<&Bound<'py, PyAny>> {
        let msg = self.msg.as_ref()?;
        let no_args = self.args.as_ref().is_none_or(|args| !args.is_truthy().unwrap_or(true));
        (no_args && !msg.is_instance_of::<PyString>()).then_some(msg)
    }

    pub fn msg(&self) -> Option<&Bound<'py, PyAny>> {
        self.msg.as_ref()
    }

    /// `record.getMessage()`.
    pub fn message(&self, record: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = record.py();
        let (Some(msg), true) = (&self.msg, has_pythons_message(&record.get_type())?) else {
            return call::method(intern!(py, "getMessage"), [record], None);
        };
        let msg = if msg.is_exact_instance_of::<PyString>() { msg.clone() } else { msg.str()?.into_any() };
        match &self.args {
            Some(args) if args.is_truthy()? => msg.rem(args),
            _ => Ok(msg),
        }
    }

    /// The attributes that say where the line was logged.
    pub fn code(&self, py: Python<'py>) -> [(Bound<'py, PyString>, Bound<'py, PyAny>); 3] {
        let value = |field: &Option<Bound<'py, PyAny>>| field.clone().unwrap_or_else(|| py.None().into_bound(py));
        [
            (intern!(py, "code.file.path").clone(), value(&self.path_name)),
            (intern!(py, "code.function.name").clone(), value(&self.function_name)),
            (intern!(py, "code.line.number").clone(), value(&self.line_number)),
        ]
    }

    /// The exception that was logged.
    pub fn exception(&self) -> PyResult<Option<&Bound<'py, PyAny>>> {
        match &self.exception_info {
            Some(info) if info.is_truthy()? => Ok(Some(info)),
            _ => Ok(None),
        }
    }
}

/// What a record has besides its fields, as a dict.
pub fn extras<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = dict.py();
    let table = FieldTable::get(py)?;
    let extras = PyDict::new(py);
    for (name, value) in dict.copy()? {
        let field = name.cast::<PyString>().ok().and_then(|name| table.find(name));
        if matches!(field, None | Some(Field::Special)) {
            extras.set_item(name, value)?;
        }
    }
    Ok(extras)
}

/// `exception.*` of an `exc_info`, as the handlers of upstream have them.
pub fn put_exception<'py>(info: &Bound<'py, PyAny>, attributes: &Bound<'py, PyDict>) -> PyResult<()> {
    let py = info.py();
    let (kind, value, traceback): (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>) = info.extract()?;
    if !kind.is_none() {
        attributes.set_item(intern!(py, "exception.type"), kind.getattr(intern!(py, "__name__"))?)?;
    }
    if !value.is_none() {
        let args = value.getattr(intern!(py, "args"))?;
        if args.is_truthy()? {
            attributes.set_item(intern!(py, "exception.message"), args.get_item(0)?.str()?)?;
        }
    }
    if !traceback.is_none() {
        let lines = py.import("traceback")?.call_method1(intern!(py, "format_exception"), (kind, value, traceback))?;
        let text = PyString::new(py, "").call_method1(intern!(py, "join"), (lines,))?;
        attributes.set_item(intern!(py, "exception.stacktrace"), text)?;
    }
    Ok(())
}

/// Whether an object's fields are what its dict has. A class of the program's may have properties in their place.
#[inline]
fn has_fields_in_dict(class: &Bound<'_, PyType>) -> PyResult<bool> {
    static PYTHONS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = class.py();
    let pythons = get_or_make(py, &PYTHONS, || Ok(py.import("logging")?.getattr("LogRecord")?.unbind()))?;
    if class.is(pythons) { Ok(true) } else { has_no_properties(class) }
}

#[cold]
fn has_no_properties(class: &Bound<'_, PyType>) -> PyResult<bool> {
    /// The first such class: a program has one, which makes all its records.
    static KNOWN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = class.py();
    if KNOWN.get(py).is_some_and(|known| class.is(known)) {
        return Ok(true);
    }
    let name = intern!(py, "__getattribute__");
    if !class.getattr(name)?.is(&py.get_type::<PyAny>().getattr(name)?) {
        return Ok(false);
    }
    for (name, field) in FIELDS {
        if field != Field::Special && name != "getMessage" && class.hasattr(name)? {
            return Ok(false);
        }
    }
    let _ = KNOWN.set(py, class.clone().unbind());
    Ok(true)
}

/// Whether the class's `getMessage` is what Python's `logging` came with. Some programs put their own way of formatting
/// there.
fn has_pythons_message<'py>(class: &Bound<'py, PyType>) -> PyResult<bool> {
    static GET_MESSAGE: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();
    let py = class.py();
    let name = intern!(py, "getMessage");
    let original = get_or_make(py, &GET_MESSAGE, || {
        let logging = py.import("logging")?;
        let file = |function: &Bound<'py, PyAny>| function.getattr("__code__")?.getattr("co_filename");
        let found = logging.getattr("LogRecord")?.getattr(name)?;
        let is_pythons = file(&found).and_then(|of| of.eq(file(&logging.getattr("addLevelName")?)?)).unwrap_or(false);
        Ok(is_pythons.then(|| found.unbind()))
    })?;
    let found = class.getattr(name)?;
    Ok(original.as_ref().is_some_and(|original| found.is(original)))
}
