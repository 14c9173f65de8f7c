//! The connections of a client, by address: made when they are needed, and replaced when they are lost.
//!
//! HTTP/2 has one connection an address, which calls share, and takes the addresses in turn. HTTP/1.1 has as many as
//! there are calls at a time, and keeps them for the next.
//!
//! Not tonic's channel, which can spread its calls over addresses only with its own connector. Neither it nor
//! hyper-util's client distinguishes a request that never left from one that was lost on the way.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::cause::Cause;
use super::deadline::Deadline;
use super::dial::{Address, Dialer, Stream};
use super::failure::{Failure, sources};
use super::retry::Retry;

/// The name is looked up again after this time, so that new servers behind it are found without a failure, and after
/// each failure.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

/// A connection unused for longer is replaced: load balancers forget idle connections, some after four minutes, and a
/// request over a forgotten one would wait for an answer in vain. (Pings would keep it
/// in memory, but gRPC's servers close connections that send more than one in five minutes.)
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// How long an address that could not be reached is passed over, as long as others can be.
const PASS_OVER: Duration = Duration::from_secs(20);

/// How long a call waits for a look-up that only the interval asks for: the known addresses are most likely still good,
/// so a name server that hangs must not cost an export.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

/// The version of HTTP that a channel speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

pub(super) struct Channel {
    version: Version,
    dialer: Dialer,
    servers: Mutex<Servers>,
    /// Where the next call's turn begins.
    turn: AtomicUsize,
    resolve_again: AtomicBool,
    /// Numbers connections, so that a late finding about one does not count against its successor.
    connections: AtomicU64,
}

struct Servers {
    known: Vec<Arc<Server>>,
    resolved: Option<Instant>,
}

/// One address, and the connections to it.
struct Server {
    address: Address,
    /// Held while an HTTP/2 connection is made, so that concurrent calls share it.
    dialing: tokio::sync::Mutex<()>,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    /// HTTP/2: the one that is in use. HTTP/1.1: those that are idle.
    connections: Vec<Connection>,
    pass_over_until: Option<Instant>,
}

