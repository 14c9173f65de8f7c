//! Requests that a server refuses because of their size: never retried, and told apart from other refusals.

use tonic::{Code, Status};

use super::collector::{answer, grpc, http};
use super::*;

#[track_caller]
fn too_large(outcome: Outcome) -> String {
    match outcome {
        Outcome::TooLarge { reason, .. } => reason,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test]
async fn http_413() {
    bounded(async {
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let server = http(|_| Some(answer(413, &[("retry-after", "0")], "at most\n1 MiB"))).await;
            let reason = too_large(export_once(&config(protocol, server.address)).await);
            assert_contains(&reason, "failed: HTTP 413 Payload Too Large: at most 1 MiB");
            assert_eq!(server.count(), 1);
        }
        let server = http(|_| Some(answer(413, &[], ""))).await;
        let reason = too_large(export_once(&config(Protocol::Grpc, server.address)).await);
        assert_contains(&reason, "HTTP 413 Payload Too Large, not a gRPC answer");
        assert_eq!(server.count(), 1);
    })
    .await;
}

/// More than fits into the buffers between the two.
fn huge() -> Bytes {
    use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
    let scope_spans = vec![ScopeSpans { schema_url: "x".repeat(16 << 20), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

async fn export_huge(config: &ClientConfig) -> Outcome {
    let (_shutdown, no_retry) = watch::channel(false);
    Client::new(config).unwrap().export(huge(), &no_retry).await
}

#[tokio::test]
async fn an_answer_that_comes_before_the_request_is_sent_counts() {
    use super::fault::*;

    bounded(async {
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
            let server = FaultServer::start(protocol, vec![vec![ReadHead, Send(refusal), Hang]], None).await;
            too_large(export_huge(&config(protocol, server.address)).await);
            assert_eq!(server.connections(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn grpc_resource_exhausted_by_size() {
    bounded(async {
        for (code, message) in [
            (Code::ResourceExhausted, "grpc: received message larger than max (5000000 vs. 4194304)"),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000"),
            (Code::OutOfRange, "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
        ] {
            let server = grpc(move |_| Some(Err(Status::new(code, message)))).await;
            let reason = too_large(export_once(&config(Protocol::Grpc, server.address)).await);
            assert_contains(&reason, message);
            assert_eq!(server.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn grpc_resource_exhausted_for_another_reason_is_a_failure() {
    bounded(async {
        let server = grpc(|_| Some(Err(Status::resource_exhausted("quota exceeded")))).await;
        let reason = reason(export_once(&config(Protocol::Grpc, server.address)).await);
        assert_contains(&reason, "RESOURCE_EXHAUSTED: quota exceeded");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_real_server_with_a_limit_is_understood() {
    use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
    use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
    use tokio_stream::wrappers::TcpListenerStream;

    struct Never;

    #[tonic::async_trait]
    impl TraceService for Never {
        async fn export(
            &self,
            _: tonic::Request<ExportTraceServiceRequest>,
        ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
            panic!("the request is too large");
        }
    }

    bounded(async {
        let listener = collector::loopback().await;
        let address = listener.local_addr().unwrap();
        let service = TraceServiceServer::new(Never).max_decoding_message_size(1000);
        let serve = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serve.serve_with_incoming(TcpListenerStream::new(listener)));
        too_large(export_once(&config(Protocol::Grpc, address)).await);
        // Refused by its prefix, while it is being sent.
        too_large(export_huge(&config(Protocol::Grpc, address)).await);
    })
    .await;
}

#[tokio::test]
async fn a_large_request_arrives_where_it_is_welcome() {
    bounded(async {
        for protocol in PROTOCOLS {
            let headers = [("content-type", "application/grpc"), ("grpc-status", "0")];
            let server = http(move |_| Some(answer(200, &headers, ""))).await;
            assert_eq!(export_huge(&config(protocol, server.address)).await, delivered());
            assert!(server.received()[0].message.len() > 16 << 20);
        }
    })
    .await;
}
