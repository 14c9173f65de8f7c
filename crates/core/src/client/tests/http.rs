use std::io::Read;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};

use super::collector::{answer, http, http_on, loopback};
use super::*;

fn http_config(address: SocketAddr) -> ClientConfig {
    config(Protocol::HttpProtobuf, address)
}

#[tokio::test]
async fn the_request_arrives_unchanged() {
    bounded(async {
        let server = http(|_| Some(answer(200, &[], ""))).await;
        let mut config = http_config(server.address);
        config.endpoint = format!("http://{}/prefix/v1/traces?tenant=a", server.address);
        assert_eq!(export_once(&config).await, delivered());

        let received = &server.received()[0];
        assert_eq!(received.path, "/prefix/v1/traces?tenant=a");
        assert_eq!(received.message, encoded());
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        assert_eq!(received.headers["user-agent"], "otel-rs-test/1.2.3");
        assert_eq!(received.headers["accept"], "*/*");
        assert_eq!(received.headers["host"], server.address.to_string());
        assert_eq!(received.headers["content-length"], encoded().len().to_string());
        assert!(!received.headers.contains_key("content-encoding"));
        assert!(!received.headers.contains_key("authorization"));
    })
    .await;
}

#[tokio::test]
async fn gzip() {
    bounded(async {
        let server = http(|_| Some(answer(200, &[], ""))).await;
        let mut config = http_config(server.address);
        config.compression = Compression::Gzip;
        assert_eq!(export_once(&config).await, delivered());

        let received = &server.received()[0];
        assert_eq!(received.headers["content-encoding"], "gzip");
        assert!(received.message.len() < encoded().len());
        let mut message = Vec::new();
        flate2::read::GzDecoder::new(&*received.message).read_to_end(&mut message).unwrap();
        assert_eq!(message, encoded());
    })
    .await;
}

#[tokio::test]
async fn users_headers_override_ours_but_not_the_framing() {
    bounded(async {
        let server = http(|_| Some(answer(200, &[], ""))).await;
        let mut config = http_config(server.address);
        config.headers = vec![
            header("X-Api-Key", "s3cret"),
            header("User-Agent", "theirs"),
            header("content-type", "application/custom"),
            header("Content-Length", "3"),
        ];
        assert_eq!(export_once(&config).await, delivered());

        let received = &server.received()[0];
        assert_eq!(received.headers["x-api-key"], "s3cret");
        assert_eq!(received.headers["user-agent"], "theirs");
        assert_eq!(received.headers["content-type"], "application/custom");
        assert_eq!(received.message, encoded());
    })
    .await;
}

#[tokio::test]
async fn user_info_becomes_basic_authentication_and_is_not_shown() {
    bounded(async {
        let server = http(|_| Some(answer(400, &[], ""))).await;
        let mut config = http_config(server.address);
        config.endpoint = format!("http://user:pa55@{}/v1/traces", server.address);
        let reason = reason(export_once(&config).await);
        let line =
            format!("OTLP/HTTP export of traces to http://{}/v1/traces failed: HTTP 400 Bad Request; ", server.address);
        assert_contains(&reason, &line);
        assert!(!reason.contains("user") && !reason.contains("pa55"), "{reason}");
        assert_eq!(server.received()[0].headers["authorization"], "Basic dXNlcjpwYTU1");

        // A header that the user sets comes first.
        config.headers = vec![header("authorization", "Bearer token")];
        export_once(&config).await;
        assert_eq!(server.received()[1].headers["authorization"], "Bearer token");
    })
    .await;
}

