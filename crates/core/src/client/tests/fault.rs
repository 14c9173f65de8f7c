//! A server that misbehaves on demand: it follows a script for each connection, byte by byte.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::collector::loopback;
use super::relay::pass_on;
use super::*;

/// After its last step the connection is closed.
#[derive(Clone)]
pub enum Step {
    /// Reads a request to its end.
    Read,
    /// Reads an HTTP/1 request's head, and not its body.
    ReadHead,
    Send(Vec<u8>),
    /// One byte at a time.
    Trickle(Vec<u8>, Duration),
    /// Again and again.
    Endless(Vec<u8>),
    /// Neither reads nor writes nor closes.
    Hang,
    /// Closes with RST, so that the peer gets an error in place of an end.
    Reset,
}

pub use Step::*;

pub struct FaultServer {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    open: watch::Sender<usize>,
}

impl FaultServer {
    /// The first connection follows the first script, and so on; after the last script the connections are passed on to
    /// `then`.
    pub async fn start(protocol: Protocol, scripts: Vec<Vec<Step>>, then: Option<SocketAddr>) -> FaultServer {
        let scripts = Mutex::new(VecDeque::from(scripts));
        let serve = move |stream: TcpStream| {
            let script = scripts.lock().unwrap().pop_front();
            async move {
                match (script, then) {
                    (Some(script), _) => follow(stream, protocol, script).await,
                    (None, Some(then)) => {
                        pass_on(stream, then).await;
                        Ok(())
                    }
                    (None, None) => Ok(()),
                }
            }
        };
        Self::serving(serve).await
    }

    /// Serves each connection as `serve` says, and then closes it.
    pub async fn serving<F>(serve: impl Fn(TcpStream) -> F + std::marker::Send + 'static) -> FaultServer
    where
        F: Future<Output = std::io::Result<()>> + std::marker::Send + 'static,
    {
        let listener = loopback().await;
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let open = watch::Sender::new(0);
        let served = open.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                served.send_modify(|open| *open += 1);
                let (serving, served) = (serve(stream), served.clone());
                tokio::spawn(async move {
                    let _ = serving.await;
                    served.send_modify(|open| *open -= 1);
                });
            }
        });
        FaultServer { address, connections, open }
    }

    /// Waits until no connection is served any more: its script has come to its end, or the client has closed it.
    pub async fn is_left_alone(&self) {
        self.open.subscribe().wait_for(|open| *open == 0).await.unwrap();
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn follow(mut stream: TcpStream, protocol: Protocol, script: Vec<Step>) -> std::io::Result<()> {
    let mut preface_read = false;
    for step in script {
        match step {
            Read if protocol == Protocol::Grpc => {
                if !preface_read {
                    stream.read_exact(&mut [0; 24]).await?;
                    preface_read = true;
                }
                read_h2_request(&mut stream).await?;
            }
            Read => {
                let length = read_http_head(&mut stream).await?;
                stream.read_exact(&mut vec![0; length]).await?;
            }
            ReadHead => drop(read_http_head(&mut stream).await?),
            Send(bytes) => stream.write_all(&bytes).await?,
            Trickle(bytes, pause) => {
                stream.set_nodelay(true)?;
                for byte in bytes {
                    stream.write_all(&[byte]).await?;
                    tokio::time::sleep(pause).await;
                }
            }
            Endless(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
            Hang => std::future::pending().await,
            Reset => return stream.set_zero_linger(),
        }
    }
    Ok(())
}

/// Returns the length of the body that follows.
async fn read_http_head(stream: &mut TcpStream) -> std::io::Result<usize> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    Ok(head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap())
}

/// Up to a frame that ends its stream.
async fn read_h2_request(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length]).await?;
        let (kind, flags) = (head[3], head[4]);
        if (kind == DATA || kind == HEADERS) && flags & END_STREAM != 0 {
            return Ok(());
        }
    }
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const NO_ERROR: u32 = 0;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;

/// A frame of HTTP/2.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub fn settings() -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[])
}

pub fn goaway(last_stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat())
}

pub fn reset_stream(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn data(stream: u32, payload: &[u8]) -> Vec<u8> {
    frame(DATA, 0, stream, payload)
}

pub fn hpack(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// `:status: 200` and the type of gRPC's answers.
pub fn answer_begins(stream: u32) -> Vec<u8> {
    let block = [vec![0x88], hpack(&[("content-type", "application/grpc")])].concat();
    frame(HEADERS, END_HEADERS, stream, &block)
}

pub fn trailers(stream: u32, code: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &hpack(&[("grpc-status", code)]))
}

/// A success in the protocol, to the request of that number on its connection, from 0.
pub fn success(protocol: Protocol, number: u32) -> Vec<u8> {
    let stream = 2 * number + 1;
    match protocol {
        Protocol::Grpc => {
            let settings = if number == 0 { settings() } else { Vec::new() };
            [settings, answer_begins(stream), data(stream, &[0; 5]), trailers(stream, "0")].concat()
        }
        _ => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
    }
}
