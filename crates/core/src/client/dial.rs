//! From an endpoint to a stream of bytes: names, sockets, proxies and TLS.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;

use super::cause::Cause;
use super::config::ClientConfig;
use super::config_error::ConfigError;
use super::endpoint::{Endpoint, UnixSocket};
use super::failure::Failure;
use super::proxy;
use super::read_first::ReadFirst;
use super::resolver::{self, Resolver};
use super::retry::Retry;
use super::tls::{self, Tls};

const ALPN: &[u8] = b"h2";

/// Where one connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    /// The proxy knows the addresses of the name.
    Proxied,
    Unix(UnixSocket),
}

/// Makes gRPC's connections to one endpoint.
pub(super) struct Dialer {
    target: Target,
    tls: Option<(Tls, ServerName<'static>)>,
    timeout: Duration,
}

enum Target {
    Host { name: String, port: u16 },
    Proxied { proxy: Box<Intercept>, target: http::Uri },
    Unix(UnixSocket),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream, and the generation of the TLS settings it was made with.
pub(super) type Dialed = (Box<dyn Stream>, u64);

impl Dialer {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<Dialer, ConfigError> {
        let target = match endpoint {
            Endpoint::Unix(socket) => Target::Unix(socket.clone()),
            Endpoint::Url(url) => target(url),
        };
        let tls = match endpoint {
            Endpoint::Url(url) if endpoint.is_tls() => Some((Tls::new(&config.tls, ALPN)?, server_name(url)?)),
            _ => None,
        };
        Ok(Dialer { target, tls, timeout: config.timeout })
    }

    /// The addresses to spread the calls over.
    pub async fn resolve(&self) -> Result<Vec<Address>, Failure> {
        let (name, port) = match &self.target {
            Target::Host { name, port } => (name, *port),
            Target::Proxied { .. } => return Ok(vec![Address::Proxied]),
            Target::Unix(socket) => return Ok(vec![Address::Unix(socket.clone())]),
        };
        let found = resolver::look_up(name).await;
        let found = found.map_err(|error| Failure::transport("cannot resolve the name", &error, Retry::Backoff))?;
        let mut addresses = Vec::new();
        // The system may list an address once a socket type.
        for mut address in found {
            if address.port() == 0 {
                address.set_port(port);
            }
            let address = Address::Tcp(address);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.is_empty() {
            true => {
                Err(Failure::new("cannot resolve the name", "it has no addresses", Retry::Backoff)
                    .of(Cause::Connection))
            }
            false => Ok(addresses),
        }
    }

    /// Whether the addresses may change.
    pub fn resolves(&self) -> bool {
        matches!(&self.target, Target::Host { name, .. } if name.parse::<std::net::IpAddr>().is_err())
    }

    /// The generation of the TLS settings that a new connection would get.
    pub fn generation(&self) -> u64 {
        self.tls.as_ref().map_or(0, |(tls, _)| tls.current().generation)
    }

    pub fn tls_problem(&self) -> Option<String> {
        self.tls.as_ref().and_then(|(tls, _)| tls.problem())
    }

    pub async fn connect(&self, address: &Address) -> Result<Dialed, Failure> {
        let stream = self.open(address).await.map_err(|error| {
            let error: &(dyn std::error::Error + 'static) = &*error;
            Failure::transport("cannot connect", error, Retry::Backoff)
        })?;
        let stream = ReadFirst::new(stream);
        let Some((tls, name)) = &self.tls else { return Ok((Box::new(stream), 0)) };
        let settings = tls.current();
        let secured = TlsConnector::from(settings.config).connect(name.clone(), stream).await;
        let secured = secured.map_err(|error| Failure::transport("cannot connect", &error, Retry::Backoff))?;
        Ok((Box::new(secured), settings.generation))
    }

    async fn open(&self, address: &Address) -> Result<Box<dyn Stream>, Box<dyn std::error::Error + Send + Sync>> {
        match (address, &self.target) {
            (Address::Tcp(address), _) => {
                let stream = TcpStream::connect(address).await?;
                self.set_up(&stream)?;
                Ok(Box::new(stream))
            }
            (Address::Unix(socket), _) => Ok(open_unix(socket).await?),
            (Address::Proxied, Target::Proxied { proxy, target }) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), HttpConnector::new_with_resolver(Resolver));
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                poll_fn(|cx| tunnel.poll_ready(cx)).await?;
                let stream: TokioIo<TcpStream> = tunnel.call(target.clone()).await?;
                let stream = stream.into_inner();
                self.set_up(&stream)?;
                Ok(Box::new(stream))
            }
            (Address::Proxied, _) => Err("no proxy is known".into()),
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        limit_unacknowledged(stream, unacknowledged(self.timeout));
        Ok(())
    }
}

/// How long sent bytes may go unacknowledged before the connection counts as lost. Half an export's time, so that the
/// other half is left for an attempt over a new connection: a middlebox that has forgotten an idle connection swallows
/// what is sent over it without a word, and the operating system would go on trying for a quarter of an hour.
pub(super) fn unacknowledged(timeout: Duration) -> Duration {
    (timeout / 2).clamp(Duration::from_millis(500), Duration::from_secs(30))
}

/// A precaution: where it cannot be had, that is no reason not to export.
#[cfg(target_os = "linux")]
fn limit_unacknowledged(stream: &TcpStream, limit: Duration) {
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit));
}

#[cfg(not(target_os = "linux"))]
fn limit_unacknowledged(_: &TcpStream, _: Duration) {}

fn target(url: &Url) -> Target {
    // `parse` has made sure that there is a host, and http and https have default ports.
    let name = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    match proxy::for_grpc(url, &proxy::environment) {
        Some(proxy) => {
            let target = format!("http://{name}:{port}").parse().unwrap_or_default();
            Target::Proxied { proxy: Box::new(proxy), target }
        }
        // The resolver wants IPv6 addresses without the URL's brackets.
        None => Target::Host { name: name.trim_start_matches('[').trim_end_matches(']').to_owned(), port },
    }
}

fn server_name(url: &Url) -> Result<ServerName<'static>, ConfigError> {
    let name = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned())
        .map_err(|error| tls::unusable(format!("{name:?} is no name of a server: {error}")))
}

#[cfg(unix)]
async fn open_unix(socket: &UnixSocket) -> io::Result<Box<dyn Stream>> {
    let stream = match socket {
        UnixSocket::Path(path) => tokio::net::UnixStream::connect(path).await?,
        UnixSocket::Abstract(name) => connect_abstract(name).await?,
    };
    Ok(Box::new(stream))
}

/// tokio takes a path that begins with NUL for an abstract name.
#[cfg(unix)]
async fn connect_abstract(name: &str) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(format!("\0{name}")).await
}

#[cfg(not(unix))]
async fn open_unix(_: &UnixSocket) -> io::Result<Box<dyn Stream>> {
    Err(io::ErrorKind::Unsupported.into())
}
