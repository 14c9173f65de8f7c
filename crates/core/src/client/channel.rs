//! The connections to an endpoint: made when they are needed, kept between calls, and replaced when they are lost.
//!
//! Over HTTP/2 calls share one connection an address, and take the addresses in turn. Over HTTP/1.1 each call has a
//! connection to itself, to the last address that answered.
//!
//! Not tonic's channel, because that can spread its calls over addresses only with its own connector, and does not tell
//! a request that never left from one that was lost on the way.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::cause::Cause;
use super::config::ClientConfig;
use super::config_error::ConfigError;
use super::connection::{Connection, HttpVersion};
use super::deadline::Deadline;
use super::dial::{Address, Dialed, Dialer};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::greeting::Greeting;
use super::payload::Body;
use super::proxy::Proxy;
use super::ration::{Due, Ration};
use super::remedy::Clue;
use super::retry::Retry;

/// The name is looked up again after this time, so that new servers behind it are found without a failure, and after
/// each failure.
const RESOLVE_INTERVAL: Duration = Duration::from_secs(60);

/// A connection unused for longer is replaced: load balancers forget idle connections, some after four minutes, and a
/// request over a forgotten one would wait for an answer in vain. (HTTP/2's pings would keep it in memory, but gRPC's
/// servers close connections that send more than one in five minutes.)
const IDLE_LIMIT: Duration = Duration::from_secs(90);

/// HTTP/1.1: so many connections to an address are kept for later calls. Few exports of one client run at once.
const MAX_IDLE: usize = 4;

/// How long an address that could not be reached is passed over, as long as others can be.
const PASS_OVER: Duration = Duration::from_secs(20);

/// How long a call waits for a look-up that only the interval asks for: the known addresses are most likely still good,
/// so a name server that hangs must not cost an export.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Channel {
    version: HttpVersion,
    dialer: Dialer,
    servers: Mutex<Servers>,
    /// HTTP/2: where the next call's turn begins.
    turn: AtomicUsize,
    resolve_again: AtomicBool,
    /// Numbers connections, so that a late finding about one does not count against its successor.
    connections: AtomicU64,
    closed: Arc<AtomicBool>,
}

struct Servers {
    known: Vec<Arc<Server>>,
    resolved: Option<Instant>,
    /// HTTP/1.1: where a connection was made last, unless a call has failed since.
    last_good: Option<Address>,
}

/// One address, and the connections to it.
struct Server {
    address: Address,
    /// HTTP/2: held while a connection is made, so that concurrent calls share it.
    dialing: tokio::sync::Mutex<()>,
    link: Mutex<Link>,
    /// The channel's. Whoever puts a connection into `link` reads it under the lock: once it is set and the link
    /// emptied, nothing comes in.
    closed: Arc<AtomicBool>,
}

#[derive(Default)]
struct Link {
    /// That a call may take: HTTP/2's one connection, or HTTP/1.1's idle ones, the last used last.
    connections: Vec<Known>,
    pass_over_until: Option<Instant>,
    /// A task is there that closes connections that nobody uses.
    is_watched: bool,
}

struct Known {
    number: u64,
    connection: Connection,
    tls_generation: u64,
    ration: Arc<Ration>,
    greeting: Arc<Greeting>,
    last_used: Instant,
}

/// A connection for one call.
pub(super) struct Lease {
    server: Arc<Server>,
    known: Known,
    answer: Option<Due>,
}

impl Channel {
    pub fn new(config: &ClientConfig, endpoint: &Endpoint, proxy: Option<&Proxy>) -> Result<Channel, ConfigError> {
        Ok(Channel {
            version: HttpVersion::of(config.protocol),
            dialer: Dialer::new(config, endpoint, proxy)?,
            servers: Mutex::new(Servers { known: Vec::new(), resolved: None, last_good: None }),
            turn: AtomicUsize::new(0),
            resolve_again: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            closed: Arc::default(),
        })
    }

