//! HTTP proxies named by the environment, each test's client in a process of its own.

use super::relay::Proxy;
use super::*;

const USER: &str = "Basic dXNlcjpwYTU1d29yZA==";

/// No resolver knows these names: only the proxy can.
fn child_config(protocol: Protocol) -> ClientConfig {
    let mut config = config(protocol, ([127, 0, 0, 1], 1).into());
    config.endpoint = match protocol {
        Protocol::Grpc => "http://collector.invalid:4317".to_owned(),
        _ => "http://collector.invalid:4318/v1/traces".to_owned(),
    };
    config
}

fn with_credentials(proxy: &Proxy) -> String {
    format!("http://user:pa55word@{}", proxy.address)
}

#[tokio::test]
async fn grpc_calls_go_through_a_tunnel() {
    let config = child_config(Protocol::Grpc);
    if is_child() {
        return assert_eq!(export_once(&config).await, delivered());
    }
    bounded(async {
        let server = Willing::start(Protocol::Grpc).await;
        for variable in ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"] {
            let proxy = Proxy::start(server.address(), 200).await;
            let test = "client::tests::proxy::grpc_calls_go_through_a_tunnel";
            in_a_process_with(test, &[(variable, with_credentials(&proxy)), ("no_proxy", String::new())]).await;
            let head = &proxy.heads()[0];
            assert!(head.starts_with("CONNECT collector.invalid:4317 HTTP/1.1\r\n"), "{head}");
            assert_contains(head, &format!("Proxy-Authorization: {USER}\r\n"));
        }
        assert_eq!(server.count(), 4);
    })
    .await;
}

#[tokio::test]
async fn http_requests_go_to_the_proxy() {
    if is_child() {
        let client = Client::new(&child_config(Protocol::HttpProtobuf)).unwrap();
        assert_eq!(export(&client).await, delivered());
        return assert_eq!(export(&client).await, delivered());
    }
    bounded(async {
        let server = Willing::start(Protocol::HttpProtobuf).await;
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            let proxy = Proxy::start(server.address(), 200).await;
            let test = "client::tests::proxy::http_requests_go_to_the_proxy";
            in_a_process_with(test, &[(variable, with_credentials(&proxy)), ("no_proxy", String::new())]).await;
            let heads = proxy.heads();
            assert_eq!(heads.len(), 1, "one connection for both requests");
            let head = &heads[0];
            assert!(head.starts_with("POST http://collector.invalid:4318/v1/traces HTTP/1.1\r\n"), "{head}");
            let head = head.to_lowercase();
            assert_contains(&head, &format!("proxy-authorization: {USER}\r\n").to_lowercase());
            assert_contains(&head, "host: collector.invalid:4318\r\n");
        }
        assert_eq!(server.count(), 8);
    })
    .await;
}

#[tokio::test]
async fn a_proxy_may_itself_be_reached_over_tls() {
    const TEST: &str = "client::tests::proxy::a_proxy_may_itself_be_reached_over_tls";
    if is_child() {
        let mut config = child_config(Protocol::HttpProtobuf);
        config.tls.trusted = vec![trusted(std::env::var_os("TEST_CA").unwrap())];
        assert_eq!(export_once(&config).await, delivered());
        config.endpoint = config.endpoint.replace("http://", "https://");
        assert_eq!(export_once(&config).await, delivered());
        let mut config = child_config(Protocol::Grpc);
        config.tls.trusted = vec![trusted(std::env::var_os("TEST_CA").unwrap())];
        return assert_eq!(export_once(&config).await, delivered());
    }
    bounded(async {
        let authority = certificates::Authority::new();
        let identity = |name| watch::channel(authority.server(&[name]).server_config(None));
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem()).display().to_string();
        let server = Willing::start(Protocol::HttpProtobuf).await;
        let (_keep, servers) = identity("collector.invalid");
        let (_keep_too, proxys) = identity("localhost");
        let plain = Proxy::start(server.address(), 200).await;
        let tunnel = Proxy::start(relay::tls(server.address(), servers).await, 200).await;
        let grpc = Willing::start(Protocol::Grpc).await;
        let grpc_tunnel = Proxy::start(grpc.address(), 200).await;
        let address = async |proxy: &Proxy| {
            let tls = relay::tls(proxy.address, proxys.clone()).await;
            format!("https://user:pa55word@localhost:{}", tls.port())
        };
        let variables = [
            ("http_proxy", address(&plain).await),
            ("https_proxy", address(&tunnel).await),
            ("grpc_proxy", address(&grpc_tunnel).await),
            ("no_proxy", String::new()),
            ("TEST_CA", ca),
        ];
        in_a_process_with(TEST, &variables).await;
        assert_eq!((server.count(), grpc.count()), (2, 1));
        assert!(plain.heads()[0].starts_with("POST http://collector.invalid:4318/v1/traces HTTP/1.1\r\n"));
        assert!(tunnel.heads()[0].starts_with("CONNECT collector.invalid:4318 HTTP/1.1\r\n"));
        assert!(grpc_tunnel.heads()[0].starts_with("CONNECT collector.invalid:4317 HTTP/1.1\r\n"));
    })
    .await;
}

