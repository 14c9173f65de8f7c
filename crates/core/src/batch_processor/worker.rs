//! The task that exports a batch processor's batches, a few at a time, on the runtime's thread.

use std::sync::Arc;

use super::queue::End;
use super::state::BatchProcessorState;
use crate::export::exporter::{Exporter, Limits};
use crate::otlp::Batch;
use crate::process::report::{Kind, Level, report};
use crate::process::sync::{JoinError, JoinSet, select, sleep};

pub(super) async fn run(state: Arc<BatchProcessorState>) {
    let (config, exporter) = (&state.config, &state.exporter);
    let mut exports = JoinSet::new();
    while !state.queue.is_finished() {
        // A sealed batch, a flush and the shutdown wake the worker at once; otherwise it wakes every
        // `schedule_delay` and takes what there is.
        let mut due = select! {
            () = state.wake.notified() => false,
            () = sleep(config.schedule_delay) => true,
        };
        loop {
            while exports.len() >= config.max_concurrent_exports
                && let Some(ended) = exports.join_next().await
            {
                say_if_panicked(exporter, ended);
            }
            let Some((batch, end)) = state.queue.next(due) else { break };
            due = false;
            // A task of its own, so that a panic costs this batch and not the worker.
            exports.spawn(export(Arc::clone(&state), batch, end));
        }
        while let Some(ended) = exports.try_join_next() {
            say_if_panicked(exporter, ended);
        }
    }
    while let Some(ended) = exports.join_next().await {
        say_if_panicked(exporter, ended);
    }
}

async fn export(state: Arc<BatchProcessorState>, batch: Batch, end: End) {
    // Dropped last, even by a panic, so that whoever waits for the items finds them counted.
    let _done = Done { state: &state, end };
    let limits = Limits {
        timeout: state.config.export_timeout,
        no_retry: state.draining.subscribe(),
        broken_off: state.abandoned.subscribe(),
    };
    let items = batch.len() as u64;
    let request = match batch.into_request() {
        Ok(request) => request,
        Err(error) => return state.exporter.fail_unsent(items, &error.to_string(), &state.counters.exports),
    };
    let exported = state.exporter.export_within(request, items, &limits, &state.counters.exports).await;
    if let Some(bytes) = exported.refused_bytes {
        state.queue.learn_refused(bytes);
    }
}

struct Done<'a> {
    state: &'a BatchProcessorState,
    end: End,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.state.queue.done(self.end);
    }
}

fn say_if_panicked(exporter: &Exporter, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        report(Level::Error, Kind::ExportFailed, exporter.source(), || {
            format!("Failed to export {}: the export panicked: {error}", exporter.noun())
        });
    }
}
