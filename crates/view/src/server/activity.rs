//! Whether a connection is in use, and for how long it has not been.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::Limits;

#[derive(Clone)]
pub struct Activity(Arc<Mutex<State>>);

struct State {
    requests: usize,
    /// When the last request was answered, or the connection was made.
    quiet_since: Instant,
    /// When the head of the next request began to arrive.
    head_since: Option<Instant>,
    /// HTTP/2 has frames that are no request, so its bytes say nothing; and before the first request nothing else is
    /// waited for.
    tells_heads: bool,
}

impl Activity {
    pub fn new() -> Self {
        let now = Instant::now();
        let state = State { requests: 0, quiet_since: now, head_since: Some(now), tells_heads: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is under way until what is returned is dropped.
    pub fn request(&self, is_http1: bool) -> UnderWay {
        let mut state = self.state();
        state.requests += 1;
        state.head_since = None;
        state.tells_heads = is_http1;
        UnderWay(self.clone())
    }

    fn heard(&self) {
        let mut state = self.state();
        if state.tells_heads && state.requests == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Since when the connection has been without a request; `None` while one is under way.
    pub fn quiet_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0).then_some(state.quiet_since)
    }

    /// How long the connection may stay as it is; `None` while requests are under way.
    pub fn left(&self, limits: &Limits, now: Instant) -> Option<Duration> {
        let state = self.state();
        let end = match state.head_since {
            Some(since) => since + limits.head,
            None => state.quiet_since + limits.idle,
        };
        (state.requests == 0).then(|| end.saturating_duration_since(now))
    }
}

pub struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests -= 1;
        state.quiet_since = Instant::now();
    }
}

/// A stream that tells when something was read.
pub struct Heard<S> {
    pub stream: S,
    pub activity: Activity,
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.heard();
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