#[tokio::test]
async fn no_proxy_is_heeded() {
    if is_child() {
        for protocol in PROTOCOLS {
            // The proxy's own address, which is a server's: reached without the proxy.
            let variable = if protocol == Protocol::Grpc { "TEST_GRPC" } else { "TEST_HTTP" };
            let address = std::env::var(variable).unwrap().parse().unwrap();
            assert_eq!(export_once(&config(protocol, address)).await, delivered());
        }
        return;
    }
    bounded(async {
        let grpc = Willing::start(Protocol::Grpc).await;
        let http = Willing::start(Protocol::HttpProtobuf).await;
        let dead = format!("http://{}", closed_port().await);
        let test = "client::tests::proxy::no_proxy_is_heeded";
        let variables = [
            ("http_proxy", dead.clone()),
            ("https_proxy", dead),
            ("no_proxy", "elsewhere, 127.0.0.0/8".to_owned()),
            ("TEST_GRPC", grpc.address().to_string()),
            ("TEST_HTTP", http.address().to_string()),
        ];
        in_a_process_with(test, &variables).await;
        assert_eq!((grpc.count(), http.count()), (1, 2));
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_refuses_is_reported_without_its_credentials() {
    if is_child() {
        let mut config = child_config(Protocol::Grpc);
        config.timeout = Duration::from_millis(300);
        let shown = format!("{:?} {}", Client::new(&config).unwrap(), reason(export_once(&config).await));
        assert_contains(&shown, "refuses the way to collector.invalid:4317: HTTP 407");
        config.endpoint = "https://collector.invalid:4318/v1/traces".to_owned();
        config.protocol = Protocol::HttpProtobuf;
        let shown = shown + &format!("{:?} {}", Client::new(&config).unwrap(), reason(export_once(&config).await));
        assert_contains(&shown, "refuses the way to collector.invalid:4318: HTTP 407");
        assert!(!shown.contains("pa55") && !shown.contains("dXNlcjpw"), "{shown}");
        return;
    }
    bounded(async {
        let proxy = Proxy::start(closed_port().await, 407).await;
        let test = "client::tests::proxy::a_proxy_that_refuses_is_reported_without_its_credentials";
        in_a_process_with(test, &[("https_proxy", with_credentials(&proxy)), ("no_proxy", String::new())]).await;
        assert!(proxy.heads().len() >= 2);
    })
    .await;
}

#[tokio::test]
async fn tls_is_spoken_with_the_server_through_the_tunnel() {
    const TEST: &str = "client::tests::proxy::tls_is_spoken_with_the_server_through_the_tunnel";
    if is_child() {
        for protocol in PROTOCOLS {
            let mut config = child_config(protocol);
            config.endpoint = config.endpoint.replace("http://", "https://");
            config.tls.trusted = vec![trusted(std::env::var_os("TEST_CA").unwrap())];
            assert_eq!(export_once(&config).await, delivered());
        }
        return;
    }
    bounded(async {
        let authority = certificates::Authority::new();
        let identity = authority.server(&["collector.invalid"]);
        let (_keep, server_config) = watch::channel(identity.server_config(None));
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        // One server for both: it speaks HTTP/1 and HTTP/2, and gRPC looks at the trailers alone.
        let headers = [("content-type", "application/grpc"), ("grpc-status", "0")];
        let server = collector::http(move |_| Some(collector::answer(200, &headers, ""))).await;
        let tls = relay::tls(server.address, server_config).await;
        let proxy = Proxy::start(tls, 200).await;
        let variables = [
            ("https_proxy", with_credentials(&proxy)),
            ("no_proxy", String::new()),
            ("TEST_CA", ca.display().to_string()),
        ];
        in_a_process_with(TEST, &variables).await;
        assert_eq!(server.count(), 3);
        assert!(proxy.heads().iter().all(|head| head.starts_with("CONNECT collector.invalid:")));
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_fails_the_export_and_is_not_passed_by() {
    const TEST: &str = "client::tests::proxy::a_proxy_that_cannot_be_used_fails_the_export_and_is_not_passed_by";
    if is_child() {
        let address = |variable: &str| std::env::var(variable).unwrap().parse().unwrap();
        let over_http = reason(export_once(&config(Protocol::HttpProtobuf, address("TEST_HTTP"))).await);
        assert_contains(&over_http, "cannot connect: the proxy in http_proxy cannot be used: invalid");
        let over_grpc = reason(export_once(&config(Protocol::Grpc, address("TEST_GRPC"))).await);
        assert_contains(&over_grpc, "cannot connect: the proxy in grpc_proxy cannot be used: socks5 is not supported");
        assert!(!over_http.contains("pa55") && !over_grpc.contains("pa55"), "{over_http} {over_grpc}");
        return;
    }
    bounded(async {
        let (http, grpc) = (Willing::start(Protocol::HttpProtobuf).await, Willing::start(Protocol::Grpc).await);
        let variables = [
            ("http_proxy", "http://user:pa55 word@proxy host:3128".to_owned()),
            ("grpc_proxy", "socks5://user:pa55@127.0.0.1:1".to_owned()),
            ("no_proxy", String::new()),
            ("TEST_HTTP", http.address().to_string()),
            ("TEST_GRPC", grpc.address().to_string()),
        ];
        in_a_process_with(TEST, &variables).await;
        assert_eq!((http.count(), grpc.count()), (0, 0));
    })
    .await;
}
