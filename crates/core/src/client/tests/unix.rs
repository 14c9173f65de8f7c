//! gRPC over a socket in the file system.
#![cfg(unix)]

use super::*;

#[tokio::test]
async fn grpc_over_a_unix_socket() {
    bounded(async {
        let server = collector::http(|_| {
            let headers = [("content-type", "application/grpc"), ("grpc-status", "0")];
            Some(collector::answer(200, &headers, ""))
        })
        .await;
        let folder = Folder::new();
        let path = folder.path("otel.sock");
        relay::unix(server.address, &path);
        let mut config = config(Protocol::Grpc, server.address);
        for prefix in ["unix:", "unix://"] {
            config.endpoint = format!("{prefix}{}", path.display());
            assert_eq!(export_once(&config).await, delivered());
        }
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    bounded(async {
        let folder = Folder::new();
        let mut config = config(Protocol::Grpc, closed_port().await);
        config.endpoint = format!("unix:{}", folder.path("none.sock").display());
        config.timeout = Duration::from_millis(200);
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, &format!("export of traces to {} failed", config.endpoint));
        assert_contains(&reason, "cannot connect: No such file");
    })
    .await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn grpc_over_an_abstract_socket() {
    bounded(async {
        let server = Willing::start(Protocol::Grpc).await;
        let name = format!("otel-rs-test-{}", std::process::id());
        relay::unix(server.address(), std::path::Path::new(&format!("\0{name}")));
        let mut config = config(Protocol::Grpc, server.address());
        config.endpoint = format!("unix-abstract:{name}");
        assert_eq!(export_once(&config).await, delivered());
    })
    .await;
}

#[test]
fn http_does_not_know_sockets() {
    let mut config = config(Protocol::HttpProtobuf, ([127, 0, 0, 1], 1).into());
    config.endpoint = "unix:/run/otel.sock".to_owned();
    assert_contains(&Client::new(&config).unwrap_err().to_string(), "the scheme must be http or https");
}
