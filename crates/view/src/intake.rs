//! The way of a request's body from the servers to the printing thread.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::body::Body;
use crate::call::Call;
use crate::config::Limits;
use crate::decoding::{self, Export};
use crate::question::Question;
use crate::refusal::Refusal;

/// How many small requests may wait to be printed. A peer whose request finds no room waits for its answer, which is
/// how OTLP is slowed down.
const MAX_WAITING_REQUESTS: usize = 8;
/// How many lines about refused requests may wait to be printed.
const MAX_WAITING_LINES: usize = 32;

pub enum Job {
    /// The permit is the request's room in the queue: it is given back when the request is printed.
    Print(Export, OwnedSemaphorePermit),
    /// A line for the user, with its room.
    Tell(String, OwnedSemaphorePermit),
    /// The page wants to know something: the answer is JSON.
    Ask(Question, oneshot::Sender<String>),
    /// Print what is pending and end.
    Finish,
}

/// An unbounded channel in which every job needs a permit: bounded, and servers wait without blocking their thread.
#[derive(Clone)]
pub struct Intake {
    jobs: Sender<Job>,
    limits: Limits,
    answers_when_printed: bool,
    /// One request at a time is decompressed and decoded; the others wait as they were sent.
    lane: Arc<Mutex<()>>,
    /// In KiB of decoded requests.
    room: Arc<Semaphore>,
    lines: Arc<Semaphore>,
}

impl Intake {
    pub fn new(limits: Limits, answers_when_printed: bool) -> (Self, Receiver<Job>) {
        let (jobs, receiver) = channel();
        let intake = Self {
            jobs,
            limits,
            answers_when_printed,
            lane: Arc::default(),
            room: Arc::new(Semaphore::new(kib(limits.decoded_bytes) as usize)),
            lines: Arc::new(Semaphore::new(MAX_WAITING_LINES)),
        };
        (intake, receiver)
    }

    pub async fn accept(&self, call: Call, body: Body) -> Result<(), Refusal> {
        let ending = || Refusal::unavailable("otel-rs view is ending");
        let limits = &self.limits;
        let _lane = self.lane.lock().await;
        let plain = decoding::decompress(call.compression, body.into_bytes(), limits.request_bytes)?;
        let decoded_bytes = decoding::measure(call, &plain, limits.decoded_bytes)?;
        let room = kib(decoded_bytes.max(limits.decoded_bytes / MAX_WAITING_REQUESTS));
        let permit = self.room.clone().acquire_many_owned(room).await.map_err(|_| ending())?;
        let export = decoding::decode(call, plain)?;
        self.jobs.send(Job::Print(export, permit)).map_err(|_| ending())?;
        if self.answers_when_printed {
            // All the room is there again once this request, the last one, is printed.
            let _room = self.room.acquire_many(kib(limits.decoded_bytes)).await.map_err(|_| ending())?;
        }
        Ok(())
    }

    /// Whether the line is going to be printed: there may be no room for it.
    pub fn tell(&self, line: String) -> bool {
        self.lines.clone().try_acquire_owned().is_ok_and(|permit| self.jobs.send(Job::Tell(line, permit)).is_ok())
    }

    /// `None` if there is nobody who could answer.
    pub async fn ask(&self, question: Question) -> Option<String> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Ask(question, reply)).ok()?;
        answer.await.ok()
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

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes / 1024).unwrap_or(u32::MAX)
}
