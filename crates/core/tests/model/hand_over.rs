//! Spans from the threads that end them to the worker that exports them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::thread::{self, JoinHandle};

use crate::batch_processor::{BatchProcessor, BatchProcessorConfig, Counts, Ticket};
use crate::export::exporter::Exporter;
use crate::otlp::{Resource, Scope};
use crate::process::deliveries::finish_dropped;
use crate::process::runtime;

const NEVER: Duration = Duration::MAX;
const AT_A_TIME: usize = 2;

fn config() -> BatchProcessorConfig {
    BatchProcessorConfig {
        max_queue_size: 100,
        schedule_delay: NEVER,
        max_export_batch_size: 2,
        export_timeout: NEVER,
        max_queue_bytes: usize::MAX,
        max_request_bytes: usize::MAX,
        max_concurrent_exports: AT_A_TIME,
    }
}

/// A span with nothing but a name, framed.
fn framed(name: &str) -> Vec<u8> {
    let len = u8::try_from(name.len()).expect("a short name");
    [&[0x12, len + 2, 0x2a, len], name.as_bytes()].concat()
}

/// When the time is up: never, in a model.
fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A batch processor, its exporter, and what has been pushed by now.
#[derive(Clone)]
struct Model {
    processor: Arc<BatchProcessor>,
    exporter: Arc<Exporter>,
    scope: Arc<Scope>,
    pushed: Arc<Mutex<BTreeSet<String>>>,
}

impl Model {
    fn new(config: BatchProcessorConfig) -> Self {
        Self::of(config, Exporter::new(AT_A_TIME, false))
    }

    fn of(config: BatchProcessorConfig, exporter: Exporter) -> Self {
        let exporter = Arc::new(exporter);
        let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
        Self {
            processor: Arc::new(BatchProcessor::new(config, Arc::clone(&exporter))),
            exporter,
            scope: Arc::new(Scope { resource, message: vec![], schema_url: String::new() }),
            pushed: Arc::default(),
        }
    }

    fn push(&self, thread: &str, count: usize) {
        for number in 0..count {
            let name = format!("{thread}{number}");
            self.processor.push(&self.scope, &framed(&name));
            self.pushed.lock().unwrap().insert(name);
        }
    }

    fn pusher(&self, name: &'static str, count: usize) -> JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || model.push(name, count))
    }

    fn pushed(&self) -> BTreeSet<String> {
        self.pushed.lock().unwrap().clone()
    }

    fn wait(&self, ticket: Ticket) {
        assert!(self.processor.wait(ticket, later()));
    }

    /// All that is in `names` was delivered when the ticket was done with.
    fn assert_delivered(&self, names: &BTreeSet<String>) {
        let delivered = self.exporter.delivered();
        assert!(delivered.is_superset(names), "missing: {:?}", names.difference(&delivered));
    }

    fn flush(&self) {
        let before = self.pushed();
        let ticket = self.processor.start_flush();
        if self.processor.wait(ticket, Instant::now()) {
            self.assert_delivered(&before);
        }
        self.wait(ticket);
        self.assert_delivered(&before);
    }

    /// Shuts down, and sees the worker end with all accounted for.
    fn end(self, created: u64) -> Counts {
        let ticket = self.processor.start_shutdown();
        self.wait(ticket);
        assert!(runtime::join_all() <= 1, "one worker is enough");
        let counts = self.processor.counts();
        let Counts { exported, rejected, failed, dropped, .. } = counts;
        assert_eq!((counts.created, counts.pending, counts.in_flight), (created, 0, 0), "{counts:?}");
        assert_eq!(exported + rejected + failed + dropped, created, "{counts:?}");
        assert_eq!(exported, self.exporter.delivered().len() as u64);
        counts
    }
}

fn join<const N: usize>(threads: [JoinHandle<()>; N]) {
    threads.into_iter().for_each(|thread| thread.join().expect("a thread of the model failed"));
}

pub fn flush() {
    let model = Model::new(config());
    let pushers = [model.pusher("a", 3), model.pusher("b", 2)];
    model.flush();
    join(pushers);
    model.flush();
    assert_eq!(model.exporter.delivered(), model.pushed());
    assert_eq!(model.end(5).exported, 5);
}

