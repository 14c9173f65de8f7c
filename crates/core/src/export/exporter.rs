//! Requests of one signal to one destination. A forked child makes a connection of its own.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use crate::client::{Cause, Client, ClientConfig, ConfigError, Deadline, Outcome, Protocol, Signal, Status};
use crate::export::counters::{Counters, Exports, InFlight, Settled};
use crate::export::ending;
use crate::export::split::{self, Part};
use crate::otlp::metric;
use crate::otlp::span::span_name;
use crate::process::exit::exit_deadline_passed;
use crate::process::fork::PerProcess;
use crate::process::report::{Kind, Level, Source, report, say};

pub struct Exporter {
    config: ClientConfig,
    /// False if the configuration cannot be used, so that there is no client.
    sends: bool,
    state: PerProcess<ExporterState>,
    shut_down: AtomicBool,
    records_operations: AtomicBool,
    source: Source,
    #[cfg(test)]
    pub(crate) stand_in: Option<StandIn>,
}

/// Answers instead of a receiver, with what no receiver would answer on demand.
#[cfg(test)]
pub(crate) type StandIn =
    Box<dyn Fn(Bytes) -> std::pin::Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync + 'static>;

/// What belongs to one process.
struct ExporterState {
    client: Option<Result<Client, ConfigError>>,
    counters: Arc<Counters>,
    /// Of what somebody else sent in this exporter's place.
    elsewhere: Counters,
    outage: Mutex<Outage>,
    operations: Mutex<Vec<Operation>>,
}

/// Exports that failed since the last one that did not.
#[derive(Default)]
struct Outage {
    exports: u64,
    items: u64,
    /// A line was logged about it, so that its end is worth one too.
    said: bool,
}

/// How long one request took, its retries included.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub seconds: f64,
    /// `error.type` of the semantic conventions.
    pub error: Option<Cow<'static, str>>,
    /// The receiver's, if it did not take the request.
    pub status: Option<Status>,
}

/// Operations beyond this number are not kept until somebody takes some.
const MAX_OPERATIONS: usize = 8192;

/// What may cut an export short.
pub struct Limits {
    /// For each request; the client has its own timeout as well.
    pub timeout: Duration,
    /// Once true, no attempt is repeated.
    pub no_retry: watch::Receiver<bool>,
    /// Once true, everything is given up.
    pub broken_off: watch::Receiver<bool>,
}

/// What became of one export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// The receiver took every item, or said itself how many it rejected.
    pub delivered: bool,
    /// The length of the shortest request that was too large for the receiver.
    pub refused_bytes: Option<usize>,
}