    /// Keeps no connection from now on. Calls under way go on, and may even begin: each connection closes after its
    /// last call.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        for server in &self.lock_servers().known {
            server.close_idle();
        }
    }

    /// Why TLS files that have changed are not in use, if so.
    pub fn tls_problem(&self) -> Option<String> {
        self.dialer.tls_problem()
    }

    /// Host and port of the proxy, if there is one.
    pub fn proxy(&self) -> Option<&str> {
        self.dialer.proxy()
    }

    /// The certificate that the client shows, in words, if it has one.
    pub fn tls_identity(&self) -> Option<Arc<str>> {
        self.dialer.tls_identity()
    }

    /// A connection to the first server that can be reached before `deadline`.
    pub async fn lease(&self, deadline: &Deadline) -> Result<Lease, Failure> {
        let lease = deadline.limit(self.lease_from_any(deadline)).await;
        lease.unwrap_or_else(|| Err(Failure::timed_out()))
    }

    async fn lease_from_any(&self, deadline: &Deadline) -> Result<Lease, Failure> {
        let servers = self.servers(deadline).await?;
        let mut failure = None;
        for (index, server) in servers.iter().enumerate() {
            let untried = (servers.len() - index) as u32;
            // No address may use up the time of the others.
            let share = Deadline::after(deadline.left() / untried);
            match share.limit(self.connect(server)).await {
                Some(Ok(lease)) => {
                    self.lock_servers().last_good = Some(server.address.clone());
                    return Ok(lease);
                }
                Some(Err(failed)) => failure = Some(failed),
                None => {
                    let timed_out = deadline.left().is_zero();
                    let silent = Failure::new("cannot connect", "no answer in time", Retry::Backoff).of(Cause::Timeout);
                    failure = Some(Failure { timed_out, ..silent.with(Clue::Timeout) });
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
        self.lock_servers().last_good = None;
    }

    /// All servers in the order to try them: those that could not be reached lately come last.
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
        match self.version {
            HttpVersion::Http1 => {
                let last_good = self.lock_servers().last_good.clone();
                servers.sort_by_key(|server| Some(&server.address) != last_good.as_ref());
            }
            HttpVersion::Http2 => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
                servers.rotate_left(turn);
            }
        }
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
            found.cloned().unwrap_or_else(|| Arc::new(Server::new(address, Arc::clone(&self.closed))))
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
            HttpVersion::Http1 => None,
            HttpVersion::Http2 => Some(server.dialing.lock().await),
        };
        if let Some(lease) = server.lease(generation) {
            return Ok(lease);
        }
        let Dialed { stream, tls_generation, ration, greeting } = self.dialer.connect(&server.address).await?;
        let connection = Connection::open(self.version, stream).await;
        let connection = connection.map_err(|error| Failure::transport("cannot connect", &error, Retry::Backoff))?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let known = Known { number, connection, tls_generation, ration, greeting, last_used: Instant::now() };
        let mut link = server.link();
        link.pass_over_until = None;
        if !server.is_closed()
            && let Some(shared) = known.shared()
        {
            link.connections.push(shared);
            server.watch(&mut link);
        }
        Ok(Lease { server: Arc::clone(server), known, answer: None })
    }
}

