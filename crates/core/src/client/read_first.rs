//! A stream that is read to its end, though nothing can be written to it any more: the peer may have answered before it
//! closed the connection. h2 writes before it reads, and would lose answers that came while the process stood still.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct ReadFirst<S> {
    stream: S,
    /// Why it cannot be written to; a read returns it once there is nothing more to read.
    broken: Option<io::Error>,
}

impl<S> ReadFirst<S> {
    pub fn new(stream: S) -> Self {
        ReadFirst { stream, broken: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadFirst<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let nothing = read.is_ready() && buf.filled().len() == before;
        match self.broken.take_if(|_| nothing) {
            Some(error) => Poll::Ready(Err(error)),
            None => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadFirst<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken.is_none() {
            match Pin::new(&mut self.stream).poll_write_vectored(cx, bufs) {
                // This wakes the reader: a socket that cannot be written to has something to read, if only its end.
                Poll::Ready(Err(error)) => self.broken = Some(error),
                written => return written,
            }
        }
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.broken {
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn what_a_peer_sent_before_it_closed_is_read_after_a_write_has_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"answer").await.unwrap();
        drop(peer);

        let mut stream = ReadFirst::new(stream);
        let deadline = Instant::now() + Duration::from_secs(20);
        while stream.broken.is_none() {
            assert!(Instant::now() < deadline, "the peer is gone, so writing fails");
            stream.write_all(b"more").await.unwrap();
            thread::yield_now();
        }
        stream.write_all(b"yet more").await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        assert!(stream.read(&mut answer).await.is_err());
    }
}