impl Exporter {
    /// Fails if no request could ever be sent with this configuration. Does not connect.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let exporter = Self::of(config, true);
        match &exporter.state().client {
            Some(Ok(_)) | None => Ok(exporter),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// For a configuration that cannot be used, after that was logged: sends nothing, and counts every item as failed.
    pub fn that_sends_nothing(config: ClientConfig) -> Self {
        Self::of(config, false)
    }

    fn of(config: ClientConfig, sends: bool) -> Self {
        Self {
            sends,
            state: PerProcess::new(),
            shut_down: AtomicBool::new(false),
            records_operations: AtomicBool::new(false),
            source: match config.signal {
                Signal::Logs => Source::of_log_export(),
                Signal::Traces | Signal::Metrics => Source::unique(),
            },
            config,
            #[cfg(test)]
            stand_in: None,
        }
    }

    fn state(&self) -> &ExporterState {
        self.state.get_or_make(|| ExporterState {
            client: self.sends.then(|| Client::new(&self.config)),
            counters: Arc::default(),
            elsewhere: Counters::default(),
            outage: Mutex::default(),
            operations: Mutex::default(),
        })
    }

    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// The source of this exporter's reports.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Sends a request with so many items in it, for as long as the client's timeout lets it.
    pub(crate) async fn export(&self, request: Bytes, items: u64) -> Exported {
        // Never set: a shutdown stops the client's retries instead.
        let (_keep, never) = watch::channel(false);
        let limits = Limits { timeout: Duration::MAX, no_retry: never.clone(), broken_off: never };
        self.export_within(request, items, &limits, &Counters::default()).await
    }

    /// Sends a request, and the two halves of one that the receiver finds too large, each as an export of its own. An
    /// item that is refused alone is dropped. Counts in `counters` as well as in its own, and reports what went wrong.
    ///
    /// Dropping the future cancels the export; what was not settled by then counts as failed.
    pub(crate) async fn export_within(
        &self,
        request: Bytes,
        items: u64,
        limits: &Limits,
        counters: &Counters,
    ) -> Exported {
        let state = self.state();
        let mut in_flight = InFlight::new([&*state.counters, counters], items);
        let mut exported = Exported { delivered: true, refused_bytes: None };
        let mut parts = vec![Part { request, items }];
        while let Some(part) = parts.pop() {
            if *limits.broken_off.borrow() {
                exported.delivered = false;
                self.count_failed(&mut in_flight, u64::MAX, &self.unfinished(BROKEN_OFF));
                break;
            }
            // A part that is no shorter than a refused request need not be tried.
            if exported.refused_bytes.is_some_and(|refused| part.request.len() >= refused)
                && let Some([first, second]) = split::halves(&part.request, self.count_of_item())
            {
                parts.extend([second, first]);
                continue;
            }
            for counters in [&*state.counters, counters] {
                counters.request(part.request.len());
            }
            let started = Instant::now();
            let outcome = self.attempt(part.request.clone(), limits).await;
            self.record(started, &outcome);
            match outcome {
                Outcome::Delivered { rejected, message } => {
                    // A receiver may say any number.
                    let rejected = rejected.min(part.items);
                    in_flight.settle(part.items, Settled::Delivered { rejected });
                    self.end_outage();
                    if rejected > 0 || !message.is_empty() {
                        let Part { items, .. } = part;
                        report(Level::Warning, Kind::PartialSuccess, self.source, || match self.config.signal {
                            Signal::Metrics => format!("The receiver rejected {rejected} data points: {message}"),
                            _ => format!("The receiver rejected {rejected} of {items} {}: {message}", self.noun()),
                        });
                    }
                }
                Outcome::TooLarge { reason, .. } => {
                    let len = part.request.len();
                    exported.refused_bytes = Some(exported.refused_bytes.unwrap_or(len).min(len));
                    match split::halves(&part.request, self.count_of_item()) {
                        Some([first, second]) => parts.extend([second, first]),
                        None => {
                            exported.delivered = false;
                            in_flight.settle(part.items, Settled::TooLarge);
                            report(Level::Error, Kind::TooLarge, self.source, || self.dropped(&part.request, &reason));
                        }
                    }
                }
                Outcome::Failed { reason, .. } => {
                    exported.delivered = false;
                    self.count_failed(&mut in_flight, part.items, &reason);
                }
            }
        }
        exported
    }

    /// One request, as far as the limits let it.
    async fn attempt(&self, request: Bytes, limits: &Limits) -> Outcome {
        if self.is_shut_down() {
            return failed("the exporter is already shut down", Cause::Other);
        }
        let mut broken_off = limits.broken_off.clone();
        let deadline = Deadline::after(limits.timeout);
        tokio::select! {
            outcome = deadline.limit(self.send(request, &limits.no_retry)) => {
                outcome.unwrap_or_else(|| {
                    let late = format!("not done within the export timeout of {:?}", limits.timeout);
                    failed(self.unfinished(&late), Cause::Timeout)
                })
            }
            () = exit_deadline_passed() => failed(self.unfinished("not done by the deadline of the exit"), Cause::Timeout),
            // A dropped sender will not set it.
            Ok(_) = broken_off.wait_for(|broken_off| *broken_off) => failed(self.unfinished(BROKEN_OFF), Cause::Other),
        }
    }

    async fn send(&self, request: Bytes, no_retry: &watch::Receiver<bool>) -> Outcome {
        #[cfg(test)]
        if let Some(stand_in) = &self.stand_in {
            return stand_in(request).await;
        }
        match &self.state().client {
            Some(Ok(client)) => client.export(request, no_retry).await,
            Some(Err(error)) => failed(error.to_string(), Cause::Other),
            None => failed("the exporter's configuration cannot be used", Cause::Other),
        }
    }

    fn count_of_item(&self) -> fn(&[u8]) -> u64 {
        match self.config.signal {
            Signal::Metrics => metric::points_of,
            Signal::Traces | Signal::Logs => |_item| 1,
        }
    }

    /// Counts as dropped a request of `bytes` that is not sent, because it is longer than its owner allows.
    pub fn drop_too_large(&self, items: u64, bytes: usize, max_request_size: usize) {
        report(Level::Warning, Kind::TooLarge, self.source, || {
            let what =
                if self.config.signal == Signal::Traces { "span".to_owned() } else { self.config.signal.to_string() };
            format!(
                "Dropping {what} batch: serialized size {bytes} bytes exceeds max_request_size {max_request_size} bytes."
            )
        });
        let state = self.state();
        InFlight::new([&state.counters, &Counters::default()], items).settle(items, Settled::TooLarge);
    }

    /// Counts items as failed that could not be encoded.
    pub fn fail(&self, items: u64, reason: &str) {
        self.fail_unsent(items, reason, &Counters::default());
    }

    /// Counts items as failed that could not be tried, in `counters` as well.
    pub(crate) fn fail_unsent(&self, items: u64, reason: &str, counters: &Counters) {
        let mut in_flight = InFlight::new([&self.state().counters, counters], items);
        self.count_failed(&mut in_flight, items, reason);
    }

    /// The log line about an export that ended without an outcome; its items have been counted.
    pub(crate) fn report_unfinished(&self, items: u64, what: &str) {
        report(Level::Error, Kind::ExportFailed, self.source, || {
            format!("Failed to export {items} {}: {}", self.noun(), self.unfinished(what))
        });
    }

    /// Why an export failed that was ended from here, with the destination as the client names it.
    fn unfinished(&self, what: &str) -> String {
        match &self.state().client {
            Some(Ok(client)) => format!("{} failed: {what}", client.label()),
            Some(Err(_)) | None => what.to_owned(),
        }
    }

    fn count_failed(&self, in_flight: &mut InFlight<'_>, items: u64, reason: &str) {
        let items = items.min(in_flight.left());
        // The line first: whoever waits until nothing is in flight finds it.
        let said = self.sends
            && report(Level::Error, Kind::ExportFailed, self.source, || {
                format!("Failed to export {items} {}: {reason}", self.noun())
            });
        in_flight.settle(items, Settled::Failed);
        let mut outage = lock(&self.state().outage);
        outage.exports += 1;
        outage.items += items;
        outage.said |= said;
    }

    fn end_outage(&self) {
        let state = self.state();
        let Outage { exports, items, said } = std::mem::take(&mut *lock(&state.outage));
        if let (true, Some(Ok(client))) = (said, &state.client) {
            let noun = self.noun();
            say(
                Level::Warning,
                self.source,
                format!("{} works again: {exports} failed, with {items} {noun}", client.label()),
            );
        }
    }

    /// The log line about a request with one item that was refused for its size.
    fn dropped(&self, request: &[u8], reason: &str) -> String {
        let item = split::items(request).next().unwrap_or_default();
        let name = match self.config.signal {
            Signal::Traces => format!(" {:?}", beginning(&span_name(item))),
            Signal::Metrics | Signal::Logs => String::new(),
        };
        let noun = self.noun().trim_end_matches('s');
        format!("Dropping the {noun}{name} of {} bytes, which is too large for the receiver: {reason}", item.len())
    }

    /// What it exports, in words.
    pub(crate) fn noun(&self) -> &'static str {
        match self.config.signal {
            Signal::Traces => "spans",
            Signal::Metrics => "metrics",
            Signal::Logs => "log records",
        }
    }

