//! Requests of one signal to one destination, in whatever process asks: a forked child connects anew.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::watch;

use crate::fork::PerProcess;
use crate::otlp::client::{Client, ClientConfig, ConfigError, Outcome};
use crate::report::Source;

pub struct Exporter {
    config: ClientConfig,
    client: PerProcess<Result<Client, ConfigError>>,
    shut_down: AtomicBool,
    source: Source,
}

impl Exporter {
    /// Fails if no request could ever be sent with this configuration. Does not connect.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        let exporter =
            Self { config, client: PerProcess::new(), shut_down: AtomicBool::new(false), source: Source::unique() };
        match exporter.client() {
            Ok(_) => Ok(exporter),
            Err(error) => Err(error.clone()),
        }
    }

    fn client(&self) -> &Result<Client, ConfigError> {
        self.client.get_or_make(|| Client::new(&self.config))
    }

    pub fn config(&self) -> &ClientConfig {
        &self.config
    }

    /// Whose failures its reports tell.
    pub fn source(&self) -> Source {
        self.source
    }

    /// See `Client::export`.
    pub async fn export(&self, request: Bytes, no_retry: &watch::Receiver<bool>) -> Outcome {
        if self.is_shut_down() {
            return Outcome::Failed { reason: "the exporter is already shut down".into() };
        }
        match self.client() {
            Ok(client) => client.export(request, no_retry).await,
            Err(error) => Outcome::Failed { reason: error.to_string() },
        }
    }

    /// Takes no more requests; those under way go on. True at the first call.
    pub fn shut_down(&self) -> bool {
        !self.shut_down.swap(true, Ordering::AcqRel)
    }

    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }
}
