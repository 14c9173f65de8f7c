//! `SeriesMap` and `Stream`: threads that measure, and threads that collect meanwhile.

use std::sync::{Arc, Weak};

use shuttle::thread::{self, JoinHandle};

use crate::metrics::attribute_set::{AttributeSet, Item, Scalar};
use crate::metrics::exemplars::ReservoirKind;
use crate::metrics::series_map::{Series, SeriesMap};
use crate::metrics::stream::{Aggregation, Budget, Point, Reader, Shape, Stream};
use crate::metrics::temporality::Temporality;
use crate::otlp::Number;

fn stream(
    temporality: Temporality,
    max_series: usize,
    budget: &Arc<Budget>,
    reader: Option<Weak<dyn Reader>>,
) -> Arc<Stream> {
    let shape = Shape {
        name: "metric".into(),
        description: String::new(),
        unit: String::new(),
        aggregation: Aggregation::Sum { is_monotonic: true },
        temporality,
        is_synchronous: true,
        attribute_keys: None,
        reservoir: ReservoirKind::FixedSize(1),
        max_series,
    };
    Arc::new(Stream::new(shape, Arc::clone(budget), reader))
}

pub fn stream_read_by(reader: Weak<dyn Reader>) -> Arc<Stream> {
    stream(Temporality::Delta, usize::MAX, &Arc::new(Budget::new(usize::MAX)), Some(reader))
}

fn without_bounds(temporality: Temporality) -> Arc<Stream> {
    stream(temporality, usize::MAX, &Arc::new(Budget::new(usize::MAX)), None)
}

fn item(number: u64) -> [Item<'static>; 1] {
    [Item { key: "number", value: Scalar::Int(number as i64) }]
}

/// Counts one for each of these numbers, which is the hash of its attributes, too.
fn counter(stream: &Arc<Stream>, numbers: &'static [u64]) -> JoinHandle<()> {
    let stream = Arc::clone(stream);
    thread::spawn(move || numbers.iter().for_each(|number| count(&stream, *number)))
}

pub fn count(stream: &Stream, number: u64) {
    stream.measure(&item(number), number, Number::Int(1), None, || 1);
}

/// The values of a collection, one for each series.
fn collect(stream: &Stream) -> Vec<i64> {
    let mut values = Vec::new();
    stream.collect(2, |collected| match collected.point {
        Point::Number { value: Number::Int(value), .. } => values.push(value),
        _ => panic!("a sum of integers is one"),
    });
    values
}

fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

pub fn one_collection() {
    let stream = without_bounds(Temporality::Delta);
    let counters = [counter(&stream, &[0, 4, 0]), counter(&stream, &[4, 0]), counter(&stream, &[0, 1])];
    let collectors = [(); 2].map(|()| {
        let stream = Arc::clone(&stream);
        thread::spawn(move || collect(&stream).into_iter().sum::<i64>())
    });
    join(counters);
    let meanwhile: i64 = join(collectors).into_iter().sum();
    assert_eq!(meanwhile + collect(&stream).into_iter().sum::<i64>(), 7, "none is lost, and none is counted twice");
    assert!(collect(&stream).is_empty());
}

pub fn cumulative() {
    let stream = without_bounds(Temporality::Cumulative);
    let counters = [counter(&stream, &[0, 0]), counter(&stream, &[0, 3])];
    let mut before = 0;
    for _ in 0..2 {
        let now = collect(&stream).into_iter().sum();
        assert!((before..=4).contains(&now), "{before} and then {now}");
        before = now;
    }
    join(counters);
    let mut last = collect(&stream);
    last.sort_unstable();
    assert_eq!(last, [1, 3]);
}

pub fn one_series() {
    let map = Arc::new(SeriesMap::default());
    // All hashes begin with the same bits, so that all want the same places.
    const NUMBERS: [u64; 3] = [0, 16, 32];
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let map = Arc::clone(&map);
            thread::spawn(move || {
                for at in 0..NUMBERS.len() {
                    let hash = NUMBERS[(at + thread) % NUMBERS.len()];
                    let items = item(hash);
                    let early = map.find(&items, hash).map(|series: &Series<u64>| std::ptr::from_ref(series));
                    let attributes = AttributeSet::new(&items, hash, 7).unwrap();
                    let make = |_| Some(Series { attributes, value: hash });
                    let found = map.find_or_add(&items, hash, make).expect("it was made");
                    assert_eq!(found.value, hash);
                    let found = std::ptr::from_ref(found);
                    assert!(early.is_none_or(|early| std::ptr::eq(early, found)), "there is one, and it stays");
                    let again = map.find(&items, hash).expect("it is there");
                    assert!(std::ptr::eq(again, found));
                }
            })
        })
        .collect();
    let seen = map.all().len();
    join(threads);
    let mut all: Vec<_> = map.all().iter().map(|series| series.value).collect();
    assert!(seen <= all.len());
    all.sort_unstable();
    assert_eq!(all, NUMBERS);
}

/// One that is for what has no room, and the others.
fn series_of(stream: &Stream) -> (usize, usize) {
    let mut overflow = Vec::new();
    stream.collect(2, |collected| overflow.push(collected.attributes.has("otel.metric.overflow")));
    let overflows = overflow.iter().filter(|overflow| **overflow).count();
    (overflows, overflow.len() - overflows)
}

pub fn budget() {
    const BYTES: usize = 1000;
    let numbers = &[0, 1, 2, 3, 4, 5, 6, 7];
    // As many as one thread finds room for.
    let alone = stream(Temporality::Cumulative, usize::MAX, &Arc::new(Budget::new(BYTES)), None);
    numbers.iter().for_each(|number| alone.measure(&item(*number), *number, Number::Int(1), None, || 1));
    let (_, room) = series_of(&alone);
    assert!((2..numbers.len()).contains(&room), "the model needs other bytes: there is room for {room}");

    let budget = Arc::new(Budget::new(BYTES));
    let streams = [usize::MAX, 2].map(|max_series| stream(Temporality::Cumulative, max_series, &budget, None));
    let counters = [
        counter(&streams[0], &[0, 1, 2, 3]),
        counter(&streams[0], &[4, 5, 6, 7]),
        counter(&streams[1], &[0, 1]),
        counter(&streams[1], &[2]),
    ];
    join(counters);
    let counts: Vec<_> = streams.iter().map(|stream| series_of(stream)).collect();
    assert!(counts.iter().map(|(_, series)| series).sum::<usize>() <= room, "an assertion of the budget: {counts:?}");
    assert!(counts[1].1 <= 1, "an assertion of the limit: {counts:?}");
    let sums: Vec<i64> = streams.iter().map(|stream| collect(stream).into_iter().sum()).collect();
    assert_eq!(sums, [8, 3], "what has no room is counted all the same");
}