impl Server {
    fn new(address: Address, closed: Arc<AtomicBool>) -> Server {
        Server { address, dialing: tokio::sync::Mutex::new(()), link: Mutex::default(), closed }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Calls that are under way keep HTTP/2's connection until they are done.
    fn close_idle(&self) {
        let _closed = std::mem::take(&mut self.link().connections);
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that connections close that are unused for long, though nobody may ask for one again: an exporter that
    /// the program has forgotten is kept by its provider's function for the exit.
    fn watch(self: &Arc<Self>, link: &mut Link) {
        if !std::mem::replace(&mut link.is_watched, true) {
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
    }

    /// A connection there is, if one is fit for use. Those that are not are dropped; calls that are under way keep
    /// HTTP/2's alive until they are done.
    fn lease(self: &Arc<Self>, tls_generation: u64) -> Option<Lease> {
        let mut link = self.link();
        link.connections
            .retain(|known| known.connection.is_ready() && known.tls_generation >= tls_generation && known.is_fresh());
        let mut known = link.connections.pop()?;
        known.last_used = Instant::now();
        link.connections.extend(known.shared());
        Some(Lease { server: Arc::clone(self), known, answer: None })
    }
}

/// Ends with the server's last connection.
async fn close_unused(server: Weak<Server>) {
    loop {
        tokio::time::sleep(IDLE_LIMIT).await;
        let Some(server) = server.upgrade() else { return };
        let mut link = server.link();
        link.connections.retain(Known::is_fresh);
        if link.connections.is_empty() {
            link.is_watched = false;
            return;
        }
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.last_used.elapsed() < IDLE_LIMIT
    }

    /// The same for another call, if the connection carries several.
    fn shared(&self) -> Option<Known> {
        let (ration, greeting) = (Arc::clone(&self.ration), Arc::clone(&self.greeting));
        Some(Known { connection: self.connection.shared()?, ration, greeting, ..*self })
    }
}

impl Lease {
    pub async fn call(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        self.answer = Some(self.known.ration.answer_due());
        let answer = self.known.connection.call(request).await.map_err(|failure| self.explain(failure));
        if answer.is_err() && self.known.connection.shared().is_none() {
            // The other idle ones have most likely met the same end, and only one attempt is made at once.
            self.server.close_idle();
        }
        answer
    }

    /// What an error means that a call met after it was sent.
    pub fn lost(&self, error: &hyper::Error) -> Failure {
        self.explain(self.known.connection.lost(error))
    }

    /// hyper and h2 do not always pass on the error of a stream as it was, nor what the server has said.
    fn explain(&self, failure: Failure) -> Failure {
        let Known { connection, ration, greeting, .. } = &self.known;
        match ration.is_exceeded() {
            true => Failure::endless(),
            false => failure.heard(greeting, connection.version().speech()),
        }
    }

    /// To be called when a call got no answer: the peer may be gone without a trace. Other calls that are under way
    /// keep the connection.
    pub fn discard(self) {
        match self.known.connection.shared() {
            None => self.server.close_idle(),
            Some(_) => self.server.link().connections.retain(|known| known.number != self.known.number),
        }
    }

    /// To be called when an answer has been read to its end: HTTP/1.1's connection is there for the next call.
    /// Otherwise it is closed, and so is one that still has to send what the server has answered already.
    pub fn keep(self) {
        let Lease { server, known, .. } = self;
        let mut link = server.link();
        if !server.is_closed()
            && known.connection.shared().is_none()
            && known.connection.is_ready()
            && link.connections.len() < MAX_IDLE
        {
            link.connections.push(Known { last_used: Instant::now(), ..known });
            server.watch(&mut link);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::compression::Compression;
    use super::super::config::{Protocol, Signal, TlsFiles};
    use super::super::endpoint;
    use super::*;

    fn channel(protocol: Protocol, listener: &TcpListener) -> Channel {
        let config = ClientConfig {
            signal: Signal::Traces,
            protocol,
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            headers: Vec::new(),
            timeout: Duration::from_secs(60),
            compression: Compression::None,
            user_agent: String::new(),
            tls: TlsFiles::default(),
            retryable_codes: None,
            proxy: None,
        };
        Channel::new(&config, &endpoint::parse(&config).unwrap(), None).unwrap()
    }

    async fn lease(channel: &Channel) -> Lease {
        channel.lease(&Deadline::after(Duration::from_secs(60))).await.ok().unwrap()
    }

    /// Makes the connections at `server` look unused for long.
    fn age(server: &Server) -> Option<()> {
        let long_ago = Instant::now().checked_sub(IDLE_LIMIT)?;
        for known in &mut server.link().connections {
            known.last_used = long_ago;
        }
        Some(())
    }

    #[tokio::test]
    async fn http2_calls_share_a_connection_until_it_was_idle_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = channel(Protocol::Grpc, &listener);
        let first = lease(&channel).await;
        let second = lease(&channel).await;
        assert_eq!(first.known.number, second.known.number);

        let Some(()) = age(&first.server) else { return };
        let third = lease(&channel).await;
        assert_ne!(third.known.number, first.known.number);

        third.discard();
        let fourth = lease(&channel).await;
        // A late finding about a connection that has been replaced is not held against its successor.
        first.discard();
        assert_eq!(lease(&channel).await.known.number, fourth.known.number);
    }

    #[tokio::test]
    async fn an_http1_connection_serves_one_call_at_a_time_until_it_was_idle_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = channel(Protocol::HttpProtobuf, &listener);
        let (first, second) = (lease(&channel).await, lease(&channel).await);
        let number = second.known.number;
        assert_ne!(first.known.number, number);
        // Its task has to run before it takes a call.
        tokio::task::yield_now().await;
        second.keep();
        let third = lease(&channel).await;
        assert_eq!(third.known.number, number);

        let server = Arc::clone(&third.server);
        third.keep();
        let Some(()) = age(&server) else { return };
        assert_ne!(lease(&channel).await.known.number, number);
    }

    #[tokio::test]
    async fn a_connection_closes_that_nobody_has_used_for_long() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let channel = channel(protocol, &listener);
            let lease = lease(&channel).await;
            tokio::task::yield_now().await;
            lease.keep();
            let (mut peer, _) = listener.accept().await.unwrap();
            let server = Arc::clone(&channel.lock_servers().known[0]);
            tokio::time::pause();
            tokio::time::advance(IDLE_LIMIT / 2).await;
            assert_eq!(server.link().connections.len(), 1);
            tokio::time::advance(IDLE_LIMIT).await;
            tokio::time::resume();
            // HTTP/2 has begun to talk before.
            let mut talk = tokio::io::sink();
            let end = tokio::time::timeout(Duration::from_secs(20), tokio::io::copy(&mut peer, &mut talk));
            end.await.expect("the connection ends in time").unwrap();
            assert!(server.link().connections.is_empty());
        }
    }

    #[tokio::test]
    async fn idle_connections_are_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let channel = channel(Protocol::HttpProtobuf, &listener);
        let mut leases = Vec::new();
        for _ in 0..=MAX_IDLE {
            leases.push(lease(&channel).await);
        }
        let server = Arc::clone(&leases[0].server);
        tokio::task::yield_now().await;
        leases.into_iter().for_each(Lease::keep);
        assert_eq!(server.link().connections.len(), MAX_IDLE);
    }
}
