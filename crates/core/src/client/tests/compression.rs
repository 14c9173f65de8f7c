use std::io::Read;

use super::collector::{answer, http};
use super::*;

fn decompressed(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    match compression {
        Compression::None => content = bytes.to_vec(),
        Compression::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut content).unwrap()),
        Compression::Deflate => drop(flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut content).unwrap()),
        Compression::Zstd => content = zstd::decode_all(bytes).unwrap(),
    }
    content
}

#[tokio::test]
async fn http_names_the_coding_and_applies_it() {
    bounded(async {
        for (compression, name) in [
            (Compression::None, None),
            (Compression::Gzip, Some("gzip")),
            (Compression::Deflate, Some("deflate")),
            (Compression::Zstd, Some("zstd")),
        ] {
            let server = http(|_| Some(answer(200, &[], ""))).await;
            let mut config = config(Protocol::HttpProtobuf, server.address);
            config.compression = compression;
            assert_eq!(export_once(&config).await, delivered());
            let received = &server.received()[0];
            let coding = received.headers.get("content-encoding").map(|value| value.to_str().unwrap());
            assert_eq!(coding, name);
            assert_eq!(decompressed(compression, &received.message), encoded());
        }
    })
    .await;
}

#[tokio::test]
async fn grpc_names_the_coding_and_applies_it_to_the_message() {
    bounded(async {
        for (compression, name) in
            [(Compression::None, None), (Compression::Gzip, Some("gzip")), (Compression::Zstd, Some("zstd"))]
        {
            let headers = [("content-type", "application/grpc"), ("grpc-status", "0")];
            let server = http(move |_| Some(answer(200, &headers, ""))).await;
            let mut config = config(Protocol::Grpc, server.address);
            config.compression = compression;
            assert_eq!(export_once(&config).await, delivered());
            let received = &server.received()[0];
            let coding = received.headers.get("grpc-encoding").map(|value| value.to_str().unwrap());
            assert_eq!(coding, name);
            assert_eq!(received.message[0], u8::from(name.is_some()));
            assert_eq!(received.message[1..5], (received.message.len() as u32 - 5).to_be_bytes());
            assert_eq!(decompressed(compression, &received.message[5..]), encoded());
        }
    })
    .await;
}

#[test]
fn grpc_does_not_know_deflate() {
    let mut config = config(Protocol::Grpc, ([127, 0, 0, 1], 1).into());
    config.compression = Compression::Deflate;
    let error = Client::new(&config).unwrap_err().to_string();
    assert_eq!(error, r#"compression is "deflate": gRPC has no such compression; accepted: none, gzip, zstd"#);
}
