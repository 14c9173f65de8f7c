//! Each mistake, made on purpose with a real peer, and the line that says what to change.

use std::convert::Infallible;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::certificates::{Authority, NAMES};
use super::collector::{answer, http, loopback};
use super::relay::Proxy;
use super::tls::{ONE_ATTEMPT, Secured, tls_config};
use super::*;

const HTTP_PROTOCOL: &str = "set OTEL_EXPORTER_OTLP_PROTOCOL to http/protobuf, or the endpoint to the receiver's port for \
                             gRPC, usually 4317";
const GRPC_PROTOCOL: &str =
    "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc, or the endpoint to the receiver's port for HTTP, usually 4318";

/// Names that libraries have for errors, as their Debug texts show them.
const LIBRARIES_WORDS: [&str; 6] =
    ["InvalidContentType", "OtherError", "CaUsedAsEndEntity", "received fatal alert", "relative URL", "FRAME_SIZE"];

/// The line about an export that fails.
async fn line(config: &ClientConfig) -> String {
    let config = ClientConfig { timeout: ONE_ATTEMPT, ..config.clone() };
    let (Outcome::Failed { reason, .. } | Outcome::TooLarge { reason, .. }) = export_once(&config).await else {
        panic!("the export fails")
    };
    for word in LIBRARIES_WORDS {
        assert!(!reason.contains(word), "{word:?} is in {reason:?}");
    }
    assert!(!reason.contains('\n'), "{reason}");
    reason
}

#[track_caller]
fn assert_says(line: &str, what: &str, remedy: &str) {
    assert_contains(line, &format!(" failed: {what}"));
    assert_contains(line, &format!("; {remedy}"));
}

/// A server of HTTP/1.1 alone. Others than hyper's answer what begins as HTTP/2; it closes the connection.
async fn http1_only() -> SocketAddr {
    let listener = loopback().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(async |_| Ok::<_, Infallible>(answer(404, &[], "")));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn another_protocol_than_the_servers() {
    bounded(async {
        let grpc = Willing::start(Protocol::Grpc).await;
        for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
            let what = "the server speaks HTTP/2, as gRPC does, and the protocol is HTTP";
            assert_says(&line(&config(protocol, grpc.address())).await, what, GRPC_PROTOCOL);
        }
        let remedy =
            "if this goes on, the port may be for TLS (begin the endpoint with https://) or for another protocol";
        assert_says(&line(&config(Protocol::Grpc, http1_only().await)).await, "connection lost: ", remedy);
        // A server of HTTP/2 that is none of gRPC.
        for (status, what) in
            [(200, "the answer has no grpc-status"), (404, "UNIMPLEMENTED (HTTP 404 Not Found, not a")]
        {
            let server = http(move |_| Some(answer(status, &[], ""))).await;
            assert_says(&line(&config(Protocol::Grpc, server.address)).await, what, HTTP_PROTOCOL);
        }
    })
    .await;
}

