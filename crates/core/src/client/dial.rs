//! From an endpoint to a stream of bytes: names, sockets, proxies and TLS.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Url;

use super::cause::Cause;
use super::config::{ClientConfig, TlsFiles};
use super::config_error::ConfigError;
use super::connection::HttpVersion;
use super::endpoint::{Endpoint, Host, Target, UnixSocket};
use super::failure::Failure;
use super::greeting::{Greeting, Overheard, Speech};
use super::proxy::{Proxy, ProxyServer, ProxyTask};
use super::ration::{Ration, Rationed};
use super::read_first::ReadFirst;
use super::remedy::Clue;
use super::resolver;
use super::retry::Retry;
use super::tls::{self, Tls};
use super::tunnel;

/// An idle connection is probed at this interval, so that a peer that is gone is noticed before the next export, and
/// given up after this number of probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;

const CANNOT_CONNECT: &str = "cannot connect";

/// Where one connection goes: to the server, or to the proxy before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp(SocketAddr),
    Unix(UnixSocket),
}

/// Makes the connections to one endpoint.
pub(super) struct Dialer {
    first: FirstHop,
    /// TLS with a proxy that is itself reached by https.
    proxy_tls: Option<NamedTls>,
    tunnel: Option<TunnelTo>,
    tls: Option<NamedTls>,
    timeout: Duration,
    /// Host and port of the proxy.
    proxy: Option<String>,
}

/// Where the sockets lead.
enum FirstHop {
    Hosts(Vec<Host>),
    Unix(UnixSocket),
    /// A proxy that cannot be used. The request must not go around it.
    Nowhere {
        problem: String,
    },
}