struct Connection {
    number: u64,
    sender: Sender,
    tls_generation: u64,
    last_used: Instant,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    fn is_fit(&self) -> bool {
        match self {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

/// A connection for one call.
pub(super) struct Lease {
    server: Arc<Server>,
    connection: Connection,
}

impl Channel {
    pub fn new(version: Version, dialer: Dialer) -> Channel {
        Channel {
            version,
            dialer,
            servers: Mutex::new(Servers { known: Vec::new(), resolved: None }),
            turn: AtomicUsize::new(0),
            resolve_again: AtomicBool::new(false),
            connections: AtomicU64::new(0),
        }
    }

    pub fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A connection to the server whose turn it is, or to the next one that can be reached.
    pub async fn lease(&self, deadline: &Deadline) -> Result<Lease, Failure> {
        let lease = deadline.limit(self.try_servers(deadline)).await;
        lease.unwrap_or_else(|| Err(Failure::timed_out()))
    }

    async fn try_servers(&self, deadline: &Deadline) -> Result<Lease, Failure> {
        let servers = self.servers(deadline).await?;
        let mut failure = None;
        for (index, server) in servers.iter().enumerate() {
            let untried = (servers.len() - index) as u32;
            // No address may use up the time of the others.
            let share = Deadline::after(deadline.left() / untried);
            match share.limit(self.connect(server)).await {
                Some(Ok(lease)) => return Ok(lease),
                Some(Err(failed)) => failure = Some(failed),
                None => {
                    let timed_out = deadline.left().is_zero();
                    let silent = Failure::new("cannot connect", "no answer in time", Retry::Backoff).of(Cause::Timeout);
                    failure = Some(Failure { timed_out, ..silent });
                }
            }
            server.link().pass_over_until = Some(Instant::now() + PASS_OVER);
            self.suspect();
        }
        Err(failure.unwrap_or_else(|| {
            Failure::new("cannot connect", "no address is known", Retry::Backoff).of(Cause::Connection)
        }))
    }

    /// To be called after a failure: the name may have other addresses by now.
    pub fn suspect(&self) {
        self.resolve_again.store(true, Ordering::Relaxed);
    }

    /// All servers, the one whose turn it is first and those that could not be reached lately last.
    async fn servers(&self, deadline: &Deadline) -> Result<Vec<Arc<Server>>, Failure> {
        let (known, due) = {
            let servers = self.lock_servers();
            let due = servers.resolved.is_none_or(|resolved| resolved.elapsed() > RESOLVE_INTERVAL);
            (servers.known.clone(), due)
        };
        let suspected = self.resolve_again.load(Ordering::Relaxed);
        let mut servers = match known.is_empty() {
            true => self.replace_servers(self.dialer.resolve().await?),
            false if self.dialer.resolves() && (due || suspected) => {
                self.resolve_again.store(false, Ordering::Relaxed);
                let half = deadline.left() / 2;
                let patience = if suspected { half } else { half.min(LOOK_UP_LIMIT) };
                match Deadline::after(patience).limit(self.dialer.resolve()).await {
                    Some(Ok(addresses)) => self.replace_servers(addresses),
                    // A failing name server is no reason to give up servers that may still be there.
                    Some(Err(_)) | None => {
                        self.lock_servers().resolved = Some(Instant::now());
                        known
                    }
                }
            }
            false => known,
        };
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
        servers.rotate_left(turn);
        let now = Instant::now();
        servers.sort_by_key(|server| server.link().pass_over_until.is_some_and(|until| now < until));
        Ok(servers)
    }

    /// Keeps the connections to addresses that are still there.
    fn replace_servers(&self, addresses: Vec<Address>) -> Vec<Arc<Server>> {
        let mut servers = self.lock_servers();
        let known = std::mem::take(&mut servers.known);
        let find = |address: Address| {
            let found = known.iter().find(|server| server.address == address);
            found.cloned().unwrap_or_else(|| Arc::new(Server::new(address)))
        };
        servers.known = addresses.into_iter().map(find).collect();
        servers.resolved = Some(Instant::now());
        servers.known.clone()
    }

    fn lock_servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, server: &Arc<Server>) -> Result<Lease, Failure> {
        let generation = self.dialer.generation();
        if let Some(lease) = server.lease(generation) {
            return Ok(lease);
        }
        let _dialing = match self.version {
            Version::Http1 => None,
            Version::Http2 => Some(server.dialing.lock().await),
        };
        if let Some(lease) = server.lease(generation) {
            return Ok(lease);
        }
        let (stream, tls_generation) = self.dialer.connect(&server.address).await?;
        let sender = self.shake_hands(TokioIo::new(stream)).await;
        let sender = sender.map_err(|error| Failure::transport("cannot connect", &error, Retry::Backoff))?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Connection { number, sender, tls_generation, last_used: Instant::now() };
        let mut link = server.link();
        link.pass_over_until = None;
        if let Some(shared) = connection.share() {
            link.connections = vec![shared];
        }
        Ok(Lease { server: Arc::clone(server), connection })
    }

    /// Starts a task for the connection. It ends when the last sender is gone or the connection is lost; the calls get
    /// to know what went wrong.
    async fn shake_hands(&self, stream: TokioIo<Box<dyn Stream>>) -> hyper::Result<Sender> {
        Ok(match self.version {
            Version::Http1 => {
                let (sender, connection) = http1::Builder::new().handshake(stream).await?;
                tokio::spawn(async { drop(connection.await) });
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                let (sender, connection) = builder.timer(TokioTimer::new()).handshake(stream).await?;
                tokio::spawn(async { drop(connection.await) });
                Sender::Http2(sender)
            }
        })
    }
}

impl Connection {
    /// Another sender for the same connection, where calls can share it.
    fn share(&self) -> Option<Connection> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Connection { sender: Sender::Http2(sender.clone()), ..*self }),
        }
    }
}

