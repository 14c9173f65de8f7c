//! What one collection found.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::metrics::{Stream, metric, put_metric};
use crate::otlp::{Metric, Metrics, OutOfMemory, Scope, ScopeMetrics};

/// A stream, and the scope of its instrument.
pub type Registered = (Arc<Scope>, Arc<Stream>);

/// What somebody else collected, for the same request.
#[derive(Default)]
pub struct Found {
    pub scopes: Vec<ScopeMetrics>,
    /// There was no memory for so many more points.
    pub lost_points: usize,
}

impl Found {
    pub fn add(&mut self, other: Self) {
        self.scopes.extend(other.scopes);
        self.lost_points += other.lost_points;
    }

    fn points(&self) -> usize {
        self.scopes.iter().flat_map(|scope| &scope.metrics).map(|metric| metric.points.len()).sum()
    }
}

/// What is exported at once: the encoded request.
pub struct Request {
    pub body: Bytes,
    pub points: usize,
}

/// There is no memory for a request: these points are lost. What was not collected yet waits for the next round.
#[derive(Debug, PartialEq, Eq)]
pub struct Unencoded {
    pub points: usize,
}

/// What becomes a metric of a request.
enum Source<'a> {
    Found(Metric),
    Stream(&'a Stream),
}

impl Source<'_> {
    fn expected_len(&self) -> usize {
        match self {
            Self::Found(metric) => metric.expected_len(),
            Self::Stream(stream) => stream.written_len(),
        }
    }

    /// Appends the metric. Adds to `points` how many points it has, if they are collected now.
    fn put(&self, out: &mut Vec<u8>, time_unix_nano: u64, points: &mut usize) -> Result<(), OutOfMemory> {
        match self {
            Self::Found(metric) => metric.frame(out).map(drop),
            Self::Stream(stream) => put_metric(stream, time_unix_nano, out, points),
        }
    }
}

/// The points of all streams since the last collection, after those that were found; in one request, or in several of at
/// most so many points. The one is written to `buffer`.
///
/// They have the time of this round, not of what was found: that may have waited for the export before it, while new
/// series and new deltas began, and no point ends before it starts.
pub fn collect(
    streams: &[Registered],
    found: Found,
    max_points: Option<usize>,
    buffer: Vec<u8>,
) -> Result<Vec<Request>, Unencoded> {
    let time_unix_nano = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos() as u64);
    let mut points = found.points();
    let found = found.scopes.into_iter().flat_map(|ScopeMetrics { scope, metrics }| {
        metrics.into_iter().map(move |metric| (Arc::clone(&scope), metric))
    });
    let requests = match max_points {
        None => {
            let found = found.map(|(scope, metric)| (scope, Source::Found(metric)));
            let streams = streams.iter().map(|(scope, stream)| (Arc::clone(scope), Source::Stream(stream)));
            whole(&found.chain(streams).collect(), buffer, time_unix_nano, &mut points).map(|request| vec![request])
        }
        Some(max) => parts(found, streams, max, time_unix_nano, &mut points),
    };
    requests.map_err(|OutOfMemory| Unencoded { points })
}

fn whole(
    metrics: &Metrics<Source<'_>>,
    mut buffer: Vec<u8>,
    time_unix_nano: u64,
    points: &mut usize,
) -> Result<Request, OutOfMemory> {
    buffer.clear();
    metrics.put(&mut buffer, Source::expected_len, |out, source| source.put(out, time_unix_nano, points))?;
    Ok(Request { body: buffer.into(), points: *points })
}

fn parts(
    found: impl Iterator<Item = (Arc<Scope>, Metric)>,
    streams: &[Registered],
    max_points: usize,
    time_unix_nano: u64,
    points: &mut usize,
) -> Result<Vec<Request>, OutOfMemory> {
    let mut all: Vec<_> = found.collect();
    for (scope, stream) in streams {
        let metric = metric(stream, time_unix_nano, points)?;
        all.extend(metric.map(|metric| (Arc::clone(scope), metric)));
    }
    let parts = all.into_iter().collect::<Metrics>().split(max_points)?;
    parts.iter().map(|part| Ok(Request { body: part.request()?, points: part.points() })).collect()
}