/// TLS, and the name that the peer has to prove.
struct NamedTls(Tls, ServerName<'static>);

struct TunnelTo {
    target: Uri,
    credentials: Option<HeaderValue>,
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to the server.
pub(super) struct Dialed {
    pub stream: Box<dyn Stream>,
    /// The generation of the TLS settings that it was made with.
    pub tls_generation: u64,
    pub ration: Arc<Ration>,
    pub greeting: Arc<Greeting>,
}

impl Dialer {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint, proxy: Option<&Proxy>) -> Result<Dialer, ConfigError> {
        let (first, timeout) = (FirstHop::of(endpoint), config.timeout);
        let mut dialer = Dialer { first, proxy_tls: None, tunnel: None, tls: None, timeout, proxy: None };
        let Endpoint::Url(Target { url, .. }) = endpoint else { return Ok(dialer) };
        let alpn = HttpVersion::of(config.protocol).alpn();
        if endpoint.is_tls() {
            dialer.tls = Some(NamedTls::new(&config.tls, alpn, host(url))?);
        }
        match proxy {
            None => {}
            Some(Proxy { server: Err(problem), .. }) => dialer.first = FirstHop::Nowhere { problem: problem.clone() },
            Some(Proxy { server: Ok(server), task }) => {
                dialer.first = FirstHop::of_proxy(server);
                dialer.proxy = Some(server.shown());
                if server.is_tls {
                    dialer.proxy_tls = Some(NamedTls::new(&config.tls, HttpVersion::Http1.alpn(), &server.host)?);
                }
                dialer.tunnel = (*task == ProxyTask::Tunnel)
                    .then(|| TunnelTo { target: authority(url), credentials: server.credentials.clone() });
            }
        }
        Ok(dialer)
    }

    /// The addresses to connect to.
    pub async fn resolve(&self) -> Result<Vec<Address>, Failure> {
        let hosts = match &self.first {
            FirstHop::Hosts(hosts) => hosts,
            FirstHop::Unix(socket) => return Ok(vec![Address::Unix(socket.clone())]),
            FirstHop::Nowhere { problem } => {
                return Err(Failure::new("cannot connect", problem, Retry::Never).of(Cause::Connection));
            }
        };
        let mut addresses = Vec::new();
        let mut failure = None;
        for Host { name, port } in hosts {
            match resolver::look_up(name).await {
                Ok(found) => add(&mut addresses, found, *port),
                Err(error) => {
                    let what = format!("cannot resolve the name {name}");
                    failure = Some(Failure::transport(&what, &error, Retry::Backoff).with(Clue::UnknownName));
                }
            }
        }
        match addresses.is_empty() {
            true => Err(failure.unwrap_or_else(|| {
                let none = Failure::new("cannot resolve the name", "it has no addresses", Retry::Backoff);
                none.of(Cause::Connection).with(Clue::UnknownName)
            })),
            false => Ok(addresses),
        }
    }

    /// Whether the addresses may change.
    pub fn resolves(&self) -> bool {
        matches!(&self.first, FirstHop::Hosts(hosts) if hosts.iter().any(|host| host.name.parse::<IpAddr>().is_err()))
    }

    /// The generation of the TLS settings that a new connection would get.
    pub fn generation(&self) -> u64 {
        self.all_tls().map(|NamedTls(tls, _)| tls.current().generation).sum()
    }

    pub fn tls_problem(&self) -> Option<String> {
        self.all_tls().find_map(|NamedTls(tls, _)| tls.problem())
    }

    pub fn tls_identity(&self) -> Option<Arc<str>> {
        self.tls.as_ref()?.0.current().identity
    }

    fn all_tls(&self) -> impl Iterator<Item = &NamedTls> {
        self.proxy_tls.iter().chain(&self.tls)
    }

    pub async fn connect(&self, address: &Address) -> Result<Dialed, Failure> {
        let opened = self.open(address).await;
        let (mut stream, ration) =
            opened.map_err(|error| Failure::transport(&self.cannot_connect(), &error, Retry::Backoff))?;
        let mut tls_generation = 0;
        if let Some(tls) = &self.proxy_tls {
            let (secured, settings) = tls.connect(stream, &self.cannot_connect()).await?;
            stream = secured;
            tls_generation += settings;
        }
        if let Some(TunnelTo { target, credentials }) = &self.tunnel {
            let (overheard, answer) = Overheard::new(stream);
            let opened = tunnel::open(overheard, target.clone(), credentials.as_ref()).await;
            stream = Box::new(opened.map_err(|error| self.no_way_through(&*error, &answer, target))?);
        }
        stream = Box::new(ReadFirst::new(stream));
        if let Some(tls) = &self.tls {
            let (secured, settings) = tls.connect(stream, CANNOT_CONNECT).await?;
            stream = secured;
            tls_generation += settings;
        }
        let (stream, greeting) = Overheard::new(stream);
        Ok(Dialed { stream: Box::new(stream), tls_generation, ration, greeting })
    }

    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    fn cannot_connect(&self) -> String {
        match &self.proxy {
            Some(proxy) => format!("cannot connect to the proxy {proxy}"),
            None => CANNOT_CONNECT.to_owned(),
        }
    }

    /// The proxy has refused, or has not answered.
    fn no_way_through(&self, error: &(dyn Error + 'static), answer: &Greeting, target: &Uri) -> Failure {
        let proxy = self.proxy.as_deref().unwrap_or_default();
        match answer.status() {
            Some(status @ 300..) => {
                let authority = target.authority().map(|authority| authority.as_str()).unwrap_or_default();
                let what = format!("the proxy {proxy} refuses the way to {authority}: HTTP {status}");
                Failure::new(what, "", Retry::Backoff).of(Cause::Connection).with(Clue::ProxyStatus(status))
            }
            _ => {
                let what = format!("cannot connect through the proxy {proxy}");
                Failure::transport(&what, error, Retry::Backoff).with(Clue::ProxyStatus(0))
            }
        }
    }

    async fn open(&self, address: &Address) -> io::Result<(Box<dyn Stream>, Arc<Ration>)> {
        match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                watch_over(&stream, unacknowledged(self.timeout));
                Ok(rationed(stream))
            }
            Address::Unix(socket) => open_unix(socket).await,
        }
    }
}

