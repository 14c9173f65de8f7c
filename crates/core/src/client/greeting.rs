//! What a peer says first. A server that speaks something else than the client is known by it, whatever the library
//! says that reads it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Enough for a status line, and for the words by which an HTTPS server answers plain HTTP.
const KEPT_BYTES: usize = 256;

/// The first bytes that came over a connection.
#[derive(Default)]
pub(super) struct Greeting(Mutex<Vec<u8>>);

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Http1,
    Http2,
    Tls,
}

impl Greeting {
    /// None if it cannot be told.
    pub fn speech(&self) -> Option<Speech> {
        Speech::of(&self.bytes())
    }

    /// The status, if it is an answer of HTTP/1.
    pub fn status(&self) -> Option<u16> {
        let bytes = self.bytes();
        let line = std::str::from_utf8(bytes.split(|byte| *byte == b'\r').next()?).ok()?;
        line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Speech {
    /// What has gone wrong where the server speaks this, and the client another.
    pub fn instead_of(self, expected: Speech) -> &'static str {
        match (self, expected) {
            (Speech::Tls, _) => "the server speaks TLS, and the endpoint says plaintext",
            (_, Speech::Tls) => "the server speaks no TLS, and the endpoint says https",
            (Speech::Http1, _) => "the server speaks HTTP/1.1, and gRPC is HTTP/2",
            (Speech::Http2, _) => "the server speaks HTTP/2, as gRPC does, and the protocol is HTTP",
        }
    }

    fn of(bytes: &[u8]) -> Option<Speech> {
        match bytes {
            [b'H', b'T', b'T', b'P', b'/', ..] if wants_tls(bytes) => Some(Speech::Tls),
            // Python's http.server answers what it does not know with a page without a head.
            [b'H', b'T', b'T', b'P', b'/', ..] | [b'<', b'!' | b'h' | b'H', ..] => Some(Speech::Http1),
            // An alert or a part of a handshake.
            [21 | 22, 3, ..] => Some(Speech::Tls),
            // A frame of settings, with which HTTP/2 begins, or the one that ends it.
            [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => Some(Speech::Http2),
            _ => None,
        }
    }
}

/// Servers of Go, nginx and others answer plain HTTP at their port for HTTPS in plain HTTP, and name it.
pub(super) fn wants_tls(answer: &[u8]) -> bool {
    let answer = String::from_utf8_lossy(answer);
    answer.contains("HTTPS server") || answer.contains("HTTPS port")
}

/// A stream of which the first bytes are kept.
pub(super) struct Overheard<S> {
    stream: S,
    /// None once enough has come.
    listener: Option<Arc<Greeting>>,
}

impl<S> Overheard<S> {
    pub fn new(stream: S) -> (Overheard<S>, Arc<Greeting>) {
        let greeting = Arc::new(Greeting::default());
        (Overheard { stream, listener: Some(Arc::clone(&greeting)) }, greeting)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.listener.take_if(|greeting| {
            let mut kept = greeting.bytes();
            let room = KEPT_BYTES - kept.len();
            kept.extend(buf.filled()[before..].iter().take(room));
            kept.len() == KEPT_BYTES
        });
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn heard(bytes: &[u8]) -> Arc<Greeting> {
        let (mut stream, greeting) = Overheard::new(bytes);
        // In pieces, as from a socket.
        while stream.read(&mut [0; 3]).await.unwrap() > 0 {}
        greeting
    }

    #[tokio::test]
    async fn a_server_is_known_by_what_it_says_first() {
        let https = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        for (bytes, speech, status) in [
            (&b""[..], None, None),
            (b"HTTP/1.1 505 HTTP Version Not Supported\r\n", Some(Speech::Http1), Some(505)),
            (b"HTTP/1.1 407\r\n", Some(Speech::Http1), Some(407)),
            (b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", Some(Speech::Http2), None),
            (b"\x15\x03\x03\0\x02\x02\x46", Some(Speech::Tls), None),
            (https, Some(Speech::Tls), Some(400)),
            (b"<!DOCTYPE HTML>\n<html>", Some(Speech::Http1), None),
            (b"SSH-2.0-OpenSSH_9.6\r\n", None, None),
        ] {
            let greeting = heard(bytes).await;
            assert_eq!((greeting.speech(), greeting.status()), (speech, status), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn no_more_is_kept_than_what_is_said_first() {
        let greeting = heard(&[b'x'; 10 * KEPT_BYTES]).await;
        assert_eq!(greeting.bytes().len(), KEPT_BYTES);
    }
}
