//! Trace and span ids: ours from a fast generator, or a user's IdGenerator called as Python.

use std::cell::Cell;

use otel_rs_core::process;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use rand::rngs::{SmallRng, SysRng};
use rand::{Rng, SeedableRng};

use crate::py::call;
use crate::py::exception;
use crate::py::once::intern;
use crate::py::upstream::RANDOM_ID_GENERATOR;

thread_local! {
    /// This thread's generator and the process it was seeded in: a forked child seeds anew, so that it does not
    /// repeat its parent's ids.
    static GENERATOR: Cell<Option<(u64, SmallRng)>> = const { Cell::new(None) };
}

/// xoshiro256++: its 256 bits of state keep the sequences of many processes apart.
fn random<R>(draw: impl FnOnce(&mut SmallRng) -> R) -> R {
    // A thread that is ending has lost its generator, and seeds one for each id.
    let mut generator = match GENERATOR.try_with(Cell::take).unwrap_or_default() {
        Some((generation, generator)) if generation == process::generation() => generator,
        _ => SmallRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| SmallRng::seed_from_u64(seed_without_system())),
    };
    let drawn = draw(&mut generator);
    let _ = GENERATOR.try_with(|slot| slot.set(Some((process::generation(), generator))));
    drawn
}

/// Where the system gives no random numbers (no descriptors left, an old sandbox): the clock, the process and a stack
/// address, mixed.
#[cold]
fn seed_without_system() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    hasher.write_u128(std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos()));
    hasher.write_usize(&raw const hasher as usize);
    hasher.finish()
}

fn span_id(generator: &mut SmallRng) -> u64 {
    loop {
        // Zero is the invalid id.
        let id = generator.next_u64();
        if id != 0 {
            return id;
        }
    }
}

fn trace_id(generator: &mut SmallRng) -> u128 {
    loop {
        let id = u128::from(generator.next_u64()) << 64 | u128::from(generator.next_u64());
        if id != 0 {
            return id;
        }
    }
}

pub enum IdGenerator {
    Random,
    Python(Py<PyAny>),
}

impl IdGenerator {
    /// Recognises upstream's own random generator; anything else, subclasses included, is called as Python.
    pub fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let stock = RANDOM_ID_GENERATOR.look_up(object.py())?;
        let is_stock = object.get_type().is(&stock) && !Self::is_patched(object, &stock)?;
        Ok(if is_stock { Self::Random } else { Self::Python(object.clone().unbind()) })
    }

    /// Tests put methods of their own on the generator or its class.
    fn is_patched(object: &Bound<'_, PyAny>, stock: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = object.py();
        let home = stock.getattr(intern!(py, "__module__"))?;
        for name in [intern!(py, "generate_span_id"), intern!(py, "generate_trace_id")] {
            let function = object.getattr(name)?.getattr_opt(intern!(py, "__func__"))?;
            if !function.is_some_and(|function| {
                function.getattr("__module__").is_ok_and(|module| module.eq(&home).unwrap_or(false))
            }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Random => Self::Random,
            Self::Python(object) => Self::Python(object.clone_ref(py)),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Random => Ok(()),
            Self::Python(object) => visit.call(object),
        }
    }

    pub fn span_id(&self, py: Python<'_>) -> u64 {
        match self {
            Self::Random => random(span_id),
            Self::Python(object) => {
                let id = call::method(intern!(py, "generate_span_id"), [object.bind(py)], None);
                or_ours(py, id.and_then(|id| id.extract()), || random(span_id))
            }
        }
    }

    /// A new trace id, and whether it is random in the sense of W3C trace context, level 2. Our generator draws the id of
    /// the trace's first span with it.
    pub fn trace_id(&self, py: Python<'_>) -> (u128, bool, Option<u64>) {
        match self {
            Self::Random => random(|generator| (trace_id(generator), true, Some(span_id(generator)))),
            Self::Python(object) => {
                let object = object.bind(py);
                let generate = || {
                    let id = call::method(intern!(py, "generate_trace_id"), [object], None)?.extract()?;
                    let is_random = call::method(intern!(py, "is_trace_id_random"), [object], None)?.is_truthy()?;
                    PyResult::Ok((id, is_random, None))
                };
                or_ours(py, generate(), || (random(trace_id), true, None))
            }
        }
    }
}

/// If a generator raises, or its id is out of range, the span gets a random id.
fn or_ours<T>(py: Python<'_>, theirs: PyResult<T>, ours: impl FnOnce() -> T) -> T {
    theirs.unwrap_or_else(|error| {
        exception::swallow(py, "The id generator failed, a random id is taken", error);
        ours()
    })
}