    /// The class of a batch processor in front of it.
    pub(crate) fn processor(&self) -> &'static str {
        match self.config.signal {
            Signal::Traces | Signal::Metrics => "BatchSpanProcessor",
            Signal::Logs => "BatchLogRecordProcessor",
        }
    }

    /// Counts items that `send` sends in this exporter's place: as exported if it returns true, else as failed.
    pub fn export_elsewhere<E>(&self, items: u64, send: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        let nobody = Counters::default();
        let mut in_flight = InFlight::new([&self.state().elsewhere, &nobody], items);
        let delivered = send()?;
        in_flight.settle(items, if delivered { Settled::Delivered { rejected: 0 } } else { Settled::Failed });
        Ok(delivered)
    }

    /// All items, wherever they were sent.
    pub fn counts(&self) -> Exports {
        self.own_counts() + self.state().elsewhere.read()
    }

    /// The items that this exporter sent itself.
    pub fn own_counts(&self) -> Exports {
        self.state().counters.read()
    }

    /// Attempts that were made after a first one had failed.
    pub fn retries(&self) -> u64 {
        match &self.state().client {
            Some(Ok(client)) => client.retries(),
            Some(Err(_)) | None => 0,
        }
    }

    /// Keeps from now on how long requests take, for `take_operations`.
    pub fn record_operations(&self) {
        self.records_operations.store(true, Ordering::Relaxed);
    }

    /// The operations since the last call.
    pub fn take_operations(&self) -> Vec<Operation> {
        std::mem::take(&mut lock(&self.state().operations))
    }

    fn record(&self, started: Instant, outcome: &Outcome) {
        if !self.records_operations.load(Ordering::Relaxed) {
            return;
        }
        let status = |cause: &Cause| cause.status(self.config.protocol == Protocol::Grpc);
        let (error, status) = match outcome {
            Outcome::Delivered { rejected: 0, .. } => (None, None),
            Outcome::Delivered { .. } => (Some("rejected".into()), None),
            Outcome::TooLarge { cause, .. } => (Some("RequestPayloadTooLargeError".into()), status(cause)),
            Outcome::Failed { cause, .. } => (Some(cause.error_type()), status(cause)),
        };
        let mut operations = lock(&self.state().operations);
        if operations.len() < MAX_OPERATIONS {
            operations.push(Operation { seconds: started.elapsed().as_secs_f64(), error, status });
        }
    }

    /// Takes no more requests; those under way go on, but are not tried again, and the end of the process waits for
    /// them. True at the first call.
    pub fn shut_down(&self) -> bool {
        let first = !self.shut_down.swap(true, Ordering::AcqRel);
        if let (true, Some(state)) = (first, self.state.get()) {
            ending::add(&state.counters);
        }
        // Without a client nothing is under way, and nothing will be.
        if let Some(ExporterState { client: Some(Ok(client)), .. }) = self.state.get() {
            client.close();
        }
        first
    }

    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }
}

const BROKEN_OFF: &str = "broken off at the shutdown deadline";

fn failed(reason: impl Into<String>, cause: Cause) -> Outcome {
    Outcome::Failed { reason: reason.into(), cause }
}

/// The beginning of a name, short enough for a log line.
fn beginning(name: &str) -> String {
    const MAX_CHARS: usize = 200;
    let mut beginning: String = name.chars().take(MAX_CHARS).collect();
    if beginning.len() < name.len() {
        beginning.push_str("...");
    }
    beginning
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
