//! How the receiver ends, or does not begin.

use std::net::TcpListener;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;

use super::*;

#[tokio::test]
async fn the_receiver_ends_quietly_when_nobody_reads_its_output() {
    struct ClosedPipe;
    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = ReceiverConfig {
        grpc: Some("127.0.0.1:0".to_owned()),
        http: None,
        format: Format::Json,
        ..ReceiverConfig::default()
    };
    let receiver = Receiver::bind(config).unwrap();
    let url = format!("http://{}", receiver.addr(Protocol::Grpc).unwrap());
    let task = tokio::spawn(receiver.serve(ClosedPipe, io::sink(), std::future::pending()));
    let mut client = TraceServiceClient::connect(url).await.unwrap();
    client.export(traces(vec![span(1, 0, "root")])).await.unwrap();
    timeout(DEADLINE, task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_receiver_from_ending() {
    let running = Running::json();
    let mut half_sent = std::net::TcpStream::connect(running.http).unwrap();
    half_sent.write_all(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 100\r\n").unwrap();
    running.stop().await;
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = ReceiverConfig { grpc: None, http: Some(address.clone()), ..ReceiverConfig::default() };
    let error = Receiver::bind(config).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on http {address}: address in use"));
}

#[test]
fn with_both_servers_off_there_is_nothing_to_do() {
    let config = ReceiverConfig { grpc: None, http: None, ..ReceiverConfig::default() };
    assert!(matches!(Receiver::bind(config), Err(ReceiverError::NoListener)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_reader_that_goes_away_is_noticed() {
    let (reader, writer) = io::pipe().unwrap();
    let mut gone = std::pin::pin!(crate::reader::gone(&writer));
    assert!(timeout(Duration::from_millis(50), &mut gone).await.is_err());
    drop(reader);
    timeout(DEADLINE, gone).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_has_no_reader_that_could_go_away() {
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(timeout(Duration::from_millis(50), crate::reader::gone(&file)).await.is_err());
}
