//! `Published` and `PerProcess`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use shuttle::thread;

use crate::process::fork::PerProcess;
use crate::process::published::Published;

pub fn published() {
    let published = Arc::new(Published::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let published = Arc::clone(&published);
            thread::spawn(move || {
                let first = published.get();
                let mut kept = 0;
                let _ = published.try_for_each(|value| {
                    assert_eq!(*value, kept, "in the order in which they were published");
                    kept += 1;
                    Ok::<(), ()>(())
                });
                assert!(kept == 0 || *first < kept);
                assert!(*published.get() >= *first);
            })
        })
        .collect();
    let writers: Vec<_> = (0..2)
        .map(|_| {
            let published = Arc::clone(&published);
            thread::spawn(move || published.update(|value| value + 1))
        })
        .collect();
    readers.into_iter().chain(writers).for_each(|thread| thread.join().unwrap());
    assert_eq!(*published.get(), 2, "no update is lost");
}

/// Counts the values that are alive.
struct Value {
    alive: Arc<AtomicUsize>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

pub fn per_process() {
    let slot = Arc::new(PerProcess::new());
    let alive = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (slot, alive) = (Arc::clone(&slot), Arc::clone(&alive));
            thread::spawn(move || {
                let make = || {
                    alive.fetch_add(1, Ordering::SeqCst);
                    Value { alive: Arc::clone(&alive) }
                };
                let first: *const Value = slot.get_or_make(make);
                assert!(std::ptr::eq(first, slot.get_or_make(|| unreachable!("it is made"))));
                first as usize
            })
        })
        .collect();
    let seen: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(seen.iter().all(|value| *value == seen[0]));
    assert_eq!(alive.load(Ordering::SeqCst), 1, "those that were not kept are dropped");
    drop(slot);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}
