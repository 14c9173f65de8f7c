//! One connection, over HTTP/1.1 or HTTP/2.

use std::io::{self, ErrorKind};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::config::Protocol;
use super::failure::{Failure, sources};
use super::greeting::Speech;
use super::payload::Body;
use super::retry::Retry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVersion {
    /// A connection carries one call at a time.
    Http1,
    /// Calls share a connection.
    Http2,
}

impl HttpVersion {
    pub fn of(protocol: Protocol) -> HttpVersion {
        match protocol {
            Protocol::Grpc => HttpVersion::Http2,
            Protocol::HttpProtobuf | Protocol::HttpJson => HttpVersion::Http1,
        }
    }

    pub fn speech(self) -> Speech {
        match self {
            HttpVersion::Http1 => Speech::Http1,
            HttpVersion::Http2 => Speech::Http2,
        }
    }

    /// Its name in TLS.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            HttpVersion::Http1 => b"http/1.1",
            HttpVersion::Http2 => b"h2",
        }
    }
}

/// Closes when it is dropped; over HTTP/2, when its last clone is dropped.
pub(super) enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    pub async fn open<S>(version: HttpVersion, stream: S) -> hyper::Result<Connection>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(stream);
        // The spawned tasks end when the connection does; the calls see its errors.
        match version {
            HttpVersion::Http1 => {
                let (sender, connection) = http1::handshake(stream).await?;
                tokio::spawn(async { drop(connection.await) });
                Ok(Connection::Http1(sender))
            }
            HttpVersion::Http2 => {
                let builder = http2::Builder::new(TokioExecutor::new()).timer(TokioTimer::new()).clone();
                let (sender, connection) = builder.handshake(stream).await?;
                tokio::spawn(async { drop(connection.await) });
                Ok(Connection::Http2(sender))
            }
        }
    }

    pub fn version(&self) -> HttpVersion {
        match self {
            Connection::Http1(_) => HttpVersion::Http1,
            Connection::Http2(_) => HttpVersion::Http2,
        }
    }

    /// Whether a call can begin now.
    pub fn is_ready(&self) -> bool {
        match self {
            Connection::Http1(sender) => sender.is_ready(),
            Connection::Http2(sender) => !sender.is_closed(),
        }
    }

    /// The same connection for another call, if it carries several.
    pub fn shared(&self) -> Option<Connection> {
        match self {
            Connection::Http1(_) => None,
            Connection::Http2(sender) => Some(Connection::Http2(sender.clone())),
        }
    }

    pub async fn call(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Failure> {
        let answer = match self {
            Connection::Http1(sender) => sender.try_send_request(request).await,
            Connection::Http2(sender) => sender.try_send_request(request).await,
        };
        answer.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let error = error.into_error();
            match unsent {
                true => Failure::transport("connection lost", &error, Retry::AtOnce),
                false => self.lost(&error),
            }
        })
    }

    /// What an error means that a call met after it was sent.
    pub fn lost(&self, error: &hyper::Error) -> Failure {
        let unseen = match self {
            Connection::Http1(_) => is_unanswered(error),
            Connection::Http2(_) => is_unseen(error),
        };
        let retry = if unseen { Retry::AtOnce } else { Retry::Backoff };
        Failure::transport("connection lost", error, retry)
    }
}

/// HTTP/1.1: the peer had closed the connection, most often an idle one, and no answer has come.
fn is_unanswered(error: &hyper::Error) -> bool {
    sources(error).any(|error| match error.downcast_ref::<hyper::Error>() {
        Some(error) => error.is_incomplete_message() || error.is_canceled(),
        None => error.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
        }),
    })
}

/// HTTP/2: a reset concerns one call; any other error means that the connection is gone, and its peer may have closed
/// it long ago.
fn is_unseen(error: &hyper::Error) -> bool {
    let Some(error) = sources(error).find_map(|error| error.downcast_ref::<h2::Error>()) else { return true };
    // The server's word that it has not looked at the request.
    let refused = (error.is_go_away() && error.is_remote()) || error.reason() == Some(h2::Reason::REFUSED_STREAM);
    refused || !error.is_reset()
}
