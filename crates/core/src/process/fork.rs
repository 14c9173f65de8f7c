//! What a forked child must not share with its parent, and how it finds out that it is a child.

use std::sync::Once;
use std::sync::atomic::AtomicU64;

#[cfg(unix)]
use crate::process::descriptors;
use crate::process::sync::{AtomicPtr, Ordering};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between this process and the one that loaded the module.
///
/// One relaxed load, so that the hot path can ask every time.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Counts forks from now on. Also sees forks made in C (uWSGI), where Python's fork hooks do not run.
pub fn watch_forks() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        #[cfg(unix)]
        #[allow(unsafe_code)]
        // SAFETY: the handler only does what is async-signal-safe, which is allowed in the child of a threaded process,
        // and the module is never unloaded, so the address stays valid.
        unsafe {
            libc::pthread_atfork(None, None, Some(count_fork));
        }
    });
}

#[cfg(unix)]
extern "C" fn count_fork() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    descriptors::close_inherited();
}

/// A value that every process makes for itself.
///
/// After a fork the parent's value is of no use: a thread that is gone may hold its locks, its runtime's threads do
/// not exist and its sockets are shared. So the child never touches it, not even to drop it; it is leaked on purpose.
pub struct PerProcess<T> {
    current: AtomicPtr<Made<T>>,
}

struct Made<T> {
    generation: u64,
    value: T,
}

impl<T: Send + Sync> PerProcess<T> {
    pub const fn new() -> Self {
        Self { current: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// This process's value, made by `make` at the first call in it. `make` may run in several threads at once; one
    /// result is kept and the others are dropped, so it must not have side effects.
    #[inline]
    #[allow(unsafe_code)]
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: a non-null pointer came from Box::into_raw in `make_anew` and is freed only by `drop`, which has
        // exclusive access.
        if let Some(made) = unsafe { current.as_ref() }
            && made.generation == generation()
        {
            return &made.value;
        }
        self.make_anew(current, make)
    }

    /// This process's value if it has been made already.
    #[allow(unsafe_code)]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: as in `get_or_make`.
        let made = unsafe { self.current.load(Ordering::Acquire).as_ref() }?;
        (made.generation == generation()).then_some(&made.value)
    }

    #[cold]
    #[allow(unsafe_code)]
    fn make_anew(&self, mut seen: *mut Made<T>, make: impl FnOnce() -> T) -> &T {
        let fresh = Box::into_raw(Box::new(Made { generation: generation(), value: make() }));
        loop {
            match self.current.compare_exchange(seen, fresh, Ordering::AcqRel, Ordering::Acquire) {
                // What was seen before stays where it is: it belongs to the parent process.
                // SAFETY: `fresh` was made above and is now owned by `self`.
                Ok(_) => return unsafe { &(*fresh).value },
                Err(winner) => {
                    // SAFETY: what was published is freed by `drop` alone.
                    let made = unsafe { &*winner };
                    if made.generation == generation() {
                        // SAFETY: `fresh` was never published.
                        drop(unsafe { Box::from_raw(fresh) });
                        return &made.value;
                    }
                    // Published just before this process was forked.
                    seen = winner;
                }
            }
        }
    }
}

impl<T: Send + Sync> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PerProcess<T> {
    /// This process's value, if it has been made.
    #[allow(unsafe_code)]
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: exclusive access, and a non-null pointer came from Box::into_raw.
        let made = unsafe { self.current.get_mut().as_mut() }?;
        (made.generation == generation()).then_some(&mut made.value)
    }
}

impl<T> Drop for PerProcess<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        if self.get_mut().is_some() {
            // SAFETY: as in `get_mut`, and nobody uses it after this.
            drop(unsafe { Box::from_raw(*self.current.get_mut()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_made_once() {
        let slot = PerProcess::new();
        assert!(slot.get().is_none());
        assert_eq!(*slot.get_or_make(|| 1), 1);
        assert_eq!(*slot.get_or_make(|| 2), 1);
        assert_eq!(slot.get(), Some(&1));
    }

    #[test]
    fn threads_agree_on_one_value() {
        let slot = PerProcess::new();
        let seen: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn({
                        let slot = &slot;
                        move || *slot.get_or_make(|| i)
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(seen.iter().all(|v| *v == seen[0]));
    }
}
