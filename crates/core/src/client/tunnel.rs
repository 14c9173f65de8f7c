//! A way through an HTTP proxy, opened with CONNECT.

use std::error::Error;
use std::future::{Ready, ready};
use std::io;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codegen::Service;

/// Turns `stream`, a connection to a proxy, into one to the host and port of `target`.
pub(super) async fn open<S>(
    stream: S,
    target: Uri,
    credentials: Option<&HeaderValue>,
) -> Result<S, Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut tunnel = Tunnel::new(Uri::default(), Connected(Some(stream)));
    if let Some(credentials) = credentials {
        tunnel = tunnel.with_auth(credentials.clone());
    }
    Ok(tunnel.call(target).await?.into_inner())
}

/// What `Tunnel` takes for a way to connect to the proxy: the connection is there already.
struct Connected<S>(Option<S>);

impl<S> Service<Uri> for Connected<S> {
    type Response = TokioIo<S>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<S>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