impl Server {
    fn new(address: Address) -> Server {
        Server { address, dialing: tokio::sync::Mutex::new(()), link: Mutex::default() }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that is there and fit for use, if any.
    fn lease(self: &Arc<Self>, tls_generation: u64) -> Option<Lease> {
        let mut link = self.link();
        let now = Instant::now();
        // Calls that are under way keep the others alive until they are done.
        link.connections.retain(|connection| {
            connection.sender.is_fit()
                && connection.tls_generation >= tls_generation
                && now.duration_since(connection.last_used) < IDLE_LIMIT
        });
        let newest = link.connections.last_mut()?;
        newest.last_used = now;
        let connection = match newest.share() {
            Some(shared) => shared,
            None => link.connections.pop()?,
        };
        Some(Lease { server: Arc::clone(self), connection })
    }
}

impl Lease {
    pub async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let response = match &mut self.connection.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        response.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            match unsent {
                true => Failure::transport("connection lost", &error, Retry::AtOnce),
                false => self.lost(&error),
            }
        })
    }

    /// The failure that an error after sending stands for.
    pub fn lost(&self, error: &hyper::Error) -> Failure {
        let at_once = match &self.connection.sender {
            Sender::Http1(_) => is_unanswered(error),
            Sender::Http2(_) => is_unseen(error),
        };
        Failure::transport("connection lost", error, if at_once { Retry::AtOnce } else { Retry::Backoff })
    }

    /// Keeps the connection for the next call: to be called when the answer has been read to its end.
    pub fn give_back(self) {
        let Lease { server, mut connection } = self;
        if matches!(connection.sender, Sender::Http1(_)) {
            connection.last_used = Instant::now();
            server.link().connections.push(connection);
        }
    }

    /// To be called when a call got no answer: the peer may be gone without a trace. Other calls that are under way
    /// keep the connection.
    pub fn discard(&self) {
        self.server.link().connections.retain(|connection| connection.number != self.connection.number);
    }
}

/// HTTP/1.1: the peer had closed the connection, most often one that was idle, so that no byte of an answer came.
fn is_unanswered(error: &hyper::Error) -> bool {
    sources(error).any(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => error.is_incomplete_message() || error.is_canceled(),
        None => error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
        }),
    })
}

/// HTTP/2: the server has said that it did not look at the request, or the connection is gone, which the peer may have
/// closed long ago. A reset concerns one call alone.
fn is_unseen(error: &hyper::Error) -> bool {
    let http2 = sources(error).find_map(|error| error.downcast_ref::<h2::Error>());
    let refused = http2.is_some_and(|error| {
        (error.is_go_away() && error.is_remote()) || error.reason() == Some(h2::Reason::REFUSED_STREAM)
    });
    refused || !http2.is_some_and(h2::Error::is_reset)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::{ClientConfig, Compression, Protocol, Signal, TlsFiles, endpoint};
    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_idle_for_long_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = ClientConfig {
            signal: Signal::Traces,
            protocol: Protocol::Grpc,
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            headers: Vec::new(),
            timeout: Duration::from_secs(60),
            compression: Compression::None,
            user_agent: String::new(),
            tls: TlsFiles::default(),
            retryable_codes: None,
        };
        let endpoint = endpoint::parse(&config).unwrap();
        let channel = Channel::new(Version::Http2, Dialer::new(&config, &endpoint).unwrap());
        let deadline = Deadline::after(config.timeout);
        let first = channel.lease(&deadline).await.ok().unwrap();
        let second = channel.lease(&deadline).await.ok().unwrap();
        assert_eq!(first.connection.number, second.connection.number);

        let Some(long_ago) = Instant::now().checked_sub(IDLE_LIMIT) else { return };
        first.server.link().connections[0].last_used = long_ago;
        let third = channel.lease(&deadline).await.ok().unwrap();
        assert_ne!(third.connection.number, first.connection.number);

        third.discard();
        // What is found out about a connection that has been replaced is not held against its successor.
        let fourth = channel.lease(&deadline).await.ok().unwrap();
        third.discard();
        assert_eq!(channel.lease(&deadline).await.ok().unwrap().connection.number, fourth.connection.number);
    }
}
