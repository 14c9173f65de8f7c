//! `src/otlp/exporter.rs` for the models: keeps what it is given, and takes any time for it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shuttle::future::yield_now;
use shuttle::rand::{Rng, thread_rng};
use tokio::sync::watch;

use crate::export::counters::{Counters, InFlight, Settled};
use crate::export::split;
use crate::otlp::span_name;
use crate::process::report::Source;

pub struct Limits {
    #[allow(dead_code)]
    pub timeout: Duration,
    #[allow(dead_code)]
    pub no_retry: watch::Receiver<bool>,
    pub broken_off: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Default)]
pub struct Exported {
    pub refused_bytes: Option<usize>,
}

/// Locks and numbers here are the standard library's, so that they add nothing to be explored. No step of another
/// thread can come while one is held.
pub struct Exporter {
    source: Source,
    hangs: bool,
    max_at_a_time: usize,
    at_a_time: AtomicUsize,
    delivered: Mutex<BTreeSet<String>>,
}

impl Exporter {
    pub fn new(max_at_a_time: usize, hangs: bool) -> Self {
        let (source, at_a_time, delivered) = (Source::unique(), AtomicUsize::new(0), Mutex::default());
        Self { source, hangs, max_at_a_time, at_a_time, delivered }
    }

    pub fn source(&self) -> Source {
        self.source
    }

    pub fn noun(&self) -> &'static str {
        "spans"
    }

    pub fn processor(&self) -> &'static str {
        "BatchSpanProcessor"
    }

    /// Names of the spans that were delivered so far.
    pub fn delivered(&self) -> BTreeSet<String> {
        self.delivered.lock().unwrap().clone()
    }

    fn deliver(&self, names: Vec<String>) {
        let mut delivered = self.delivered.lock().unwrap();
        names.into_iter().for_each(|name| assert!(delivered.insert(name), "delivered twice"));
    }

    /// Memory is never short here.
    pub fn fail_unsent(&self, spans: u64, reason: &str, _counters: &Counters) {
        unreachable!("{spans} spans: {reason}");
    }

    pub async fn export_within(&self, request: Bytes, spans: u64, limits: &Limits, counters: &Counters) -> Exported {
        let own = Counters::default();
        let mut in_flight = InFlight::new([&own, counters], spans);
        assert!(self.at_a_time.fetch_add(1, Ordering::SeqCst) < self.max_at_a_time, "too many exports at a time");
        let names: Vec<_> = split::items(&request).map(|item| span_name(item).into_owned()).collect();
        assert_eq!(names.len() as u64, spans);
        if self.hangs {
            let _ = limits.broken_off.clone().wait_for(|broken_off| *broken_off).await;
        } else {
            for _ in 0..thread_rng().gen_range(0..3) {
                yield_now().await;
            }
            self.deliver(names);
            in_flight.settle(spans, Settled::Delivered { rejected: 0 });
        }
        self.at_a_time.fetch_sub(1, Ordering::SeqCst);
        Exported::default()
    }
}
