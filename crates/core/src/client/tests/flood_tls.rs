//! Peers that send without end within TLS itself: records and messages that no HTTP ever sees.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig, SupportedCipherSuite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Sends without end, after the handshake and the beginning of a request.
type Flood = fn(TlsStream<TcpStream>) -> Serving;

pub const FLOODS: [(&str, Flood); 3] = [
    ("empty records", |stream| Box::pin(records(stream, ContentType::ApplicationData, &[]))),
    ("session tickets", |stream| Box::pin(records(stream, ContentType::Handshake, &SESSION_TICKET))),
    ("key updates", |stream| Box::pin(key_updates(stream))),
];

/// `NewSessionTicket`: its type and length, lifetime, what is added to its age, a nonce, a ticket and no extensions.
const SESSION_TICKET: [u8; 19] = [4, 0, 0, 15, 0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 1, 7, 0, 0];

/// Accepts a connection and floods it.
pub fn serve(config: &Arc<ServerConfig>, flood: Flood) -> impl Fn(TcpStream) -> Serving + Send + 'static {
    let mut config = ServerConfig::clone(config);
    config.enable_secret_extraction = true;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    move |stream| {
        let accepting = acceptor.accept(stream);
        Box::pin(async move {
            let mut stream = accepting.await?;
            stream.read_u8().await?;
            flood(stream).await
        })
    }
}

/// The same record again and again: rustls would not send what a client has no use for.
async fn records(stream: TlsStream<TcpStream>, typ: ContentType, payload: &'static [u8]) -> io::Result<()> {
    let (mut stream, connection) = stream.into_inner();
    let suite = connection.negotiated_cipher_suite();
    let (first, secrets) = connection.dangerous_extract_secrets().map_err(io::Error::other)?.tx;
    let mut encrypter = encrypter(suite, secrets);
    for number in first.. {
        let payload = OutboundChunks::Single(payload);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let record = encrypter.encrypt(message, number).map_err(io::Error::other)?;
        stream.write_all(&record.encode()).await?;
    }
    Ok(())
}

fn encrypter(suite: Option<SupportedCipherSuite>, secrets: ConnectionTrafficSecrets) -> Box<dyn MessageEncrypter> {
    use ConnectionTrafficSecrets::*;
    let (Aes128Gcm { key, iv } | Aes256Gcm { key, iv } | Chacha20Poly1305 { key, iv }) = secrets else {
        panic!("a cipher of TLS 1.3")
    };
    match suite {
        Some(SupportedCipherSuite::Tls13(suite)) => suite.aead_alg.encrypter(key, iv),
        suite => panic!("{suite:?} is not of TLS 1.3"),
    }
}

async fn key_updates(mut stream: TlsStream<TcpStream>) -> io::Result<()> {
    loop {
        stream.get_mut().1.refresh_traffic_keys().map_err(io::Error::other)?;
        stream.flush().await?;
    }
}
