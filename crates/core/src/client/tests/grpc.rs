use std::io::Read;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tonic::{Code, Status};

use super::collector::{GrpcAnswer, answer, grpc, grpc_on, http, loopback};
use super::*;

fn grpc_config(address: SocketAddr) -> ClientConfig {
    config(Protocol::Grpc, address)
}

fn ok() -> GrpcAnswer {
    Ok(ExportTraceServiceResponse::default())
}

/// A protobuf field of wire type 2.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

/// `status` with a google.rpc.Status that holds a RetryInfo, beside another detail.
fn retry_in(delay: Duration, code: Code) -> Status {
    let mut duration = vec![1 << 3];
    prost::encoding::encode_varint(delay.as_secs(), &mut duration);
    duration.push(2 << 3);
    prost::encoding::encode_varint(delay.subsec_nanos().into(), &mut duration);
    let any = |name: &str, value: &[u8]| {
        let url = format!("type.googleapis.com/google.rpc.{name}");
        field(3, &[field(1, url.as_bytes()), field(2, value)].concat())
    };
    let help = any("Help", b"");
    let retry_info = any("RetryInfo", &field(1, &duration));
    let details = [field(2, b"later"), help, retry_info].concat();
    Status::with_details(code, "later", details.into())
}

#[tokio::test]
async fn what_is_retried_may_be_chosen() {
    bounded(async {
        let server = grpc(|number| Some(if number == 0 { Err(Status::internal("later")) } else { ok() })).await;
        let mut config = grpc_config(server.address);
        config.retryable_codes = GrpcCodes::new(&[Code::Internal as u32]);
        assert_eq!(export_once(&config).await, delivered());
        assert_eq!(server.count(), 2);

        let server = grpc(|_| Some(Err(Status::unavailable("later")))).await;
        config.endpoint = format!("http://{}", server.address);
        assert_contains(&reason(export_once(&config).await), "UNAVAILABLE: later");
        assert_eq!(server.count(), 1);

        // A connection that cannot be made is UNAVAILABLE, too.
        config.endpoint = format!("http://{}", closed_port().await);
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "cannot connect: Connection refused");
        assert!(!reason.contains("attempts"), "{reason}");
    })
    .await;
}

#[tokio::test]
async fn retry_info_may_be_a_trailer_of_its_own() {
    bounded(async {
        let (soon, never) = ("CgQQoKxP", "CgQI4NQD");
        let server = http(move |number| {
            let trailers = |retry_info| [("google.rpc.retryinfo-bin", retry_info)];
            Some(match number {
                // 1.3 ms, for a code that is retried only with one.
                0 => trailers_only("8", &trailers(soon)),
                1 => trailers_only("0", &[]),
                // 60000 s: beyond the deadline.
                _ => trailers_only("14", &trailers(never)),
            })
        })
        .await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        assert_eq!(export(&client).await, delivered());
        assert_eq!(server.count(), 2);
        assert_contains(&reason(export(&client).await), "UNAVAILABLE");
        assert_eq!(server.count(), 3);
    })
    .await;
}

#[tokio::test]
async fn retry_info_that_does_not_decode_is_none() {
    bounded(async {
        let server = http(|number| {
            Some(match number {
                0 => trailers_only("14", &[("google.rpc.retryinfo-bin", "!")]),
                1 => trailers_only("14", &[("google.rpc.retryinfo-bin", "CgQQ")]),
                _ => trailers_only("0", &[]),
            })
        })
        .await;
        assert_eq!(export_once(&grpc_config(server.address)).await, delivered());
        assert_eq!(server.count(), 3);
    })
    .await;
}

/// An answer without a body, as gRPC servers give it when they refuse.
fn trailers_only(status: &str, headers: &[(&str, &str)]) -> Response {
    let grpc = [("content-type", "application/grpc"), ("grpc-status", status)];
    answer(200, &[&grpc, headers].concat(), "")
}

#[tokio::test]
async fn the_request_arrives_unchanged() {
    bounded(async {
        let server = grpc(|_| Some(ok())).await;
        let mut config = grpc_config(server.address);
        config.headers = vec![header("X-Api-Key", "s3cret"), header("Content-Type", "text/plain")];
        assert_eq!(export_once(&config).await, delivered());

        let received = &server.received()[0];
        assert_eq!(received.message, request());
        assert_eq!(received.headers["x-api-key"], "s3cret");
        assert_eq!(received.headers["user-agent"], "otel-rs-test/1.2.3");
        assert!(received.headers.contains_key("grpc-timeout"));
    })
    .await;
}

