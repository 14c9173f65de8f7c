//! The task that makes a reader's rounds, one after the other, on the runtime's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::collection::{Found, collect};
use super::state::{ReaderState, Round};
use crate::export::counters::Counters;
use crate::export::exporter::Limits;
use crate::otlp::Metrics;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::{JoinSet, select, sleep};

/// Longer than any program runs, and short enough for the clock.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(super) async fn run(state: Arc<ReaderState>) {
    let interval = state.config.interval.unwrap_or(NEVER).min(NEVER);
    let mut next = Instant::now() + interval;
    while !(state.is_closed() && state.are_all_rounds_done()) {
        let is_time = select! {
            () = state.wake.notified() => false,
            () = sleep(next.saturating_duration_since(Instant::now())) => true,
        };
        let mut due = is_time && !state.config.ticks_elsewhere();
        while let Some(round) = state.next(due) {
            due = false;
            make(&state, round).await;
        }
        if is_time {
            next = Instant::now() + interval;
        }
    }
}

/// In a task of its own, so that a panic costs this round and not the worker.
async fn make(state: &Arc<ReaderState>, Round { number, found }: Round) {
    let mut round = JoinSet::new();
    round.spawn(collect_and_export(Arc::clone(state), found));
    if let Some(Err(error)) = round.join_next().await {
        report(Level::Error, Kind::ExportFailed, state.exporter.source(), || {
            format!("Failed to export metrics: the export panicked: {error}")
        });
    }
    state.done(number);
}

async fn collect_and_export(state: Arc<ReaderState>, found: Found) {
    let streams = state.streams().clone();
    for part in parts(collect(&streams, found), state.config.max_data_points) {
        export(&state, &part).await;
    }
}

fn parts(metrics: Metrics, max_data_points: Option<usize>) -> Vec<Metrics> {
    match max_data_points {
        Some(max) => metrics.split(max),
        None => vec![metrics],
    }
}

async fn export(state: &ReaderState, metrics: &Metrics) {
    let (request, points) = (metrics.request(), metrics.points() as u64);
    if points == 0 {
        return;
    }
    if let Some(max) = state.config.max_request_bytes.filter(|max| request.len() > *max) {
        state.exporter.drop_too_large(points, request.len(), max);
        return;
    }
    let limits = Limits {
        timeout: state.config.export_timeout,
        no_retry: state.draining.subscribe(),
        broken_off: state.abandoned.subscribe(),
    };
    state.exporter.export_within(request, points, &limits, &Counters::default()).await;
}
