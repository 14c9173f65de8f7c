//! What may stand before a server: TLS, a socket in the file system, a proxy. Each passes the bytes on to `target`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::collector::loopback;

pub async fn pass_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(target).await {
        let _ = copy_bidirectional(&mut stream, &mut server).await;
    }
}

/// Ends TLS with what `config` holds at that moment.
pub async fn tls(target: SocketAddr, config: watch::Receiver<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = TlsAcceptor::from(config.borrow().clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    pass_on(stream, target).await;
                }
            });
        }
    });
    address
}

#[cfg(unix)]
pub fn unix(target: SocketAddr, path: &Path) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(pass_on(stream, target));
        }
    });
}

/// An HTTP proxy that knows one way only: to `target`. It keeps the heads of the requests.
pub struct Proxy {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// CONNECT requests are answered with `status`, and if that is 200, what follows is passed on; other requests are
    /// passed on with their absolute URL.
    pub async fn start(target: SocketAddr, status: u16) -> Proxy {
        let listener = loopback().await;
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let journal = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let journal = Arc::clone(&journal);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    let text = String::from_utf8(head.clone()).unwrap();
                    let connect = text.starts_with("CONNECT ");
                    journal.lock().unwrap().push(text);
                    if connect {
                        let answer = format!("HTTP/1.1 {status} said the proxy\r\n\r\n");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                        if status == 200 {
                            pass_on(stream, target).await;
                        }
                    } else {
                        let mut server = TcpStream::connect(target).await.unwrap();
                        server.write_all(&head).await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut server).await;
                    }
                });
            }
        });
        Proxy { address, heads }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}
