//! Peers that take their time, or never come to the point.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const SHORT: Duration = Duration::from_millis(100);
const HEAD: &str = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n";

/// Where a time is not what is tested, it is long.
fn patient() -> Limits {
    Limits { head: DEADLINE * 2, read: DEADLINE * 2, idle: DEADLINE * 2, ..Limits::default() }
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = [0; 4096];
    let read = timeout(DEADLINE, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

/// Writes a byte now and then until the receiver closes the connection.
async fn drip(stream: &mut TcpStream) {
    let (mut reader, mut writer) = stream.split();
    let closed = async {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest).await;
    };
    let dripping = async {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, async { tokio::join!(closed, dripping) }).await.unwrap();
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_dropped() {
    let running = Running::start(Format::Json, Limits { head: SHORT, ..patient() });
    for address in [running.http, running.grpc] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(answer(&mut stream).await, "");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_dropped() {
    let running = Running::start(Format::Json, Limits { head: SHORT, ..patient() });
    for (address, begin) in [(running.http, "POST /"), (running.grpc, "PRI * HTTP/2.0\r\n")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        drip(&mut stream).await;
    }
    // Also where a whole request came before it.
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    drip(&mut stream).await;
    running.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_refused_and_told() {
    let running = Running::start(Format::Json, Limits { read: SHORT, ..patient() });
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 1000000\r\n\r\nx").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 408"));
    drip(&mut stream).await;
    running.told(&["POST /v1/traces", "http 408: the body did not arrive within 0.1 s"]).await;
    running.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_its_client_comes_back() {
    let running = Running::start(Format::Json, Limits { idle: SHORT, ..patient() });
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(answer(&mut stream).await, "");

    let mut client = TraceServiceClient::connect(running.grpc_url()).await.unwrap();
    for _ in 0..3 {
        client.export(traces(vec![span(1, 0, "x")])).await.unwrap();
        tokio::time::sleep(SHORT * 3).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let running = Running::start(Format::Json, Limits { connections: 4, idle_when_full: SHORT, ..patient() });
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(running.http).await.unwrap());
    }
    let body = traces(vec![span(1, 0, "x")]).encode_to_vec();
    assert_eq!(running.post("/v1/traces", PROTOBUF, body).send().await.unwrap().status(), 200);
    assert_eq!(answer(&mut silent[0]).await, "");
    running.stop().await;
}

#[tokio::test]
async fn a_connection_in_use_is_not_closed_for_a_new_one() {
    let running = Running::start(Format::Json, Limits { connections: 3, idle_when_full: SHORT, ..patient() });
    let mut busy = TcpStream::connect(running.http).await.unwrap();
    busy.write_all(format!("{HEAD}expect: 100-continue\r\ncontent-length: 2\r\n\r\n").as_bytes()).await.unwrap();
    // Its body is being read.
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 100"));
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(running.http).await.unwrap();
        stream.write_all(format!("{HEAD}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
        assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        idle.push(stream);
    }
    busy.write_all(b"\x0a\x00").await.unwrap();
    assert!(answer(&mut busy).await.starts_with("HTTP/1.1 200"));
    running.stop().await;
}

#[tokio::test]
async fn a_new_connection_gets_its_turn_where_all_others_are_busy() {
    let limits = Limits { connections: 3, read: SHORT * 10, idle_when_full: SHORT, ..patient() };
    let running = Running::start(Format::Json, limits);
    let mut busy = Vec::new();
    for _ in 0..6 {
        let mut stream = TcpStream::connect(running.http).await.unwrap();
        stream.write_all(format!("{HEAD}content-length: 9\r\n\r\n").as_bytes()).await.unwrap();
        busy.push(stream);
    }
    let body = traces(vec![span(1, 0, "x")]).encode_to_vec();
    assert_eq!(running.post("/v1/traces", PROTOBUF, body).send().await.unwrap().status(), 200);
    running.stop().await;
}
