//! From an endpoint to a stream of bytes: names, sockets, proxies and TLS.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::Service;
use url::Url;

use super::cause::Cause;
use super::config::{ClientConfig, Protocol};
use super::config_error::ConfigError;
use super::endpoint::{Endpoint, UnixSocket};
use super::failure::Failure;
use super::proxy;
use super::read_first::ReadFirst;
use super::resolver::{self, Resolver};
use super::retry::Retry;
use super::tls::{self, Tls};

/// Where one connection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    /// Whatever the name stands for when the connection is made; of several addresses the first that answers.
    Name,
    /// The proxy, which knows the addresses of the name.
    Proxy,
    Unix(UnixSocket),
}

/// Makes the connections to one endpoint.
pub(super) struct Dialer {
    target: Target,
    tls: Option<(Tls, ServerName<'static>)>,
    timeout: Duration,
}

enum Target {
    /// gRPC spreads its calls over the addresses of the name.
    Addresses {
        name: String,
        port: u16,
    },
    /// HTTP takes one of them.
    Name(http::Uri),
    Proxy(Box<Proxy>),
    Unix(UnixSocket),
}

struct Proxy {
    intercept: Intercept,
    /// TLS with the proxy itself.
    tls: Option<(Tls, ServerName<'static>)>,
    /// Where the tunnel leads. None for plain HTTP, which is sent to the proxy as it is.
    tunnel: Option<http::Uri>,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type BoxedError = Box<dyn Error + Send + Sync>;

/// A stream, and the generation of the TLS settings it was made with.
pub(super) type Dialed = (Box<dyn Stream>, u64);

impl Dialer {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint) -> Result<Dialer, ConfigError> {
        let is_grpc = config.protocol == Protocol::Grpc;
        let alpn: &[u8] = if is_grpc { b"h2" } else { b"http/1.1" };
        let target = match endpoint {
            Endpoint::Unix(socket) => Target::Unix(socket.clone()),
            Endpoint::Url(url) => target(config, url)?,
        };
        let tls = match endpoint {
            Endpoint::Url(url) if endpoint.is_tls() => Some((Tls::new(&config.tls, alpn)?, server_name(host(url))?)),
            _ => None,
        };
        Ok(Dialer { target, tls, timeout: config.timeout })
    }

    /// The proxy that plain HTTP requests are sent to, in their absolute form.
    pub fn forwarding_proxy(&self) -> Option<&Intercept> {
        match &self.target {
            Target::Proxy(proxy) if proxy.tunnel.is_none() => Some(&proxy.intercept),
            _ => None,
        }
    }

    /// The addresses to spread the calls over.
    pub async fn resolve(&self) -> Result<Vec<Address>, Failure> {
        let (name, port) = match &self.target {
            Target::Addresses { name, port } => (name, *port),
            Target::Name(_) => return Ok(vec![Address::Name]),
            Target::Proxy(_) => return Ok(vec![Address::Proxy]),
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
        matches!(&self.target, Target::Addresses { name, .. } if name.parse::<std::net::IpAddr>().is_err())
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

    async fn open(&self, address: &Address) -> Result<Box<dyn Stream>, BoxedError> {
        match (address, &self.target) {
            (Address::Tcp(address), _) => {
                let stream = TcpStream::connect(address).await?;
                self.set_up(&stream)?;
                Ok(Box::new(stream))
            }
            (Address::Unix(socket), _) => Ok(open_unix(socket).await?),
            (Address::Name, Target::Name(uri)) => self.open_by_name(uri.clone()).await,
            (Address::Proxy, Target::Proxy(proxy)) => self.open_by_proxy(proxy).await,
            (Address::Name | Address::Proxy, _) => Err("no such target".into()),
        }
    }

    async fn open_by_name(&self, uri: http::Uri) -> Result<Box<dyn Stream>, BoxedError> {
        let mut connector = HttpConnector::new_with_resolver(Resolver);
        // The Uri may be https: TLS comes later.
        connector.enforce_http(false);
        // Divided among a name's addresses, so that the first cannot use up the time of the others.
        connector.set_connect_timeout(Some(self.timeout));
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        let stream = connector.call(uri).await?.into_inner();
        self.set_up(&stream)?;
        Ok(Box::new(stream))
    }

    async fn open_by_proxy(&self, proxy: &Proxy) -> Result<Box<dyn Stream>, BoxedError> {
        let address = proxy.intercept.uri().clone();
        if !matches!(address.scheme_str(), Some("http" | "https")) {
            return Err("only http and https proxies are supported".into());
        }
        let stream = self.open_by_name(address.clone()).await?;
        let stream: Box<dyn Stream> = match &proxy.tls {
            None => stream,
            Some((tls, name)) => {
                Box::new(TlsConnector::from(tls.current().config).connect(name.clone(), stream).await?)
            }
        };
        let Some(target) = &proxy.tunnel else { return Ok(stream) };
        let mut tunnel = Tunnel::new(address, Connected(Some(stream)));
        if let Some(credentials) = proxy.intercept.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        Ok(tunnel.call(target.clone()).await?.into_inner())
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

/// A precaution: if the system refuses it, the export goes on.
#[cfg(target_os = "linux")]
fn limit_unacknowledged(stream: &TcpStream, limit: Duration) {
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(limit));
}

#[cfg(not(target_os = "linux"))]
fn limit_unacknowledged(_: &TcpStream, _: Duration) {}

/// A connector that has connected already.
struct Connected(Option<Box<dyn Stream>>);

impl Service<http::Uri> for Connected {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = BoxedError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxedError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxedError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let stream = self.0.take().map(TokioIo::new).ok_or_else(|| "it is used once".into());
        Box::pin(async move { stream })
    }
}

fn target(config: &ClientConfig, url: &Url) -> Result<Target, ConfigError> {
    // `endpoint::parse` has made sure that there is a host, and http and https have default ports.
    let port = url.port_or_known_default().unwrap_or(443);
    let name = url.host_str().unwrap_or_default();
    let uri = format!("http://{name}:{port}").parse().unwrap_or_default();
    let is_grpc = config.protocol == Protocol::Grpc;
    let proxy = if is_grpc { proxy::for_grpc(url, &proxy::environment) } else { proxy::for_http(url) };
    let Some(intercept) = proxy else {
        return Ok(match is_grpc {
            true => Target::Addresses { name: host(url).to_owned(), port },
            false => Target::Name(uri),
        });
    };
    let tls = match intercept.uri().scheme_str() {
        Some("https") => {
            let name = intercept.uri().host().unwrap_or_default();
            Some((Tls::new(&config.tls, b"http/1.1")?, server_name(without_brackets(name))?))
        }
        _ => None,
    };
    let tunnel = (is_grpc || url.scheme() == "https").then_some(uri);
    Ok(Target::Proxy(Box::new(Proxy { intercept, tls, tunnel })))
}

/// An IPv6 address is without the URL's brackets, as the resolver and rustls want it.
fn host(url: &Url) -> &str {
    without_brackets(url.host_str().unwrap_or_default())
}

fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn server_name(name: &str) -> Result<ServerName<'static>, ConfigError> {
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
