//! `src/process/sync.rs` for the models: locks and atomics at which the checker may switch to another thread, and a waiting
//! that never ends by itself, so that a wake-up that is lost is a deadlock.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::LockResult;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shuttle::future::JoinHandle;

pub use shuttle::future::JoinError;
pub use shuttle::sync::atomic::{AtomicU64, Ordering};
pub use shuttle::sync::{Mutex, MutexGuard};
pub use tokio::select;
pub use tokio::sync::watch;

/// What can be wrong with the primitives, to see that the models would find a fault that has the same effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Fault {
    None,
    /// `Condvar::notify_all` is left out.
    NobodyWoken,
    /// `Notify::notify_one` wakes who waits, but is forgotten if nobody does.
    ForgottenIfNobodyWaits,
    /// `AtomicBool::swap` is a load and a store.
    SwapInTwo,
    /// `AtomicPtr::compare_exchange` is a load and a store.
    ExchangeInTwo,
    /// `AtomicUsize::fetch_update` is a load and a store.
    UpdateInTwo,
}

static FAULT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(Fault::None as usize);

impl Fault {
    pub const ALL: [Self; 5] =
        [Self::NobodyWoken, Self::ForgottenIfNobodyWaits, Self::SwapInTwo, Self::ExchangeInTwo, Self::UpdateInTwo];

    pub fn seed(self) {
        FAULT.store(self as usize, Ordering::Relaxed);
    }

    fn is_seeded(self) -> bool {
        FAULT.load(Ordering::Relaxed) == self as usize
    }
}

/// A moment at which the checker may switch.
fn step() {
    shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
}

/// The checker's own are of one round; these may be statics.
#[derive(Default)]
pub struct AtomicBool(std::sync::atomic::AtomicBool);

impl AtomicBool {
    pub const fn new(value: bool) -> Self {
        Self(std::sync::atomic::AtomicBool::new(value))
    }

    pub fn load(&self, order: Ordering) -> bool {
        step();
        self.0.load(order)
    }

    pub fn store(&self, value: bool, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub fn swap(&self, value: bool, order: Ordering) -> bool {
        step();
        if !Fault::SwapInTwo.is_seeded() {
            return self.0.swap(value, order);
        }
        let old = self.load(Ordering::SeqCst);
        self.store(value, Ordering::SeqCst);
        old
    }
}

pub struct AtomicPtr<T>(std::sync::atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub const fn new(value: *mut T) -> Self {
        Self(std::sync::atomic::AtomicPtr::new(value))
    }

    pub fn load(&self, order: Ordering) -> *mut T {
        step();
        self.0.load(order)
    }

    pub fn store(&self, value: *mut T, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    pub fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        step();
        if !Fault::ExchangeInTwo.is_seeded() {
            return self.0.compare_exchange(current, new, success, failure);
        }
        match self.load(Ordering::SeqCst) {
            old if old == current => {
                self.store(new, Ordering::SeqCst);
                Ok(old)
            }
            old => Err(old),
        }
    }

    pub fn get_mut(&mut self) -> &mut *mut T {
        self.0.get_mut()
    }
}

pub struct AtomicUsize(std::sync::atomic::AtomicUsize);

impl AtomicUsize {
    pub const fn new(value: usize) -> Self {
        Self(std::sync::atomic::AtomicUsize::new(value))
    }

    pub fn fetch_update(
        &self,
        set_order: Ordering,
        fetch_order: Ordering,
        update: impl FnMut(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        step();
        if !Fault::UpdateInTwo.is_seeded() {
            return self.0.fetch_update(set_order, fetch_order, update);
        }
        let mut update = update;
        let old = self.0.load(Ordering::SeqCst);
        let new = update(old).ok_or(old)?;
        step();
        self.0.store(new, Ordering::SeqCst);
        Ok(old)
    }
}

pub struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub const fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub fn get(&self) -> Option<&T> {
        step();
        self.0.get()
    }

    /// `make` must not come to a step: the standard library's would wait for it, and the checker would not know.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        step();
        self.0.get_or_init(make)
    }
}

pub struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    /// Waits without end: the time is never up in a model.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        _: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, shuttle::sync::WaitTimeoutResult)> {
        self.0.wait_timeout(guard, Duration::MAX)
    }

    pub fn notify_all(&self) {
        if !Fault::NobodyWoken.is_seeded() {
            self.0.notify_all();
        }
    }
}

/// tokio's own, which needs no runtime.
pub struct Notify(tokio::sync::Notify);

impl Notify {
    pub fn new() -> Self {
        Self(tokio::sync::Notify::new())
    }

    pub fn notify_one(&self) {
        match Fault::ForgottenIfNobodyWaits.is_seeded() {
            true => self.0.notify_waiters(),
            false => self.0.notify_one(),
        }
    }

    pub async fn notified(&self) {
        self.0.notified().await;
    }
}

/// More than this never comes.
const SOON: Duration = Duration::from_secs(1);

/// Others may run for any time before a short sleep is over.
pub async fn sleep(duration: Duration) {
    match duration > SOON {
        true => pending().await,
        false => shuttle::future::yield_now().await,
    }
}

pub struct JoinSet<T>(VecDeque<JoinHandle<T>>);

impl<T: Send + 'static> JoinSet<T> {
    pub fn new() -> Self {
        Self(VecDeque::new())
    }

    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.0.push_back(shuttle::future::spawn(task));
    }

    fn poll_join_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        for at in 0..self.0.len() {
            if let Poll::Ready(ended) = Pin::new(&mut self.0[at]).poll(context) {
                self.0.remove(at);
                return Poll::Ready(Some(ended));
            }
        }
        if self.0.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }

    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|context| self.poll_join_next(context)).await
    }

    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self.poll_join_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended,
            Poll::Pending => None,
        }
    }
}
