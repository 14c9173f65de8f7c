//! gRPC's connections: one an address, used in turn, made when they are needed and replaced when they are lost.
//!
//! Not tonic's channel, because that can spread its calls over addresses only with its own connector, and does not tell
//! a request that never left from one that was lost on the way.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::cause::Cause;
use super::deadline::Deadline;
use super::dial::{Address, Dialer};
use super::failure::{Failure, sources};
use super::retry::Retry;

/// The name is looked up again after this time, so that new servers behind it are found without a failure, and after
/// each failure.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

/// A connection unused for longer is replaced: load balancers forget idle connections, some after four minutes, and a
/// request over a forgotten one would wait for an answer in vain. HTTP's pool has the same limit. (Pings would keep it
/// in memory, but gRPC's servers close connections that send more than one in five minutes.)
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// How long an address that could not be reached is passed over, as long as others can be.
const PASS_OVER: Duration = Duration::from_secs(20);

/// How long a call waits for a look-up that only the interval asks for: the known addresses are most likely still good,
/// so a name server that hangs must not cost an export.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Channel {
    dialer: Dialer,
    servers: Mutex<Servers>,
    /// Where the next call's turn begins.
    turn: AtomicUsize,
    resolve_again: AtomicBool,
    /// Names connections, so that a late finding about one is not held against its successor.
    connections: AtomicU64,
}

struct Servers {
    known: Vec<Arc<Server>>,
    resolved: Option<Instant>,
}

/// One address, and the connection to it.
struct Server {
    address: Address,
    /// Held while a connection is made, so that concurrent calls share it.
    dialing: tokio::sync::Mutex<()>,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    pass_over_until: Option<Instant>,
}

struct Connection {
    number: u64,
    sender: http2::SendRequest<Full<Bytes>>,
    tls_generation: u64,
    last_used: Instant,
}

/// A connection for one call.
pub(super) struct Lease {
    server: Arc<Server>,
    number: u64,
    sender: http2::SendRequest<Full<Bytes>>,
}

impl Channel {
    pub fn new(dialer: Dialer) -> Channel {
        Channel {
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

    /// To be called after a failure: the name may have moved.
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
                    // A name server that is out of order is no reason to give up servers that may still be there.
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
        let _dialing = server.dialing.lock().await;
        if let Some(lease) = server.lease(generation) {
            return Ok(lease);
        }
        let (stream, tls_generation) = self.dialer.connect(&server.address).await?;
        let handshake =
            http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            handshake.map_err(|error| Failure::transport("cannot connect", &error, Retry::Backoff))?;
        // Ends when the last sender is gone or the connection is lost; what went wrong, the calls are told.
        tokio::spawn(async { drop(connection.await) });
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let mut link = server.link();
        link.pass_over_until = None;
        link.connection =
            Some(Connection { number, sender: sender.clone(), tls_generation, last_used: Instant::now() });
        Ok(Lease { server: Arc::clone(server), number, sender })
    }
}

impl Server {
    fn new(address: Address) -> Server {
        Server { address, dialing: tokio::sync::Mutex::new(()), link: Mutex::default() }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection there is, if it is fit for use.
    fn lease(self: &Arc<Self>, tls_generation: u64) -> Option<Lease> {
        let mut link = self.link();
        let now = Instant::now();
        let fit = |connection: &&mut Connection| {
            !connection.sender.is_closed()
                && connection.tls_generation >= tls_generation
                && now.duration_since(connection.last_used) < IDLE_LIMIT
        };
        let Some(connection) = link.connection.as_mut().filter(fit) else {
            // Calls that are under way keep it alive until they are done.
            link.connection = None;
            return None;
        };
        connection.last_used = now;
        let (number, sender) = (connection.number, connection.sender.clone());
        Some(Lease { server: Arc::clone(self), number, sender })
    }
}

impl Lease {
    pub async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        match self.sender.try_send_request(request).await {
            Ok(response) => Ok(response),
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                match unsent {
                    true => Err(Failure::transport("connection lost", &error, Retry::AtOnce)),
                    false => Err(self.lost(&error)),
                }
            }
        }
    }

    /// What to make of an error that a call met after it was sent.
    pub fn lost(&self, error: &hyper::Error) -> Failure {
        let http2 = sources(error).find_map(|error| error.downcast_ref::<h2::Error>());
        // The server's word that it has not looked at the request.
        let refused = http2.is_some_and(|error| {
            (error.is_go_away() && error.is_remote()) || error.reason() == Some(h2::Reason::REFUSED_STREAM)
        });
        // A reset concerns one call; otherwise the connection is gone, and its peer may have closed it long ago.
        let reset = http2.is_some_and(h2::Error::is_reset);
        let retry = match refused || !reset {
            true => Retry::AtOnce,
            false => Retry::Backoff,
        };
        Failure::transport("connection lost", error, retry)
    }

    /// To be called when a call went unanswered: the peer may be gone without a trace. Other calls that are under way
    /// keep the connection.
    pub fn discard(&self) {
        let mut link = self.server.link();
        link.connection.take_if(|connection| connection.number == self.number);
    }
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
        let channel = Channel::new(Dialer::new(&config, &endpoint).unwrap());
        let deadline = Deadline::after(config.timeout);
        let first = channel.lease(&deadline).await.ok().unwrap();
        let second = channel.lease(&deadline).await.ok().unwrap();
        assert_eq!(first.number, second.number);

        let Some(long_ago) = Instant::now().checked_sub(IDLE_LIMIT) else { return };
        first.server.link().connection.as_mut().unwrap().last_used = long_ago;
        let third = channel.lease(&deadline).await.ok().unwrap();
        assert_ne!(third.number, first.number);

        third.discard();
        // What is found out about a connection that has been replaced is not held against its successor.
        let fourth = channel.lease(&deadline).await.ok().unwrap();
        third.discard();
        assert_eq!(channel.lease(&deadline).await.ok().unwrap().number, fourth.number);
    }
}
