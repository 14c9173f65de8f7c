//! A connection: HTTP/1 or HTTP/2, whichever the peer speaks, until it has been idle for too long.

use std::error::Error;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use ::http::{Request, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::activity::{Activity, Heard};
use super::service::Service;

/// How often a connection's time is looked at: what it has left changes with what it does.
const LOOK: Duration = Duration::from_millis(500);
/// How long a connection that is being closed may take to say so.
const FAREWELL: Duration = Duration::from_millis(500);
const KIB: u32 = 1024;
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

pub struct Connection {
    service: Service,
    activity: Activity,
}

impl Connection {
    pub fn new(service: Service) -> Self {
        Self { service, activity: Activity::new() }
    }

    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    pub async fn serve(self, stream: TcpStream, mut stop: watch::Receiver<()>) {
        let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { return };
        let is_tls = async {
            let mut first = [0];
            stream.peek(&mut first).await.is_ok_and(|read| read == 1) && first == [TLS_HANDSHAKE]
        };
        tokio::select! {
            is_tls = is_tls => if is_tls {
                let remedy = "an http:// endpoint, or insecure=True for gRPC";
                return self.tell(&format!("a client speaks TLS to {local}, which is plain: {remedy}"));
            },
            () = self.idle() => return,
            () = closed(&mut stop) => return,
        }

        let service = &self.service;
        let activity = &self.activity;
        let answer = service_fn(|request: Request<Incoming>| {
            let under_way = activity.request(request.version() < Version::HTTP_2);
            let service = service.clone();
            async move {
                let answer = service.answer(request, local.ip(), peer.ip()).await;
                drop(under_way);
                answer
            }
        });
        let builder = builder();
        let io = TokioIo::new(Heard { stream, activity: activity.clone() });
        let mut connection = std::pin::pin!(builder.serve_connection(io, answer));
        tokio::select! {
            outcome = connection.as_mut() => self.tell_why(outcome, peer.ip()),
            () = self.idle() => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(FAREWELL, connection).await;
            }
            () = closed(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    /// Ready once the connection has been without a request for too long.
    async fn idle(&self) {
        loop {
            match self.activity.left(&self.service.limits, Instant::now()) {
                Some(Duration::ZERO) => return,
                left => sleep(left.unwrap_or(LOOK).min(LOOK)).await,
            }
        }
    }

    fn tell_why(&self, outcome: Result<(), Box<dyn Error + Send + Sync>>, peer: IpAddr) {
        let Err(error) = outcome else { return };
        // The others are connections that broke off.
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            self.tell(&format!("what {peer} sends to the {} port is no HTTP: {error}", self.service.protocol.name()));
        }
    }

    fn tell(&self, line: &str) {
        self.service.complaints.tell(line);
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // [`Activity`] knows how long a head may take, and tells it from an idle connection.
        .header_read_timeout(None)
        .max_buf_size((64 * KIB) as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(16)
        .initial_stream_window_size(1024 * KIB)
        .initial_connection_window_size(2048 * KIB);
    builder
}

/// Ready once the sender of `stop` is gone.
pub async fn closed(stop: &mut watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}