impl NamedTls {
    fn new(files: &TlsFiles, alpn: &'static [u8], name: &str) -> Result<NamedTls, ConfigError> {
        let tls = Tls::new(files, alpn)?;
        let name = without_brackets(name);
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(NamedTls(tls, name)),
            Err(error) => Err(tls::unusable(format!("{name:?} is no name of a server: {error}"))),
        }
    }

    /// A stream that is secure, and the generation of the settings. `what` says what has failed otherwise.
    async fn connect(&self, stream: Box<dyn Stream>, what: &str) -> Result<(Box<dyn Stream>, u64), Failure> {
        let NamedTls(tls, name) = self;
        let settings = tls.current();
        let (stream, greeting) = Overheard::new(stream);
        let handshake = TlsConnector::from(settings.config).connect(name.clone(), stream);
        // On the heap, for it is large, and this future is part of many.
        match Box::pin(tls::noted(handshake)).await {
            (Ok(stream), _) => Ok((Box::new(stream), settings.generation)),
            (Err(_), Some(refusal)) => {
                let what = format!("{what}: {}", refusal.what);
                Err(Failure::new(what, refusal.whose, Retry::Backoff).of(Cause::Connection))
            }
            (Err(error), None) => {
                let failure = Failure::transport(what, &error, Retry::Backoff).heard(&greeting, Speech::Tls);
                Err(match failure.clue {
                    Some(Clue::Unheard) => failure.with(Clue::NoHandshake),
                    _ => failure,
                })
            }
        }
    }
}

impl FirstHop {
    fn of(endpoint: &Endpoint) -> FirstHop {
        match endpoint {
            Endpoint::Unix(socket) => FirstHop::Unix(socket.clone()),
            Endpoint::Url(Target { hosts, .. }) => FirstHop::Hosts(hosts.clone()),
        }
    }

    fn of_proxy(server: &ProxyServer) -> FirstHop {
        FirstHop::Hosts(vec![Host { name: without_brackets(&server.host).to_owned(), port: server.port }])
    }
}

/// The system may list an address once a socket type.
fn add(addresses: &mut Vec<Address>, found: Vec<SocketAddr>, port: u16) {
    for mut address in found {
        if address.port() == 0 {
            address.set_port(port);
        }
        let address = Address::Tcp(address);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
}

fn rationed(stream: impl Stream + 'static) -> (Box<dyn Stream>, Arc<Ration>) {
    let (stream, ration) = Rationed::new(stream);
    (Box::new(stream), ration)
}

/// How long sent bytes may go unacknowledged before the connection counts as lost. Half an export's time, so that the
/// other half is left for an attempt over a new connection: a middlebox that has forgotten an idle connection swallows
/// what is sent over it without a word, and the operating system would go on trying for a quarter of an hour.
fn unacknowledged(timeout: Duration) -> Duration {
    (timeout / 2).clamp(Duration::from_millis(500), Duration::from_secs(30))
}

/// A precaution: if the system refuses it, the export goes on.
fn watch_over(stream: &TcpStream, unacknowledged: Duration) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(PROBE_INTERVAL).with_interval(PROBE_INTERVAL).with_retries(PROBES);
    let _ = socket.set_tcp_keepalive(&keepalive);
    #[cfg(target_os = "linux")]
    let _ = socket.set_tcp_user_timeout(Some(unacknowledged));
    #[cfg(not(target_os = "linux"))]
    let _ = unacknowledged;
}

/// `endpoint::parse` has made sure that there is one.
fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// http and https have default ports.
fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(443)
}

/// Host and port, as CONNECT names them.
fn authority(url: &Url) -> Uri {
    format!("http://{}:{}", host(url), port(url)).parse().unwrap_or_default()
}

/// The resolver and TLS want IPv6 addresses without the URL's brackets.
fn without_brackets(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(unix)]
async fn open_unix(socket: &UnixSocket) -> io::Result<(Box<dyn Stream>, Arc<Ration>)> {
    let stream = match socket {
        UnixSocket::Path(path) => tokio::net::UnixStream::connect(path).await?,
        UnixSocket::Abstract(name) => connect_abstract(name).await?,
    };
    Ok(rationed(stream))
}

/// tokio takes a path that begins with NUL for an abstract name.
#[cfg(unix)]
async fn connect_abstract(name: &str) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(format!("\0{name}")).await
}

#[cfg(not(unix))]
async fn open_unix(_: &UnixSocket) -> io::Result<(Box<dyn Stream>, Arc<Ration>)> {
    Err(io::ErrorKind::Unsupported.into())
}
