//! A value that is read on the hot path and replaced once in a while.

use std::ptr::NonNull;

use crate::process::fork::PerProcess;
use crate::process::sync::{AtomicPtr, Mutex, MutexGuard, Ordering};

/// Reading is one load, without a lock or a reference count. The price: values that were replaced live as long as this,
/// so it is for what changes a few times in a program's life (processors that are added, the resource after a fork).
pub struct Published<T> {
    current: AtomicPtr<T>,
    /// Every value that this process published, the current one last. A forked child has a lock of its own, since
    /// another thread may have held its parent's, and leaves the parent's values where they are.
    all: PerProcess<Mutex<Vec<Value<T>>>>,
}

/// From a box of its own, freed when the `Published` is dropped.
struct Value<T>(NonNull<T>);

#[allow(unsafe_code)]
// SAFETY: `Published` owns its values and hands out shared references only, as an `Arc<T>` does.
unsafe impl<T: Send + Sync> Send for Value<T> {}
#[allow(unsafe_code)]
// SAFETY: as above; replacing goes by atomics and a lock.
unsafe impl<T: Send + Sync> Sync for Value<T> {}

impl<T: Send + Sync> Published<T> {
    pub fn new(value: T) -> Self {
        let value = boxed(value);
        let published = Self { current: AtomicPtr::new(value.0.as_ptr()), all: PerProcess::new() };
        published.all().push(value);
        published
    }

    fn all(&self) -> MutexGuard<'_, Vec<Value<T>>> {
        self.all.get_or_make(Mutex::default).lock().unwrap_or_else(|e| e.into_inner())
    }

    #[inline]
    #[allow(unsafe_code)]
    pub fn get(&self) -> &T {
        // SAFETY: the pointer is to a value in `all`, of this process or of the one that it was forked from, which is
        // neither freed nor changed while `self` lives; the release store in `update` makes its contents visible.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    pub fn set(&self, value: T) {
        self.update(|_| value);
    }

    /// Replaces the value by what `next` makes of it; nobody else replaces it meanwhile.
    pub fn update(&self, next: impl FnOnce(&T) -> T) {
        let mut all = self.all();
        let value = boxed(next(self.get()));
        let pointer = value.0.as_ptr();
        all.push(value);
        self.current.store(pointer, Ordering::Release);
    }

    /// Visits every value of this process that is kept; nothing if somebody is just replacing it.
    #[allow(unsafe_code)]
    pub fn try_for_each<E>(&self, visit: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        match self.all.get().map(Mutex::try_lock) {
            // SAFETY: as in `get`.
            Some(Ok(all)) => all.iter().map(|value| unsafe { value.0.as_ref() }).try_for_each(visit),
            Some(Err(_)) | None => Ok(()),
        }
    }
}

fn boxed<T>(value: T) -> Value<T> {
    Value(NonNull::from(Box::leak(Box::new(value))))
}

impl<T> Drop for Published<T> {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let Some(all) = self.all.get_mut() else { return };
        for value in all.get_mut().unwrap_or_else(|e| e.into_inner()).drain(..) {
            // SAFETY: from `boxed`, and nobody has a reference any more: they borrow from `self`.
            drop(unsafe { Box::from_raw(value.0.as_ptr()) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_newest_and_keep_what_they_have() {
        let published = Published::new("one".to_owned());
        let one = published.get();
        published.set("two".to_owned());
        assert_eq!((one.as_str(), published.get().as_str()), ("one", "two"));
        let mut seen = Vec::new();
        let visited: Result<(), ()> = published.try_for_each(|value| {
            seen.push(value.clone());
            Ok(())
        });
        assert_eq!((visited, seen), (Ok(()), vec!["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn threads_read_while_one_writes() {
        let published = Published::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < 1000 {
                        let now = *published.get();
                        assert!(now >= last);
                        last = now;
                    }
                });
            }
            (1..=1000).for_each(|value| published.set(value));
        });
    }
}