#[tokio::test]
async fn another_protocol_than_the_servers_over_tls() {
    bounded(async {
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let server = Secured::start(Protocol::Grpc, authority.server(&NAMES).server_config(None)).await;
        let said = line(&tls_config(Protocol::HttpProtobuf, server.address, &ca)).await;
        assert_says(&said, "the server speaks HTTP/2", GRPC_PROTOCOL);

        let (_keep, identity) = watch::channel(authority.server(&NAMES).server_config(None));
        let server = relay::tls(http1_only().await, identity).await;
        let said = line(&tls_config(Protocol::Grpc, server, &ca)).await;
        assert_says(
            &said,
            "connection lost: ",
            "if this goes on, the server may want a client certificate (OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        );

        // A server that asks for its protocol by name.
        let mut only_h2 = (*authority.server(&NAMES).server_config(None)).clone();
        only_h2.alpn_protocols = vec![b"h2".to_vec()];
        let server = Secured::start(Protocol::Grpc, only_h2.into()).await;
        let said = line(&tls_config(Protocol::HttpProtobuf, server.address, &ca)).await;
        assert_contains(&said, "the server's port for TLS is not for this protocol: set OTEL_EXPORTER_OTLP_PROTOCOL");
    })
    .await;
}

#[tokio::test]
async fn tls_on_one_side_alone() {
    bounded(async {
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        for protocol in PROTOCOLS {
            let secured = Secured::start(protocol, authority.server(&NAMES).server_config(None)).await;
            let said = line(&config(protocol, secured.address)).await;
            let what = "the server speaks TLS, and the endpoint says plaintext";
            assert_says(&said, what, "begin the endpoint with https://");

            let plain = Willing::start(protocol).await;
            let said = line(&tls_config(protocol, plain.address(), &ca)).await;
            assert_says(
                &said,
                "the server speaks no TLS, and the endpoint says https",
                "begin the endpoint with http://",
            );
        }
    })
    .await;
}

/// What Go's HTTPS servers and nginx answer in plain HTTP; the other way to say it is an alert of TLS.
#[tokio::test]
async fn plain_http_to_https_in_the_servers_words() {
    bounded(async {
        for words in
            ["Client sent an HTTP request to an HTTPS server.", "The plain HTTP request was sent to HTTPS port"]
        {
            let server = http(move |_| Some(answer(400, &[], words))).await;
            let said = line(&config(Protocol::HttpProtobuf, server.address)).await;
            assert_says(&said, &format!("HTTP 400 Bad Request: {words}"), "begin the endpoint with https://");
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_closes_without_a_word() {
    bounded(async {
        for protocol in PROTOCOLS {
            let server = fault::FaultServer::start(protocol, vec![vec![fault::Read]; 20], None).await;
            let said = line(&config(protocol, server.address)).await;
            let remedy =
                "if this goes on, the port may be for TLS (begin the endpoint with https://) or for another protocol";
            assert_says(&said, "connection lost: ", remedy);
        }
    })
    .await;
}

#[tokio::test]
async fn a_clients_certificate_that_is_missing_or_refused() {
    bounded(async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        for protocol in PROTOCOLS {
            let server = Secured::start(protocol, authority.server(&NAMES).server_config(Some(&authority))).await;
            let mut config = tls_config(protocol, server.address, &ca);
            let missing = "the server wants a client certificate: set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and \
                           OTEL_EXPORTER_OTLP_CLIENT_KEY";
            assert_contains(&line(&config).await, missing);
            for (name, client, what) in [
                (
                    "unknown",
                    stranger.client(),
                    "it does not trust its issuer; set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE to one that the server's \
                     authority has signed",
                ),
                (
                    "expired",
                    authority.expired(),
                    "it has expired; put a new one into OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                ),
            ] {
                config.tls.client_certificate_file = Some(folder.write(&format!("{name}.pem"), &client.certificate));
                config.tls.client_key_file = Some(folder.write(&format!("{name}.key"), &client.key));
                let said = line(&config).await;
                assert_contains(&said, &format!("the server refuses the client's certificate: {what}"));
                assert_contains(&said, &format!("; it is in {}", folder.path(&format!("{name}.pem")).display()));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn statuses_that_refuse() {
    bounded(async {
        let credentials =
            "credentials that the receiver takes in OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer";
        let right =
            "give the credentials in OTEL_EXPORTER_OTLP_HEADERS, such as authorization=Bearer%20TOKEN, the right to";
        let less = "raise the receiver's limit, or send less, as by OTEL_TRACES_SAMPLER=parentbased_traceidratio";
        let smaller = "raise the receiver's limit, or lower OTEL_RS_EXPORTER_MAX_REQUEST_BYTES";
        for (status, what, remedy) in [
            (
                308,
                "HTTP 308 Permanent Redirect (redirects are not followed)",
                "set the endpoint to the address that it",
            ),
            (400, "HTTP 400 Bad Request: no", "check that the endpoint is an OTLP receiver of traces"),
            (401, "HTTP 401 Unauthorized: no", &format!("set {credentials}")),
            (403, "HTTP 403 Forbidden: no", right),
            (404, "HTTP 404 Not Found: no", "check the path, and that the endpoint is an OTLP/HTTP receiver of traces"),
            (
                405,
                "HTTP 405 Method Not Allowed: no",
                "check the path, and that the endpoint is an OTLP/HTTP receiver of",
            ),
            (413, "HTTP 413 Payload Too Large: no", smaller),
            (415, "HTTP 415 Unsupported Media Type: no", "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc if the port"),
            (429, "HTTP 429 Too Many Requests: no", less),
            (500, "HTTP 500 Internal Server Error: no", "the receiver's own log says more"),
        ] {
            let server = http(move |_| Some(answer(status, &[], "no"))).await;
            assert_says(&line(&config(Protocol::HttpProtobuf, server.address)).await, what, remedy);
        }
        for (code, remedy) in [
            (tonic::Code::Unauthenticated, &*format!("set {credentials}")),
            (tonic::Code::PermissionDenied, right),
            (
                tonic::Code::Unimplemented,
                "check that the endpoint is the port for gRPC, usually 4317, of a receiver of traces; if",
            ),
            (tonic::Code::ResourceExhausted, less),
            (tonic::Code::Internal, "the receiver's own log says more"),
        ] {
            let server = collector::grpc(move |_| Some(Err(tonic::Status::new(code, "no")))).await;
            let what = format!("{}: no", super::super::grpc_codes::name(code));
            assert_says(&line(&config(Protocol::Grpc, server.address)).await, &what, remedy);
        }
        let server = collector::grpc(|_| Some(Err(tonic::Status::out_of_range("message length too large")))).await;
        assert_says(&line(&config(Protocol::Grpc, server.address)).await, "OUT_OF_RANGE: message length", smaller);
    })
    .await;
}

#[tokio::test]
async fn paths_that_are_missing_or_doubled() {
    bounded(async {
        let server = http(|_| Some(answer(404, &[], ""))).await;
        let origin = format!("http://{}", server.address);
        let missing = "write the path, usually /v1/traces, into OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, which is used as it is, \
                       or set OTEL_EXPORTER_OTLP_ENDPOINT instead, behind which it is put";
        let doubled = "write OTEL_EXPORTER_OTLP_ENDPOINT without /v1/traces: /v1/traces is put behind it";
        for (path, remedy) in [("", missing), ("/otlp", missing), ("/v1/traces/v1/traces", doubled)] {
            let mut config = config(Protocol::HttpProtobuf, server.address);
            config.endpoint = format!("{origin}{path}");
            assert_says(&line(&config).await, "HTTP 404 Not Found", remedy);
        }
    })
    .await;
}

#[tokio::test]
async fn content_that_the_server_does_not_take() {
    bounded(async {
        let server = http(|_| Some(answer(415, &[], ""))).await;
        let mut config = config(Protocol::HttpJson, server.address);
        let what = "HTTP 415 Unsupported Media Type";
        assert_says(
            &line(&config).await,
            what,
            "set OTEL_EXPORTER_OTLP_PROTOCOL to grpc if the port is for it, as 4317 usually is, else to http/protobuf",
        );
        config.compression = Compression::Gzip;
        assert_says(
            &line(&config).await,
            what,
            "set OTEL_EXPORTER_OTLP_COMPRESSION to none; if that is not it, set OTEL_",
        );
    })
    .await;
}

#[tokio::test]
async fn hosts_that_are_unknown_or_refuse() {
    bounded(async {
        for (protocol, port) in [(Protocol::Grpc, 4317), (Protocol::HttpProtobuf, 4318), (Protocol::HttpJson, 4318)] {
            let mut config = config(protocol, closed_port().await);
            let remedy = format!(
                "start a receiver there, or set OTEL_EXPORTER_OTLP_ENDPOINT to where one listens, usually at port {port}; in \
                 a container, localhost is the container itself"
            );
            assert_says(&line(&config).await, "cannot connect: Connection refused", &remedy);
            config.endpoint = "http://nowhere.invalid:1/v1/traces".to_owned();
            let what = "cannot resolve the name nowhere.invalid: ";
            assert_says(&line(&config).await, what, "check the host in the endpoint, and whether this machine or container");
        }
        let silent = fault::FaultServer::start(Protocol::Grpc, vec![vec![fault::Hang]; 9], None).await;
        let said = line(&config(Protocol::Grpc, silent.address)).await;
        assert_says(&said, "no answer in time (timeout 700ms)", "check host and port of the endpoint, and firewalls");
    })
    .await;
}

#[tokio::test]
async fn proxies_that_refuse() {
    bounded(async {
        for protocol in PROTOCOLS {
            let mut config = config(protocol, closed_port().await);
            config.endpoint = "https://collector.invalid:1/v1/traces".to_owned();
            for (status, remedy) in [
                (407, "write user and password into the proxy's address: http://USER:PASSWORD@127.0.0.1:"),
                (403, "let the proxy allow collector.invalid, or go without it by no_proxy=collector.invalid"),
            ] {
                let proxy = Proxy::start(closed_port().await, status).await;
                config.proxy = Some(format!("http://user:pa55word@{}", proxy.address));
                let what = format!("the proxy {} refuses the way to collector.invalid:1: HTTP {status}", proxy.address);
                let said = line(&config).await;
                assert_says(&said, &what, remedy);
                assert!(!said.contains("pa55word"), "{said}");
            }
            let nobody = closed_port().await;
            config.proxy = Some(format!("http://{nobody}"));
            let what = format!("cannot connect to the proxy {nobody}: Connection refused");
            assert_says(
                &line(&config).await,
                &what,
                &format!("start the proxy at {nobody}, or go without it by no_proxy="),
            );
            config.proxy = Some("http://nowhere.invalid:3128".to_owned());
            let what = "cannot resolve the name nowhere.invalid: ";
            assert_says(&line(&config).await, what, "check the host in the proxy's address");
        }
    })
    .await;
}
