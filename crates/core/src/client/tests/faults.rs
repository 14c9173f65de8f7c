//! Peers that are slow, broken or gone, over both protocols.

use std::future::Future;
use std::time::Instant;

use super::fault::*;
use super::*;

/// An export to a server that does that and nothing else.
async fn export_to(protocol: Protocol, timeout: Duration, script: Vec<Step>) -> (Outcome, Duration) {
    let server = FaultServer::start(protocol, vec![script; 20], None).await;
    let mut config = config(protocol, server.address);
    config.timeout = timeout;
    let started = Instant::now();
    let outcome = export_once(&config).await;
    (outcome, started.elapsed())
}

/// All protocols at once, since most of the time is spent waiting.
async fn with_each_protocol<F: Future<Output = ()>>(test: impl Fn(Protocol) -> F) {
    let [grpc, protobuf, json] = PROTOCOLS.map(test);
    bounded(async { tokio::join!(grpc, protobuf, json) }).await;
}

const SHORT: Duration = Duration::from_millis(400);
/// The deadline, and what a busy machine may add.
const AT_MOST: Duration = Duration::from_secs(5);

/// The same fault first, and then a willing server: the export is delivered all the same.
async fn is_survived(protocol: Protocol, script: Vec<Step>) {
    let willing = Willing::start(protocol).await;
    let server = FaultServer::start(protocol, vec![script], Some(willing.address())).await;
    assert_eq!(export_once(&config(protocol, server.address)).await, delivered());
    assert_eq!(willing.count(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_deadline() {
    with_each_protocol(async |protocol| {
        for script in [vec![Hang], vec![Read, Hang]] {
            let (outcome, elapsed) = export_to(protocol, SHORT, script).await;
            assert_contains(&reason(outcome), "no answer in time (timeout 400ms)");
            assert!((SHORT..AT_MOST).contains(&elapsed), "{elapsed:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_attempt_cut_off_by_the_deadline_does_not_hide_what_failed_before() {
    bounded(async {
        let busy = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".to_vec();
        let script = vec![Read, Send(busy), Read, Hang];
        let (outcome, _) = export_to(Protocol::HttpProtobuf, SHORT, script).await;
        let reason = reason(outcome);
        assert_contains(&reason, "HTTP 503 Service Unavailable (after 2 attempts)");
    })
    .await;
}

#[tokio::test]
async fn a_connection_closed_or_reset_is_reported_and_retried() {
    with_each_protocol(async |protocol| {
        for script in [vec![], vec![Reset], vec![Read], vec![Read, Reset]] {
            let (outcome, elapsed) = export_to(protocol, SHORT, script.clone()).await;
            let reason = reason(outcome);
            assert!(reason.contains("connection lost: ") || reason.contains("cannot connect: "), "{reason}");
            assert!(elapsed < AT_MOST, "{elapsed:?}");
            is_survived(protocol, script).await;
        }
    })
    .await;
}

#[tokio::test]
async fn garbage_is_reported_and_retried() {
    with_each_protocol(async |protocol| {
        for garbage in [b"\0\xff\xfe garbage \r\n\r\n".repeat(10), b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()] {
            let (outcome, elapsed) = export_to(protocol, SHORT, vec![Read, Send(garbage.clone())]).await;
            assert_contains(&reason(outcome), "connection lost");
            assert!(elapsed < AT_MOST, "{elapsed:?}");
            is_survived(protocol, vec![Read, Send(garbage)]).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_http1_server_is_no_grpc_server() {
    let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (outcome, elapsed) = bounded(export_to(Protocol::Grpc, SHORT, vec![Send(answer)])).await;
    assert_contains(&reason(outcome), "the server speaks HTTP/1.1, and gRPC is HTTP/2");
    assert!(elapsed < AT_MOST, "{elapsed:?}");
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_the_answer() {
    // The status line of HTTP has said that the data were taken; gRPC says so only at the end.
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc".to_vec();
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        for end in [vec![], vec![Reset]] {
            let script = [vec![Read, Send(half.clone())], end].concat();
            let (outcome, _) = bounded(export_to(protocol, SHORT, script)).await;
            assert_eq!(outcome, delivered());
        }
        bounded(is_survived(protocol, vec![Read, Send(b"HTTP/1.1 20".to_vec())])).await;
    }
    let half = [settings(), answer_begins(1), data(1, &[0, 0])].concat();
    for end in [vec![], vec![Reset]] {
        bounded(is_survived(Protocol::Grpc, [vec![Read, Send(half.clone())], end].concat())).await;
    }
}

#[tokio::test]
async fn an_answer_byte_by_byte_counts_if_it_is_in_time() {
    for protocol in PROTOCOLS {
        let answer = success(protocol, 0);
        let fast = vec![Read, Trickle(answer.clone(), Duration::from_millis(1))];
        let (outcome, _) = bounded(export_to(protocol, Duration::from_secs(15), fast)).await;
        assert_eq!(outcome, delivered());

        let (outcome, elapsed) =
            bounded(export_to(protocol, SHORT, vec![Read, Trickle(answer, Duration::from_millis(50))])).await;
        assert_contains(&reason(outcome), "no answer in time");
        assert!(elapsed < AT_MOST, "{elapsed:?}");
    }
}

#[tokio::test]
async fn a_failure_tells_its_cause() {
    with_each_protocol(async |protocol| {
        for script in [vec![Hang], vec![Read, Hang]] {
            assert_eq!(cause(export_to(protocol, SHORT, script).await.0), Cause::Timeout);
        }
        for script in [vec![], vec![Reset], vec![Read], vec![Read, Reset]] {
            assert_eq!(cause(export_to(protocol, SHORT, script).await.0), Cause::Connection);
        }
        let mut config = config(protocol, closed_port().await);
        config.timeout = SHORT;
        assert_eq!(cause(export_once(&config).await), Cause::Connection);
        config.endpoint = "http://nowhere.invalid:1/v1/traces".to_owned();
        assert_eq!(cause(export_once(&config).await), Cause::Connection);

        let refusals = match protocol {
            Protocol::Grpc => {
                let ended = |code| [settings(), answer_begins(1), trailers(1, code)].concat();
                [("3", "INVALID_ARGUMENT"), ("14", "UNAVAILABLE"), ("99", "UNKNOWN")]
                    .map(|(code, name)| (ended(code), Status::Grpc(name)))
            }
            Protocol::HttpProtobuf | Protocol::HttpJson => [400, 503, 413].map(|status| {
                let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n");
                (answer.into_bytes(), Status::Http(status))
            }),
        };
        for (answer, status) in refusals {
            let (outcome, _) = export_to(protocol, SHORT, vec![Read, Send(answer), Hang]).await;
            assert_eq!(cause(outcome), Cause::Status(status));
        }
    })
    .await;
}

#[tokio::test]
async fn an_endless_answer_ends() {
    let http = |head: &str| vec![Read, Send(head.as_bytes().to_vec()), Endless(vec![b'x'; 16384])];
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        // An endless body of a success is not worth reading; an endless head is no answer.
        let (outcome, _) = bounded(export_to(protocol, AT_MOST, http("HTTP/1.1 200 OK\r\n\r\n"))).await;
        assert_eq!(outcome, delivered());
        let (outcome, _) = bounded(export_to(protocol, AT_MOST, http("HTTP/1.1 400 Bad\r\n\r\n"))).await;
        assert_contains(&reason(outcome), "HTTP 400");
        let (outcome, elapsed) = bounded(export_to(protocol, SHORT, http("HTTP/1.1 200 OK\r\nx-endless: "))).await;
        reason(outcome);
        assert!(elapsed < AT_MOST, "{elapsed:?}");
    }
    let begin = [settings(), answer_begins(1)].concat();
    // No more than the client's window is sent at once; whatever it is, the answer has no end.
    for chunk in [data(1, &[0; 16384]), settings(), vec![0xff; 1024]] {
        let script = vec![Read, Send(begin.clone()), Endless(chunk)];
        let (outcome, elapsed) = bounded(export_to(Protocol::Grpc, SHORT, script)).await;
        reason(outcome);
        assert!(elapsed < AT_MOST, "{elapsed:?}");
    }
}

#[tokio::test]
async fn a_status_code_that_is_no_number_is_unknown() {
    let script = vec![Read, Send([settings(), answer_begins(1), trailers(1, "nonsense")].concat()), Hang];
    let (outcome, _) = bounded(export_to(Protocol::Grpc, AT_MOST, script)).await;
    assert_contains(&reason(outcome), "UNKNOWN");
}

#[tokio::test]
async fn a_content_type_that_lies_does_no_harm() {
    let answer = |status: &str, content_type: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        for (content_type, body) in [
            ("application/x-protobuf", r#"{"partialSuccess":{"rejectedSpans":"7"}}"#),
            ("application/json", "\x0a\x02\x08\x07"),
            ("text/html", "<html>"),
        ] {
            let (outcome, _) =
                bounded(export_to(protocol, AT_MOST, vec![Read, Send(answer("200 OK", content_type, body))])).await;
            assert_eq!(outcome, delivered());
        }
        let refusal = answer("400 Bad", "application/json", "not json");
        let (outcome, _) = bounded(export_to(protocol, AT_MOST, vec![Read, Send(refusal)])).await;
        assert_contains(&reason(outcome), "HTTP 400 Bad Request: not json");
    }
}
