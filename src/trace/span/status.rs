//! Status and name of a span.

use otel_rs_core::otlp::StatusCode;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::convert::stock_span;
use crate::py::boundary::contained;
use crate::py::once::intern;
use crate::py::upstream::{position, upstream};
use crate::py::{exception, log, text};
use crate::trace::arguments::not_none;
use crate::trace::span::Span;
use crate::trace::span::part::Part;

impl Span {
    fn replace_status(&self, py: Python<'_>, status: StatusCode, message: Option<Py<PyString>>) {
        let (ended, _replaced, _held) = {
            let mut state = self.lock();
            if state.end_time.is_some() {
                (true, message, None)
            } else if state.status == StatusCode::Ok {
                // OK is final.
                (false, message, None)
            } else {
                state.status = status;
                let held = state.parts.as_mut().and_then(|parts| parts.0[Part::Status as usize].take());
                (false, std::mem::replace(&mut state.status_message, message), held)
            }
        };
        if ended {
            log::warning(py, "Tried calling set_status on an ended span.");
        }
    }

    /// Takes over what Python code did to the status that it got, or put in place.
    fn read_held_status(&self, py: Python<'_>) -> PyResult<()> {
        let Some(held) = self.part(py, Part::Status) else { return Ok(()) };
        let (status, message) = stock_span::status(upstream(py)?, held.bind(py))?;
        let message = message.map(Bound::unbind);
        let _replaced = {
            let mut state = self.lock();
            state.status = status;
            std::mem::replace(&mut state.status_message, message)
        };
        Ok(())
    }

    fn set_status_code(
        &self,
        py: Python<'_>,
        status: StatusCode,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let mut message = None;
        if let Some(description) = not_none(description) {
            match description.cast::<PyString>() {
                Err(_) if description.is_truthy()? => {
                    log::warning(py, "Invalid status description type, expected str");
                }
                Err(_) => {}
                Ok(text) if status != StatusCode::Error && text.is_truthy()? => {
                    log::warning(py, "description should only be set when status_code is set to StatusCode.ERROR");
                }
                Ok(text) => message = Some(text.clone().unbind()),
            }
        }
        self.replace_status(py, status, message);
        Ok(())
    }

    fn set_any_status(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if self.has_ended() {
            log::warning(py, "Tried calling set_status on an ended span.");
            return Ok(());
        }
        if let Err(error) = self.read_held_status(py) {
            exception::swallow(py, "The span's status was replaced", error);
        }
        let upstream = upstream(py)?;
        // UNSET is ignored, and so is what is neither.
        let code_of = |object: &Bound<'_, PyAny>| match position(&upstream.status_codes, object)? {
            1 => Some(StatusCode::Ok),
            2 => Some(StatusCode::Error),
            _ => None,
        };
        if let Some(code) = code_of(status) {
            return self.set_status_code(py, code, description);
        }
        if !status.is_instance(upstream.status.bind(py))? {
            return Ok(());
        }
        let Some(code) = code_of(&status.getattr(intern!(py, "status_code"))?) else { return Ok(()) };
        if let Some(description) = not_none(description) {
            let shown = text::shown(description);
            let message = format!("Description {shown} ignored. Use either `Status` or `(StatusCode, Description)`");
            log::warning(py, &message);
        }
        let message = status.getattr(intern!(py, "description"))?.cast_into::<PyString>().ok();
        self.replace_status(py, code, message.map(Bound::unbind));
        Ok(())
    }
}

#[pymethods]
impl Span {
    /// Sets the status; OK is final and UNSET is ignored.
    #[pyo3(signature = (status, description=None))]
    fn set_status(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyAny>,
        description: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let work = || {
            if let Err(error) = self.set_any_status(py, status, description) {
                exception::swallow(py, "The status was not set", error);
            }
            Ok(())
        };
        contained(py, "set_status", work, || Ok(()))
    }

    fn update_name(&self, py: Python<'_>, name: Py<PyAny>) -> PyResult<()> {
        let work = || {
            let (ended, _replaced) = {
                let mut state = self.lock();
                match state.end_time {
                    Some(_) => (true, name),
                    None => (false, std::mem::replace(&mut state.name, name)),
                }
            };
            if ended {
                log::warning(py, "Tried calling update_name on an ended span.");
            }
            Ok(())
        };
        contained(py, "update_name", work, || Ok(()))
    }
}
