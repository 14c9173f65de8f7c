//! A value that is read on the hot path and replaced once in a while.

use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Reading is one load, without a lock or a reference count. The price: values that were replaced live as long as this,
/// so it is for what changes a few times in a program's life (processors that are added, the resource after a fork).
pub struct Published<T> {
    current: AtomicPtr<T>,
    /// Every value ever published, the current one last. Boxed, so that they stay where they are.
    #[allow(clippy::vec_box)]
    all: Mutex<Vec<Box<T>>>,
}

impl<T: Send + Sync> Published<T> {
    pub fn new(value: T) -> Self {
        let mut value = Box::new(value);
        Self { current: AtomicPtr::new(&raw mut *value), all: Mutex::new(vec![value]) }
    }

    #[inline]
    #[allow(unsafe_code)]
    pub fn get(&self) -> &T {
        // SAFETY: the pointer is to a value in a box in `all`, which is never removed, moved or changed while `self`
        // lives; the release store in `set` makes its contents visible.
        unsafe { &*self.current.load(Ordering::Acquire) }
    }

    pub fn set(&self, value: T) {
        let mut value = Box::new(value);
        let mut all = self.all.lock().unwrap_or_else(|e| e.into_inner());
        self.current.store(&raw mut *value, Ordering::Release);
        all.push(value);
    }

    /// Visits every value that is kept; nothing if somebody is just replacing it.
    pub fn try_for_each<E>(&self, visit: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        match self.all.try_lock() {
            Ok(all) => all.iter().map(|value| &**value).try_for_each(visit),
            Err(_) => Ok(()),
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
