//! The client of one endpoint: an export, its attempts and its outcome.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::channel::Channel;
use super::config::{ClientConfig, Protocol};
use super::config_error::ConfigError;
use super::deadline::Deadline;
use super::endpoint;
use super::failure::Failure;
use super::grpc::GrpcTransport;
use super::headers;
use super::http::HttpTransport;
use super::outcome::Outcome;
use super::payload::Payload;
use super::proxy;
use super::redaction::Redaction;
use super::remedy::Circumstances;
use super::response::Accepted;
use super::retry::{Retries, Retry};
use super::secrets;
use crate::process::exit;

/// Sends encoded export requests of one signal to one endpoint.
///
/// It connects at the first export, keeps the connection alive between exports, and may be used from several tasks at
/// once.
pub struct Client {
    transport: Transport,
    /// What a reader of the logs needs to find the culprit: protocol, signal and endpoint.
    label: String,
    timeout: Duration,
    redaction: Redaction,
    circumstances: Circumstances,
    retries: AtomicU64,
    no_retry: watch::Sender<bool>,
}

enum Transport {
    Grpc(Box<GrpcTransport>),
    Http(Box<HttpTransport>),
}

impl Transport {
    fn channel(&self) -> &Channel {
        match self {
            Transport::Grpc(transport) => transport.channel(),
            Transport::Http(transport) => transport.channel(),
        }
    }
}

impl Client {
    /// Checks `config` and prepares the client; no connection is made.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], when the endpoint, the compression, a header, a certificate or key file or the platform's TLS
    /// set-up cannot be used.
    pub fn new(config: &ClientConfig) -> Result<Client, ConfigError> {
        let endpoint = endpoint::parse(config)?;
        let transport = match config.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(GrpcTransport::new(config, &endpoint)?)),
            Protocol::HttpProtobuf | Protocol::HttpJson => {
                Transport::Http(Box::new(HttpTransport::new(config, &endpoint)?))
            }
        };
        let proxy = transport.channel().proxy().map(str::to_owned);
        let headers = config.headers.iter().flat_map(|(name, value)| headers::texts(name, value));
        let in_endpoint = secrets::credentials_in(&config.endpoint);
        let in_proxy = config.proxy.iter().flat_map(|address| proxy::secrets_in(address));
        let in_proxies = in_proxy.chain(proxy::secrets(&proxy::environment));
        let secrets: Vec<String> = headers.chain(in_endpoint).chain(in_proxies).collect();
        Ok(Client {
            transport,
            label: format!("OTLP/{} export of {} to {}", config.protocol, config.signal, endpoint.shown()),
            timeout: config.timeout,
            redaction: Redaction::of(secrets.iter().map(String::as_str)),
            circumstances: Circumstances::new(config, &endpoint, proxy),
            retries: AtomicU64::new(0),
            no_retry: watch::Sender::new(false),
        })
    }

    /// Protocol, signal and endpoint, free of secrets.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Attempts that followed a failed one, of all exports so far.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// From now on no export is tried again, whatever its own `no_retry`, waits for the next attempt end, and each
    /// connection closes as soon as no export uses it.
    pub fn close(&self) {
        self.no_retry.send_replace(true);
        match &self.transport {
            Transport::Grpc(transport) => transport.close(),
            Transport::Http(transport) => transport.close(),
        }
    }

    /// Sends `request`, an encoded export request of the client's signal, and retries as the specification says.
    ///
    /// Takes at most the configured timeout, all attempts included; time in which the process stood still does not
    /// count. Once `no_retry` is true or the exit of the process has begun, there are no further attempts, and a wait
    /// for the next one ends; the first attempt is made all the same, and made again if its connection turned out to
    /// have been closed meanwhile. Dropping the future cancels the export. Must be polled on a tokio runtime with time and I/O enabled.
    pub async fn export(&self, request: Bytes, no_retry: &watch::Receiver<bool>) -> Outcome {
        let deadline = Deadline::after(self.timeout);
        // Encoded, compressed and framed once, whatever the number of attempts.
        let payload = deadline.limit(self.payload(request)).await;
        let payload = match payload.unwrap_or_else(|| Err(Failure::timed_out())) {
            Ok(payload) => payload,
            Err(failure) => return Outcome::of(&failure, self.reason(&failure, 0)),
        };
        let (stopped, exit_begun) = (self.no_retry.subscribe(), exit::exit_begun());
        let mut retries = Retries::new(&deadline, [no_retry, &stopped, &exit_begun]);
        let mut before = None;
        loop {
            let failure = match self.attempt(&payload, &deadline).await {
                Ok(Accepted { rejected, message }) => {
                    let message = self.redaction.one_line(&message);
                    return Outcome::Delivered { rejected, message };
                }
                Err(failure) => failure,
            };
            // An attempt that the deadline cuts off says less than the one that failed before it.
            let telling = if failure.timed_out { before.take().unwrap_or(failure) } else { failure };
            if !retries.wait(telling.retry).await {
                return Outcome::of(&telling, self.reason(&telling, retries.attempts()));
            }
            before = Some(telling).filter(|failure| failure.retry != Retry::AtOnce);
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn payload(&self, request: Bytes) -> Result<Payload, Failure> {
        match &self.transport {
            Transport::Grpc(transport) => transport.payload(request).await,
            Transport::Http(transport) => transport.payload(request).await,
        }
    }

    async fn attempt(&self, payload: &Payload, deadline: &Deadline) -> Result<Accepted, Failure> {
        match &self.transport {
            Transport::Grpc(transport) => transport.send(payload, deadline).await,
            Transport::Http(transport) => transport.send(payload, deadline).await,
        }
    }

    fn reason(&self, failure: &Failure, attempts: u32) -> String {
        let mut reason = format!("{} failed: {}", self.label, failure.what);
        let detail = self.redaction.one_line(&failure.detail);
        if !detail.is_empty() {
            reason.push_str(": ");
            reason.push_str(&detail);
        }
        if failure.timed_out {
            reason.push_str(&format!(" (timeout {:?})", self.timeout));
        }
        if attempts > 1 {
            reason.push_str(&format!(" (after {attempts} attempts)"));
        }
        if let Some(clue) = failure.clue {
            reason.push_str("; ");
            reason.push_str(&self.circumstances.remedy(clue));
        }
        let channel = self.transport.channel();
        if failure.about_identity
            && let Some(identity) = channel.tls_identity()
        {
            reason.push_str(&format!("; it is in {identity}"));
        }
        if let Some(problem) = channel.tls_problem() {
            reason.push_str(&format!("; the TLS files have changed but cannot be used as they are: {problem}"));
        }
        reason
    }
}

/// No header value is ever shown; the label is enough to tell clients apart.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("label", &self.label).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