#[tokio::test]
async fn the_message_is_passed_through_opaquely() {
    bounded(async {
        let server = http(|_| Some(trailers_only("0", &[]))).await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        let (_shutdown, no_retry) = watch::channel(false);
        for message in ["not protobuf at all", ""] {
            let outcome = client.export(Bytes::from(message), &no_retry).await;
            assert_eq!(outcome, delivered());
        }

        let received = server.received();
        assert_eq!(received[0].path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        assert_eq!(received[0].headers["content-type"], "application/grpc");
        assert_eq!(received[0].headers["te"], "trailers");
        assert_eq!(&received[0].message[..], b"\0\0\0\0\x13not protobuf at all");
        assert_eq!(&received[1].message[..], b"\0\0\0\0\0");
    })
    .await;
}

#[tokio::test]
async fn gzip() {
    bounded(async {
        let server = grpc(|_| Some(ok())).await;
        let mut config = grpc_config(server.address);
        config.compression = Compression::Gzip;
        assert_eq!(export_once(&config).await, delivered());
        assert_eq!(server.received()[0].message, request());

        let raw = http(|_| Some(trailers_only("0", &[]))).await;
        config.endpoint = format!("http://{}", raw.address);
        assert_eq!(export_once(&config).await, delivered());
        let received = &raw.received()[0];
        assert_eq!(received.headers["grpc-encoding"], "gzip");
        assert_eq!(received.message[0], 1);
        let mut message = Vec::new();
        flate2::read::GzDecoder::new(&received.message[5..]).read_to_end(&mut message).unwrap();
        assert_eq!(message, encoded());
    })
    .await;
}

#[tokio::test]
async fn partial_success_and_warnings_are_passed_on() {
    bounded(async {
        let server = grpc(|number| {
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans: if number == 0 { 7 } else { 0 },
                error_message: "too old".to_owned(),
            });
            Some(Ok(ExportTraceServiceResponse { partial_success }))
        })
        .await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        assert_eq!(export(&client).await, partly_delivered(7, "too old"));
        assert_eq!(export(&client).await, partly_delivered(0, "too old"));
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_success_that_does_not_decode_is_a_success() {
    bounded(async {
        let server = http(|number| {
            let message: &[u8] = match number {
                0 => b"",
                1 => b"\0\0\0\0\x02{}",
                2 => b"\x01\0\0\0\x02{}",
                _ => b"\0\xff\xff\xff\xff\x0a",
            };
            let mut trailers = ::http::HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let body = Full::new(Bytes::from_static(message)).with_trailers(async { Some(Ok(trailers)) });
            Some(answer(200, &[("content-type", "application/grpc")], Body::new(body)))
        })
        .await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        for _ in 0..4 {
            assert_eq!(export(&client).await, delivered());
        }
    })
    .await;
}

#[tokio::test]
async fn retryable_codes_are_retried_when_the_server_says() {
    bounded(async {
        let codes = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
            Code::ResourceExhausted,
        ];
        let delay = Duration::from_millis(1);
        let server = grpc(move |number| Some(codes.get(number).map_or(ok(), |code| Err(retry_in(delay, *code))))).await;
        assert_eq!(export_once(&grpc_config(server.address)).await, delivered());
        let received = server.received();
        assert_eq!(received.len(), codes.len() + 1);
        assert!(received.iter().all(|attempt| attempt.message == request()));
    })
    .await;
}

#[tokio::test]
async fn retry_info_is_waited_for() {
    bounded(async {
        let delay = Duration::from_millis(1100);
        let server = grpc(move |number| {
            Some(match number {
                0 => Err(retry_in(delay, Code::ResourceExhausted)),
                _ => ok(),
            })
        })
        .await;
        let started = Instant::now();
        assert_eq!(export_once(&grpc_config(server.address)).await, delivered());
        assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_retryable_code_without_retry_info_is_retried_after_a_backoff() {
    bounded(async {
        let server = grpc(|number| Some(if number == 0 { Err(Status::unavailable("")) } else { ok() })).await;
        let started = Instant::now();
        assert_eq!(export_once(&grpc_config(server.address)).await, delivered());
        assert!(started.elapsed() >= Duration::from_millis(800), "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_user_agent_among_the_headers_is_the_users() {
    bounded(async {
        let server = grpc(|_| Some(ok())).await;
        let mut config = grpc_config(server.address);
        config.headers = vec![header("User-Agent", "theirs")];
        assert_eq!(export_once(&config).await, delivered());
        assert_eq!(server.received()[0].headers["user-agent"], "theirs");
    })
    .await;
}

#[tokio::test]
async fn other_codes_are_not_retried() {
    bounded(async {
        for (status, part) in [
            (Status::invalid_argument("bad\nspan"), "INVALID_ARGUMENT: bad span"),
            (Status::resource_exhausted("full"), "RESOURCE_EXHAUSTED: full"),
            (Status::unauthenticated("who?"), "UNAUTHENTICATED: who?"),
            (retry_in(Duration::ZERO, Code::PermissionDenied), "PERMISSION_DENIED: later"),
        ] {
            let server = grpc(move |_| Some(Err(status.clone()))).await;
            let outcome = export_once(&grpc_config(server.address)).await;
            let label = format!("OTLP/gRPC export of traces to http://{} failed", server.address);
            assert_contains(&reason(outcome), &format!("{label}: {part}; "));
            assert_eq!(server.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_retry_that_would_miss_the_deadline_is_not_waited_for() {
    bounded(async {
        let an_hour = Duration::from_secs(3600);
        let server = grpc(move |_| Some(Err(retry_in(an_hour, Code::Unavailable)))).await;
        let reason = reason(export_once(&grpc_config(server.address)).await);
        assert_contains(&reason, "UNAVAILABLE: later");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn malformed_status_details_are_ignored() {
    bounded(async {
        let details = [("grpc-status-details-bin", "!!!"), ("grpc-message", "no%20way%FF")];
        let server = http(move |_| Some(trailers_only("8", &details))).await;
        let reason = reason(export_once(&grpc_config(server.address)).await);
        assert_contains(&reason, "RESOURCE_EXHAUSTED: no way\u{fffd}");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_oversized_answer_is_not_read_and_not_retried() {
    bounded(async {
        let body = Bytes::from(vec![0; 5 * 1024 * 1024]);
        let headers = [("content-type", "application/grpc")];
        let server = http(move |_| Some(answer(200, &headers, body.clone()))).await;
        let reason = reason(export_once(&grpc_config(server.address)).await);
        assert_contains(&reason, "the answer is longer than 4194304 bytes");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_fails_by_its_http_status() {
    bounded(async {
        let server = http(|_| Some(answer(404, &[], "nothing here"))).await;
        let outcome = export_once(&grpc_config(server.address)).await;
        assert_contains(&reason(outcome), "UNIMPLEMENTED (HTTP 404 Not Found, not a gRPC answer)");
        assert_eq!(server.count(), 1);

        let server = http(|_| Some(answer(200, &[], "welcome"))).await;
        let outcome = export_once(&grpc_config(server.address)).await;
        assert_contains(&reason(outcome), "the answer has no grpc-status");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_redacted_from_the_servers_message() {
    bounded(async {
        let server = grpc(|_| Some(Err(Status::unauthenticated("bad token s3cret")))).await;
        let mut config = grpc_config(server.address);
        config.headers = vec![header("authorization", "Bearer s3cret")];
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "UNAUTHENTICATED: bad token [redacted]");
    })
    .await;
}

#[tokio::test]
async fn the_deadline_is_kept_and_the_next_export_gets_a_new_connection() {
    bounded(async {
        let server = grpc(|number| (number > 0).then(ok)).await;
        let mut config = grpc_config(server.address);
        config.timeout = Duration::from_secs(1);
        let client = Client::new(&config).unwrap();
        let started = Instant::now();
        let reason = reason(export(&client).await);
        assert_contains(&reason, "no answer in time (timeout 1s)");
        assert!(started.elapsed() >= config.timeout);
        assert!(started.elapsed() < Duration::from_secs(10));
        server.has_abandoned(1).await;

        assert_eq!(export(&client).await, delivered());
        let received = server.received();
        assert_ne!(received[0].peer, received[1].peer);
    })
    .await;
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    bounded(async {
        let mut config = grpc_config(closed_port().await);
        config.timeout = Duration::from_millis(700);
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "cannot connect: Connection refused");
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_is_retried() {
    bounded(async {
        let listener = loopback().await;
        let address = listener.local_addr().unwrap();
        let export = tokio::spawn(async move { export_once(&grpc_config(address)).await });
        drop(listener.accept().await.unwrap());
        let server = grpc_on(listener, |_| Some(ok()));
        assert_eq!(export.await.unwrap(), delivered());
        assert_eq!(server.received()[0].message, request());
    })
    .await;
}

#[tokio::test]
async fn shutdown_interrupts_the_wait_for_a_retry() {
    bounded(async {
        let an_hour = Duration::from_secs(3600);
        let server = grpc(move |_| Some(Err(retry_in(an_hour, Code::Unavailable)))).await;
        let mut config = grpc_config(server.address);
        config.timeout = 10 * an_hour;
        let client = Client::new(&config).unwrap();
        let (shutdown, no_retry) = watch::channel(false);
        let (outcome, ()) = tokio::join!(client.export(encoded(), &no_retry), async {
            server.has_received(1).await;
            shutdown.send_replace(true);
        });
        assert_contains(&reason(outcome), "UNAVAILABLE");
        assert_eq!(server.count(), 1);

        // The first attempt is still made.
        assert_contains(&reason(client.export(encoded(), &no_retry).await), "UNAVAILABLE");
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn dropping_the_future_cancels_the_call() {
    bounded(async {
        let server = grpc(|_| None).await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        tokio::select! {
            _ = export(&client) => panic!("there was no answer"),
            () = server.has_received(1) => {}
        }
        server.has_abandoned(1).await;
    })
    .await;
}

#[tokio::test]
async fn concurrent_exports_share_a_connection_and_a_restart_brings_a_new_one() {
    bounded(async {
        let server = grpc(|_| Some(ok())).await;
        let client = Client::new(&grpc_config(server.address)).unwrap();
        let outcomes = tokio::join!(export(&client), export(&client), export(&client));
        assert_eq!(outcomes, (delivered(), delivered(), delivered()));
        let received = server.received();
        assert!(received.iter().all(|call| call.peer == received[0].peer));

        let address = server.address;
        server.stop().await;
        let server = grpc_on(TcpListener::bind(address).await.unwrap(), |_| Some(ok()));
        assert_eq!(export(&client).await, delivered());
        assert_eq!(server.count(), 1);
    })
    .await;
}
