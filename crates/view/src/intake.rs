//! The way of a decoded request from the servers to the printing thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many requests may wait to be printed. A peer whose request finds no room waits for its answer, which is how
/// OTLP is slowed down.
const MAX_WAITING_REQUESTS: usize = 8;

pub enum Export {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

pub enum Job {
    /// The permit is the request's room in the queue: it is given back when the request is printed.
    Print(Export, OwnedSemaphorePermit),
    /// Print what is pending and end.
    Finish,
}

/// The printing thread has ended: nothing more can be taken.
pub struct Closed;

/// An unbounded channel in which every request needs a permit: bounded, and servers wait without blocking their thread.
#[derive(Clone)]
pub struct Intake {
    jobs: Sender<Job>,
    room: Arc<Semaphore>,
}

impl Intake {
    pub fn new() -> (Self, Receiver<Job>) {
        let (jobs, receiver) = channel();
        (Self { jobs, room: Arc::new(Semaphore::new(MAX_WAITING_REQUESTS)) }, receiver)
    }

    pub async fn accept(&self, export: Export) -> Result<(), Closed> {
        let permit = self.room.clone().acquire_owned().await.map_err(|_| Closed)?;
        self.jobs.send(Job::Print(export, permit)).map_err(|_| Closed)
    }

    /// Asks the printing thread to end after the requests that are already in the queue.
    pub fn finish(&self) {
        // A thread that has already ended needs no asking.
        let _ = self.jobs.send(Job::Finish);
    }

    /// Turns away those who wait for room and all who come later.
    pub fn close(&self) {
        self.room.close();
    }
}
