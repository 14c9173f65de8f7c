//! The border between the application and us: no panic and no exception of ours crosses it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::py::thread_end::outlast_exit;
use crate::py::{interrupt, log};

/// Runs the body of an API call. A panic becomes a log line and `fallback`; an interrupt (KeyboardInterrupt, what a
/// signal's handler raised) that arrived while we were handling an error of our own is raised afterwards.
#[inline]
pub fn contained<R>(
    py: Python<'_>,
    call: &str,
    work: impl FnOnce() -> PyResult<R>,
    fallback: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    outlast_exit();
    // An interrupt that an outer call keeps is for that call to raise.
    let outer = interrupt::take_interrupt(py);
    let work = || {
        #[cfg(debug_assertions)]
        injected::panic_if_asked_for(call);
        work()
    };
    let result = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => {
            log_panic(py, call, &*panic);
            fallback()
        }
    };
    let interrupt = interrupt::take_interrupt(py);
    if let Some(outer) = outer {
        interrupt::keep_interrupt(py, outer);
    }
    match interrupt {
        None => result,
        Some(interrupt) => Err(interrupt),
    }
}

#[cold]
fn log_panic(py: Python<'_>, call: &str, panic: &(dyn Any + Send)) {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    log::warning(py, &format!("{call} failed inside, please report it: {}", words.unwrap_or("panic")));
}

/// Panics on demand, for the tests of a debug build.
#[cfg(debug_assertions)]
pub mod injected {
    use std::sync::Mutex;

    use pyo3::prelude::*;

    static CALL: Mutex<Option<String>> = Mutex::new(None);

    /// The next call of this name panics, once.
    #[pyfunction]
    pub fn panic_in(call: String) {
        *CALL.lock().unwrap() = Some(call);
    }

    pub fn panic_if_asked_for(call: &str) {
        let asked_for = CALL.lock().unwrap().take_if(|asked_for| asked_for == call).is_some();
        assert!(!asked_for, "on purpose");
    }
}