#[tokio::test]
async fn partial_success_and_warnings_are_passed_on() {
    bounded(async {
        let server = http(|number| {
            let partial_success = Some(ExportTracePartialSuccess {
                rejected_spans: if number == 0 { 7 } else { 0 },
                error_message: "too\nold".to_owned(),
            });
            let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            Some(answer(200, &[("content-type", "application/x-protobuf")], body))
        })
        .await;
        let client = Client::new(&http_config(server.address)).unwrap();
        assert_eq!(export(&client).await, partly_delivered(7, "too old"));
        assert_eq!(export(&client).await, partly_delivered(0, "too old"));
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_success_that_does_not_decode_is_a_success() {
    bounded(async {
        let too_long = vec![b'x'; 5 * 1024 * 1024];
        let server = http(move |number| {
            Some(match number {
                0 => answer(200, &[("content-type", "application/json")], "{}"),
                1 => answer(202, &[], "<html>"),
                _ => answer(200, &[], too_long.clone()),
            })
        })
        .await;
        let client = Client::new(&http_config(server.address)).unwrap();
        for _ in 0..3 {
            assert_eq!(export(&client).await, delivered());
        }
        assert_eq!(server.count(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_success_whose_body_never_ends_is_a_success() {
    bounded(async {
        let server = http(|_| {
            let endless = tokio_stream::pending::<Result<Bytes, std::convert::Infallible>>();
            Some(answer(200, &[], axum::body::Body::from_stream(endless)))
        })
        .await;
        let mut config = http_config(server.address);
        config.timeout = Duration::from_millis(500);
        assert_eq!(export_once(&config).await, delivered());
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn retryable_statuses_are_retried() {
    bounded(async {
        let server = http(|number| {
            let retry_now = [("retry-after", "0")];
            let statuses = [429, 502, 503, 504];
            Some(match statuses.get(number) {
                Some(status) => answer(*status, &retry_now, "later"),
                None => answer(200, &[], ""),
            })
        })
        .await;
        let mut config = http_config(server.address);
        config.compression = Compression::Gzip;
        assert_eq!(export_once(&config).await, delivered());

        let received = server.received();
        assert_eq!(received.len(), 5);
        for attempt in &received {
            assert_eq!(attempt.message, received[0].message);
            assert_eq!(attempt.peer, received[0].peer, "one connection for all attempts");
        }
    })
    .await;
}

#[tokio::test]
async fn credentials_of_the_endpoint_are_redacted_when_the_server_quotes_them() {
    bounded(async {
        let quoted = "user said Basic dXNlcjpwQHNzd29yZA== or dXNlcjpwQHNzd29yZA== or p%40ssword or p@ssword";
        let server = http(move |_| Some(answer(401, &[], quoted))).await;
        let mut config = http_config(server.address);
        config.endpoint = format!("http://user:p%40ssword@{}/v1/traces", server.address);
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "user said [redacted] or [redacted] or [redacted] or [redacted]");
    })
    .await;
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    bounded(async {
        let server = http(|number| {
            let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(2));
            Some(match number {
                0 => answer(503, &[("retry-after", "1")], ""),
                1 => answer(429, &[("retry-after", &date)], ""),
                _ => answer(200, &[], ""),
            })
        })
        .await;
        let started = Instant::now();
        assert_eq!(export_once(&http_config(server.address)).await, delivered());
        assert_eq!(server.count(), 3);
        // The date has whole seconds, so it is at least one away.
        assert!(started.elapsed() >= Duration::from_millis(1900), "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn other_statuses_are_not_retried() {
    bounded(async {
        for (status, part) in [
            (307, "HTTP 307 Temporary Redirect (redirects are not followed)"),
            (400, "HTTP 400 Bad Request: what was wrong"),
            (404, "HTTP 404 Not Found"),
            (500, "HTTP 500 Internal Server Error"),
        ] {
            let headers = [("retry-after", "0"), ("location", "/elsewhere")];
            let server = http(move |_| Some(answer(status, &headers, "what was\nwrong"))).await;
            let reason = reason(export_once(&http_config(server.address)).await);
            assert_contains(&reason, part);
            assert_eq!(server.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn the_servers_message_is_read_from_its_status_and_redacted() {
    bounded(async {
        // google.rpc.Status { message: "no tenant for s3cret" }
        let status = b"\x12\x14no tenant for s3cret";
        let headers = [("content-type", "application/x-protobuf")];
        let server = http(move |_| Some(answer(401, &headers, &status[..]))).await;
        let mut config = http_config(server.address);
        config.headers = vec![header("authorization", "Bearer s3cret")];
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "HTTP 401 Unauthorized: no tenant for [redacted]");
        assert!(!reason.contains("s3cret"), "{reason}");
    })
    .await;
}

#[tokio::test]
async fn the_reason_is_bounded() {
    bounded(async {
        let server = http(|_| Some(answer(400, &[], "long ".repeat(100_000)))).await;
        let reason = reason(export_once(&http_config(server.address)).await);
        assert!(reason.chars().count() < 400, "{}", reason.len());
    })
    .await;
}

#[tokio::test]
async fn the_deadline_is_kept_and_the_request_cancelled() {
    bounded(async {
        let server = http(|_| None).await;
        let mut config = http_config(server.address);
        config.timeout = Duration::from_millis(200);
        let started = Instant::now();
        let reason = reason(export_once(&config).await);
        assert_contains(&reason, "no answer in time (timeout 200ms)");
        assert!(started.elapsed() >= config.timeout);
        assert!(started.elapsed() < Duration::from_secs(10));
        server.has_abandoned(1).await;
    })
    .await;
}

#[tokio::test]
async fn a_retry_that_would_miss_the_deadline_is_not_waited_for() {
    bounded(async {
        let server = http(|_| Some(answer(503, &[("retry-after", "3600")], "busy"))).await;
        let reason = reason(export_once(&http_config(server.address)).await);
        assert_contains(&reason, "HTTP 503 Service Unavailable: busy");
        assert_eq!(server.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_stops_retrying_ends_the_wait_for_the_next_attempt() {
    bounded(async {
        let server = http(|_| Some(answer(503, &[("retry-after", "3600")], "busy"))).await;
        let mut config = http_config(server.address);
        config.timeout = Duration::from_secs(7200);
        let client = Client::new(&config).unwrap();
        let (outcome, ()) = tokio::join!(export(&client), async {
            while server.count() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            client.close();
        });
        assert_contains(&reason(outcome), "HTTP 503 Service Unavailable: busy");
        assert_contains(&reason(export(&client).await), "HTTP 503 Service Unavailable: busy");
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    bounded(async {
        let mut config = http_config(closed_port().await);
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
        let export = tokio::spawn(async move { export_once(&http_config(address)).await });
        drop(listener.accept().await.unwrap());
        let server = http_on(listener, |_| Some(answer(200, &[], "")));
        assert_eq!(export.await.unwrap(), delivered());
        assert_eq!(server.received()[0].message, encoded());
    })
    .await;
}

#[tokio::test]
async fn shutdown_interrupts_the_wait_for_a_retry() {
    bounded(async {
        let server = http(|_| Some(answer(503, &[("retry-after", "3600")], ""))).await;
        let mut config = http_config(server.address);
        config.timeout = Duration::from_secs(36_000);
        let client = Client::new(&config).unwrap();
        let (shutdown, no_retry) = watch::channel(false);
        let (outcome, ()) = tokio::join!(client.export(encoded(), &no_retry), async {
            server.has_received(1).await;
            shutdown.send_replace(true);
        });
        assert_contains(&reason(outcome), "HTTP 503");
        assert_eq!(server.count(), 1);

        // The first attempt is still made.
        assert_contains(&reason(client.export(encoded(), &no_retry).await), "HTTP 503");
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn dropping_the_future_cancels_the_request() {
    bounded(async {
        let server = http(|_| None).await;
        let client = Client::new(&http_config(server.address)).unwrap();
        tokio::select! {
            _ = export(&client) => panic!("there was no answer"),
            () = server.has_received(1) => {}
        }
        server.has_abandoned(1).await;
    })
    .await;
}

#[tokio::test]
async fn two_exports_at_once_have_a_connection_each_and_keep_it() {
    bounded(async {
        let server = http(|number| Some(answer(200, &[], if number % 2 == 0 { "" } else { "an answer" }))).await;
        let client = Client::new(&http_config(server.address)).unwrap();
        for _ in 0..3 {
            assert_eq!(tokio::join!(export(&client), export(&client)), (delivered(), delivered()));
        }
        let peers: std::collections::HashSet<SocketAddr> =
            server.received().iter().map(|received| received.peer).collect();
        assert_eq!((server.count(), peers.len()), (6, 2));
    })
    .await;
}

#[tokio::test]
async fn the_connection_is_kept_alive_and_replaced_after_a_restart() {
    bounded(async {
        let ok = |_| Some(answer(200, &[], ""));
        let server = http(ok).await;
        let client = Client::new(&http_config(server.address)).unwrap();
        assert_eq!(export(&client).await, delivered());
        assert_eq!(export(&client).await, delivered());
        let received = server.received();
        assert_eq!(received[0].peer, received[1].peer);

        let address = server.address;
        server.stop().await;
        let server = http_on(TcpListener::bind(address).await.unwrap(), ok);
        assert_eq!(export(&client).await, delivered());
        assert_eq!(server.count(), 1);
    })
    .await;
}
