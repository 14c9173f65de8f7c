//! Whether methods may be called natively where upstream looks them up on the object.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

static REPLACED: AtomicBool = AtomicBool::new(false);

/// Somebody has replaced a method of one of our classes or objects, as tracing tools and tests do: from now on
/// we look methods up.
#[pyfunction]
pub fn look_up_methods() {
    REPLACED.store(true, Ordering::Relaxed);
}

#[inline]
pub fn are_looked_up() -> bool {
    REPLACED.load(Ordering::Relaxed)
}
