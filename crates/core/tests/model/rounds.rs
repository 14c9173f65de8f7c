//! `PeriodicReader`: what threads measure, from its series to the worker that exports them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use shuttle::thread::{self, JoinHandle};

use crate::export::exporter::Exporter;
use crate::measurements::{count, stream_read_by};
use crate::metrics::Stream;
use crate::otlp::{Resource, Scope};
use crate::periodic_reader::{Found, PeriodicReader, PeriodicReaderConfig};
use crate::process::deliveries::finish_dropped;
use crate::process::runtime;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

/// A reader of one counter, and what has been counted by now.
#[derive(Clone)]
struct Model {
    reader: Arc<PeriodicReader>,
    exporter: Arc<Exporter>,
    stream: Arc<Stream>,
    counted: Arc<AtomicI64>,
}

impl Model {
    fn new() -> Self {
        let exporter = Arc::new(Exporter::new(1, false));
        let config = PeriodicReaderConfig::new(Some(Duration::from_secs(3600)), Duration::MAX, None, None);
        let reader = Arc::new(PeriodicReader::new(config, Arc::clone(&exporter)));
        let told: Weak<PeriodicReader> = Arc::downgrade(&reader);
        let stream = stream_read_by(told);
        let resource = Arc::new(Resource { message: vec![], schema_url: String::new() });
        let scope = Arc::new(Scope { resource, message: vec![], schema_url: String::new() });
        reader.add((scope, Arc::clone(&stream)));
        Self { reader, exporter, stream, counted: Arc::default() }
    }

    fn counter(&self, numbers: &'static [u64]) -> JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || {
            for number in numbers {
                count(&model.stream, *number);
                model.counted.fetch_add(1, Ordering::SeqCst);
            }
        })
    }

    fn flusher(&self) -> JoinHandle<()> {
        let model = self.clone();
        thread::spawn(move || {
            let before = model.counted.load(Ordering::SeqCst);
            let ticket = model.reader.ask(Found::default());
            assert!(model.reader.wait(ticket, later()));
            assert!(model.exporter.sum() >= before, "{} of {before}", model.exporter.sum());
        })
    }

    fn end(self, counted: i64) {
        assert!(self.reader.wait(self.reader.start_shutdown(true), later()));
        assert!(runtime::join_all() <= 1, "one worker is enough");
        assert_eq!(self.exporter.sum(), counted, "all is exported, and nothing twice");
    }
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

pub fn flush() {
    let model = Model::new();
    join([model.counter(&[1, 2]), model.counter(&[2]), model.flusher(), model.flusher()]);
    model.end(3);
}

pub fn shutdown() {
    let model = Model::new();
    let counter = model.counter(&[1, 2]);
    let flusher = {
        let reader = Arc::clone(&model.reader);
        thread::spawn(move || assert!(reader.wait(reader.ask(Found::default()), later())))
    };
    let before = model.counted.load(Ordering::SeqCst);
    assert!(model.reader.wait(model.reader.start_shutdown(true), later()));
    assert!((before..=2).contains(&model.exporter.sum()));
    join([counter, flusher]);
    assert!(runtime::join_all() <= 1, "the worker has ended, if there was one");
}

pub fn forgotten() {
    let model = Model::new();
    join([model.counter(&[1, 1])]);
    let exporter = Arc::clone(&model.exporter);
    drop(model);
    finish_dropped(later());
    assert_eq!(exporter.sum(), 2, "exported before the process may end");
    assert_eq!(runtime::join_all(), 1);
}
