//! The task that exports a pipeline's batches, one after the other, on the runtime's thread.

use std::sync::Arc;

use tokio::time::{sleep, timeout};

use super::{PipelineConfig, State};
use crate::otlp::batch::Batch;
use crate::otlp::client::Outcome;
use crate::otlp::exporter::Exporter;
use crate::report::{Kind, Level, Source, report};

pub(super) async fn run(state: Arc<State>, config: PipelineConfig, exporter: Arc<Exporter>) {
    while !state.queue.is_finished() {
        // A batch that was sealed, a flush and the end wake the worker at once; otherwise it looks every
        // `schedule_delay` and takes what little there is.
        let mut due = tokio::select! {
            () = state.wake.notified() => false,
            () = sleep(config.schedule_delay) => true,
        };
        while let Some(batch) = state.queue.next(due) {
            due = false;
            let spans = batch.len() as u64;
            let outcome = export(&state, &config, &exporter, batch).await;
            count(&state, spans, outcome, exporter.source());
            // After the counters, so that whoever waited for the spans finds them counted.
            state.queue.done(spans);
        }
    }
}

async fn export(state: &State, config: &PipelineConfig, exporter: &Arc<Exporter>, batch: Batch) -> Outcome {
    let mut abandoned = state.abandoned.subscribe();
    let draining = state.draining.subscribe();
    let exporter = Arc::clone(exporter);
    // A task of its own, so that a panic in there costs this batch and not the worker.
    let mut task = tokio::spawn(async move { exporter.export(batch.into_request(), &draining).await });
    let outcome = tokio::select! {
        result = timeout(config.export_timeout, &mut task) => result,
        _ = abandoned.wait_for(|abandoned| *abandoned) => {
            task.abort();
            return Outcome::Failed { reason: "broken off at the shutdown deadline".into() };
        }
    };
    match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Outcome::Failed { reason: format!("the export panicked: {panic}") },
        Err(_elapsed) => {
            task.abort();
            Outcome::Failed { reason: format!("not done within the export timeout of {:?}", config.export_timeout) }
        }
    }
}

fn count(state: &State, spans: u64, outcome: Outcome, source: Source) {
    match outcome {
        Outcome::Delivered { rejected, message } => {
            state.counters.exported(spans, rejected);
            if rejected > 0 || !message.is_empty() {
                report(Level::Warning, Kind::PartialSuccess, source, || {
                    format!("The receiver rejected {rejected} of {spans} spans: {message}")
                });
            }
        }
        Outcome::TooLarge { reason } | Outcome::Failed { reason } => {
            state.counters.failed(spans);
            report(Level::Error, Kind::ExportFailed, source, || format!("Failed to export {spans} spans: {reason}"));
        }
    }
}
