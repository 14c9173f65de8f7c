//! How much a peer may send, and how much of it is read at a time.
//!
//! There is always something to read from a peer that sends without end, so the task that reads it would never wait: the
//! other tasks of the one export thread, its timers among them, would seldom get their turn. Each connection is read
//! through a [`Rationed`] stream, below TLS and HTTP, which lets others run in between and fails in the end.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::task::yield_now;

use super::response::MAX_RESPONSE_BYTES;

/// What is read before others get their turn. It is parsed within a fraction of a millisecond, whatever it says, and an
/// ordinary answer is shorter.
const TURN_BYTES: usize = 4 * 1024;

/// For each answer: the longest message that is read, and its head and frames.
const ANSWER_BYTES: usize = MAX_RESPONSE_BYTES + 1024 * 1024;

/// Besides the answers: handshakes before the first one, pings while no answer is due, and the rest of an answer that
/// nobody waits for any more.
const UNASKED_BYTES: usize = 256 * 1024;

/// What the peer of one connection may still send.
pub(super) struct Ration(Mutex<Left>);

struct Left {
    bytes: usize,
    /// How many answers are due.
    answers: usize,
    exceeded: bool,
}

/// While it is alive, an answer is due.
pub(super) struct Due(Arc<Ration>);

/// The error of a stream whose peer has used up its ration.
#[derive(Debug)]
pub(super) struct Exceeded;

/// A stream that fails once its peer's ration is used up, and that lets other tasks run in between.
pub(super) struct Rationed<S> {
    /// Its limit is set anew for each read.
    stream: Take<S>,
    ration: Arc<Ration>,
    /// What may be read until other tasks get their turn.
    turn: usize,
}

impl Ration {
    fn new() -> Ration {
        Ration(Mutex::new(Left { bytes: UNASKED_BYTES, answers: 0, exceeded: false }))
    }

    /// An answer is due, until the result is dropped.
    pub fn answer_due(self: &Arc<Self>) -> Due {
        let mut left = self.left();
        left.answers += 1;
        left.bytes += ANSWER_BYTES;
        Due(Arc::clone(self))
    }

    /// Whether the peer has sent more than it may.
    pub fn is_exceeded(&self) -> bool {
        self.left().exceeded
    }

    /// What may be read now, or an error if nothing may.
    fn available(&self) -> io::Result<usize> {
        let mut left = self.left();
        left.exceeded |= left.bytes == 0;
        match left.exceeded {
            true => Err(io::Error::other(Exceeded)),
            false => Ok(left.bytes),
        }
    }

    fn use_up(&self, bytes: usize) {
        let mut left = self.left();
        // It may have shrunk meanwhile.
        left.bytes = left.bytes.saturating_sub(bytes);
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Due {
    /// What this answer did not need is not kept for others.
    fn drop(&mut self) {
        let mut left = self.0.left();
        left.answers -= 1;
        left.bytes = left.bytes.min(UNASKED_BYTES + left.answers * ANSWER_BYTES);
    }
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer sends without end, more bytes than an answer can have")
    }
}

impl Error for Exceeded {}

impl<S: AsyncRead> Rationed<S> {
    pub fn new(stream: S) -> (Rationed<S>, Arc<Ration>) {
        let ration = Arc::new(Ration::new());
        (Rationed { stream: stream.take(0), ration: Arc::clone(&ration), turn: TURN_BYTES }, ration)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rationed<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.turn == 0 {
            this.turn = TURN_BYTES;
            // Not woken before the runtime has looked for timers and sockets, unlike by the waker itself.
            return pin!(yield_now()).poll(cx).map(Ok);
        }
        let limit = this.ration.available()?.min(this.turn);
        this.stream.set_limit(limit as u64);
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        match read {
            Poll::Pending => this.turn = TURN_BYTES,
            Poll::Ready(_) => {
                let bytes = limit - this.stream.limit() as usize;
                this.turn -= bytes;
                this.ration.use_up(bytes);
            }
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Rationed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{Repeat, repeat};

    use super::*;

    /// A peer that sends zeros without end.
    fn endless() -> (Rationed<Repeat>, Arc<Ration>) {
        Rationed::new(repeat(0))
    }

    /// How much of it can be read.
    async fn read_to_the_error(stream: &mut Rationed<Repeat>) -> usize {
        let mut bytes = 0;
        let error = loop {
            match stream.read(&mut [0; 100_000]).await {
                Ok(read) => bytes += read,
                Err(error) => break error,
            }
        };
        assert!(error.get_ref().unwrap().is::<Exceeded>(), "{error}");
        bytes
    }

    #[tokio::test]
    async fn other_tasks_run_while_a_peer_sends_without_end() {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        tokio::spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        let bytes = tokio::spawn(async { read_to_the_error(&mut endless().0).await }).await.unwrap();
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns >= bytes / TURN_BYTES - 1, "{turns} turns, {bytes} bytes");
    }

    #[tokio::test]
    async fn a_peer_that_is_asked_for_nothing_may_send_little() {
        let (mut stream, ration) = endless();
        assert!(!ration.is_exceeded());
        assert_eq!(read_to_the_error(&mut stream).await, UNASKED_BYTES);
        assert!(ration.is_exceeded());
    }

    #[tokio::test]
    async fn every_answer_has_a_ration_of_its_own() {
        let (mut stream, ration) = endless();
        let _both = [ration.answer_due(), ration.answer_due()];
        assert_eq!(read_to_the_error(&mut stream).await, UNASKED_BYTES + 2 * ANSWER_BYTES);
    }

    #[tokio::test]
    async fn what_an_answer_did_not_need_is_not_kept() {
        let (mut stream, ration) = endless();
        for _ in 0..3 {
            drop(ration.answer_due());
        }
        assert_eq!(read_to_the_error(&mut stream).await, UNASKED_BYTES);

        let (mut stream, ration) = endless();
        let slow = ration.answer_due();
        drop(ration.answer_due());
        assert_eq!(read_to_the_error(&mut stream).await, UNASKED_BYTES + ANSWER_BYTES);
        drop(slow);
    }

    #[tokio::test]
    async fn an_answer_leaves_as_much_for_what_comes_after_it_as_there_was_before() {
        let (mut stream, ration) = endless();
        let due = ration.answer_due();
        stream.read_exact(&mut vec![0; ANSWER_BYTES]).await.unwrap();
        drop(due);
        assert_eq!(read_to_the_error(&mut stream).await, UNASKED_BYTES);
    }
}
