//! Equal values that a process keeps once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::process::fork::PerProcess;

/// Finds the value that is kept already, among the newest ones: a program has few of a kind, or it has many that differ.
///
/// Values live as long as somebody has them.
pub struct Shared<T> {
    newest: PerProcess<Mutex<Vec<Weak<T>>>>,
}

/// As many are compared with a new value.
const MAX_COMPARED: usize = 32;

impl<T: PartialEq + Send + Sync> Shared<T> {
    pub const fn new() -> Self {
        Self { newest: PerProcess::new() }
    }

    /// An equal value that somebody has, or this one.
    pub fn of(&self, value: T) -> Arc<T> {
        // Compared, and dropped where nobody else has them any more, without the lock.
        let known: Vec<_> = self.newest().iter().rev().filter_map(Weak::upgrade).collect();
        if let Some(equal) = known.into_iter().find(|known| **known == value) {
            return equal;
        }
        let value = Arc::new(value);
        let mut newest = self.newest();
        newest.retain(|known| known.strong_count() > 0);
        if newest.len() == MAX_COMPARED {
            newest.remove(0);
        }
        newest.push(Arc::downgrade(&value));
        value
    }

    fn newest(&self) -> MutexGuard<'_, Vec<Weak<T>>> {
        self.newest.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: PartialEq + Send + Sync> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one_as_long_as_somebody_has_it() {
        let shared = Shared::new();
        let (one, same, other) = (shared.of("one".to_owned()), shared.of("one".to_owned()), shared.of(String::new()));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &other));
        let gone = Arc::downgrade(&one);
        drop((one, same));
        assert_eq!(gone.strong_count(), 0);
    }

    #[test]
    fn many_values_that_differ_are_not_kept() {
        const MANY: usize = MAX_COMPARED + if cfg!(miri) { 10 } else { 9 * MAX_COMPARED };
        let shared = Shared::new();
        let values: Vec<_> = (0..MANY).map(|value| shared.of(value)).collect();
        assert_eq!(shared.newest().len(), MAX_COMPARED);
        assert!(Arc::ptr_eq(values.last().unwrap(), &shared.of(MANY - 1)));
        drop(values);
        shared.of(0);
        assert_eq!(shared.newest().len(), 1);
    }
}
