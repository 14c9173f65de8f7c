//! The task that makes a reader's rounds, one after the other, on the runtime's thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::collection::{Found, Request, Unencoded, collect};
use super::state::{ReaderState, Round};
use crate::export::counters::Counters;
use crate::export::exporter::Limits;
use crate::otlp::OutOfMemory;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::{JoinSet, select, sleep};

/// Longer than any program runs, and short enough for the clock.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(super) async fn run(state: Arc<ReaderState>) {
    let interval = state.config.interval.unwrap_or(NEVER).min(NEVER);
    let mut next = Instant::now() + interval;
    // Where requests are written. One round's is as long as the last one's, most likely, and new memory costs more than
    // what is written to it.
    let mut buffer = Vec::new();
    while !(state.is_closed() && state.are_all_rounds_done()) {
        let is_time = select! {
            () = state.wake.notified() => false,
            () = sleep(next.saturating_duration_since(Instant::now())) => true,
        };
        let mut due = is_time && !state.config.ticks_elsewhere();
        while let Some(round) = state.next(due) {
            due = false;
            buffer = make(&state, round, buffer).await;
        }
        if is_time {
            next = Instant::now() + interval;
        }
    }
}

/// In a task of its own, so that a panic costs this round and not the worker. Returns the buffer for the next one.
async fn make(state: &Arc<ReaderState>, Round { number, found }: Round, buffer: Vec<u8>) -> Vec<u8> {
    let mut round = JoinSet::new();
    round.spawn(collect_and_export(Arc::clone(state), found, buffer));
    let buffer = match round.join_next().await {
        Some(Ok(buffer)) => buffer,
        Some(Err(error)) => {
            report(Level::Error, Kind::ExportFailed, state.exporter.source(), || {
                format!("Failed to export metrics: the export panicked: {error}")
            });
            Vec::new()
        }
        None => Vec::new(),
    };
    state.done(number);
    buffer
}

async fn collect_and_export(state: Arc<ReaderState>, found: Found, buffer: Vec<u8>) -> Vec<u8> {
    let streams = state.streams().clone();
    let fail = |points| state.exporter.fail(points as u64, &OutOfMemory.to_string());
    if found.lost_points > 0 {
        fail(found.lost_points);
    }
    let requests = match collect(&streams, found, state.config.max_data_points, buffer) {
        Ok(requests) => requests,
        Err(Unencoded { points }) => {
            fail(points);
            return Vec::new();
        }
    };
    let mut buffer = Vec::new();
    for request in requests {
        let body = request.body.clone();
        export(&state, request).await;
        buffer = room_of(body);
    }
    buffer
}

/// The memory of a request, for another one: none if somebody still reads it, or if it is much more than was needed.
pub(super) fn room_of(request: Bytes) -> Vec<u8> {
    let len = request.len();
    let Ok(mut bytes) = request.try_into_mut() else { return Vec::new() };
    bytes.clear();
    let room = Vec::from(bytes);
    if room.capacity() > 2 * len { Vec::new() } else { room }
}

async fn export(state: &ReaderState, Request { body, points }: Request) {
    if points == 0 {
        return;
    }
    if let Some(max) = state.config.max_request_bytes.filter(|max| body.len() > *max) {
        state.exporter.drop_too_large(points as u64, body.len(), max);
        return;
    }
    let limits = Limits {
        timeout: state.config.export_timeout,
        no_retry: state.draining.subscribe(),
        broken_off: state.abandoned.subscribe(),
    };
    state.exporter.export_within(body, points as u64, &limits, &Counters::default()).await;
}