pub fn everyone_flushes() {
    let model = Model::new(BatchProcessorConfig { max_concurrent_exports: 1, ..config() });
    let flushers = ["a", "b"].map(|name| {
        let model = model.clone();
        thread::spawn(move || {
            model.push(name, 1);
            model.flush();
            model.push(&format!("{name}{name}"), 1);
            model.flush();
        })
    });
    join(flushers);
    assert_eq!(model.exporter.delivered(), model.pushed());
    assert_eq!(model.end(4).exported, 4);
}

/// Lets the others run until a condition holds. If it never does, the model runs out of steps.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

pub fn full_batches() {
    let model = Model::new(config());
    let pushers = [model.pusher("a", 3), model.pusher("b", 3)];
    join(pushers);
    until(|| model.exporter.delivered().len() == 6);
    assert_eq!(model.end(6).exported, 6);
}

pub fn schedule_delay() {
    let model = Model::new(BatchProcessorConfig { schedule_delay: Duration::ZERO, ..config() });
    let pushers = [model.pusher("a", 1), model.pusher("b", 2)];
    join(pushers);
    until(|| model.exporter.delivered().len() == 3);
    assert_eq!(model.end(3).exported, 3);
}

/// Threads that push more than fits while another looks on.
fn bounded(config: BatchProcessorConfig, bound: u64) {
    let model = Model::new(config);
    let pushers = [model.pusher("a", 4), model.pusher("b", 4)];
    let looked_on = {
        let model = model.clone();
        thread::spawn(move || {
            for _ in 0..4 {
                let (waiting, counts) = (model.processor.processed().queue_size, model.processor.counts());
                assert!(waiting <= bound, "{waiting} spans wait");
                let Counts { created, exported, rejected, failed, dropped, pending, in_flight } = counts;
                assert_eq!(created, exported + rejected + failed + dropped + pending, "{counts:?}");
                assert!(created <= 8 && in_flight <= pending, "{counts:?}");
            }
        })
    };
    join(pushers);
    join([looked_on]);
    let counts = model.end(8);
    assert!(counts.exported >= bound, "what fits is delivered: {counts:?}");
}

pub fn bounded_in_spans() {
    bounded(BatchProcessorConfig { max_queue_size: 3, ..config() }, 3);
}

pub fn bounded_in_bytes() {
    let two_and_a_half = framed("a0").len() * 5 / 2;
    bounded(BatchProcessorConfig { max_queue_bytes: two_and_a_half, ..config() }, 2);
}

pub fn shutdown() {
    let model = Model::new(config());
    let pushers = [model.pusher("a", 3), model.pusher("b", 2)];
    let flusher = {
        let model = model.clone();
        thread::spawn(move || {
            let ticket = model.processor.start_flush();
            model.wait(ticket);
        })
    };
    let before = model.pushed();
    let ticket = model.processor.start_shutdown();
    model.wait(ticket);
    model.assert_delivered(&before);
    assert!(model.processor.is_shut_down());
    join(pushers);
    join([flusher]);
    let counts = model.clone().end(5);
    assert!(counts.exported >= before.len() as u64);
    model.push("late", 1);
    assert_eq!(model.processor.counts().dropped, counts.dropped + 1);
}

pub fn abandon() {
    let model = Model::of(config(), Exporter::new(AT_A_TIME, true));
    let pushers = [model.pusher("a", 3), model.pusher("b", 3)];
    let flusher = {
        let model = model.clone();
        thread::spawn(move || {
            let ticket = model.processor.start_flush();
            model.wait(ticket);
        })
    };
    let ticket = model.processor.start_shutdown();
    model.processor.abandon();
    model.wait(ticket);
    join(pushers);
    join([flusher]);
    assert_eq!(model.end(6).exported, 0);
}

pub fn forgotten() {
    let model = Model::new(config());
    let pusher = model.pusher("a", 1);
    let exporter = Arc::clone(&model.exporter);
    drop(model);
    join([pusher]);
    finish_dropped(later());
    assert_eq!(exporter.delivered().len(), 1, "delivered before the process may end");
    assert_eq!(runtime::join_all(), 1);
}
