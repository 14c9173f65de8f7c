//! What is refused before anything is sent, and what is never shown.

use super::*;

fn error(config: &ClientConfig) -> String {
    Client::new(config).expect_err("an invalid configuration").to_string()
}

fn any_address() -> SocketAddr {
    ([127, 0, 0, 1], 4317).into()
}

#[test]
fn an_invalid_endpoint_is_named_with_what_is_accepted() {
    for (protocol, accepted) in
        [(Protocol::Grpc, "unix:/path"), (Protocol::HttpProtobuf, "http://localhost:4318/v1/traces")]
    {
        for endpoint in ["", "localhost:4317", "ftp://host:1", "http://", "http://host:99999", "http://ho st"] {
            let mut config = config(protocol, any_address());
            config.endpoint = endpoint.to_owned();
            let error = error(&config);
            assert_contains(&error, &format!("endpoint is {endpoint:?}: "));
            assert_contains(&error, accepted);
            assert!(!error.contains("relative URL"), "{error}");
        }
    }
}

#[test]
fn a_client_is_made_outside_a_runtime() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        for endpoint in ["http://localhost:4317", "http://[::1]:4317/", "http://localhost"] {
            let mut config = config(protocol, any_address());
            config.endpoint = endpoint.to_owned();
            Client::new(&config).unwrap();
        }
    }
}

#[test]
fn an_invalid_header_is_named_without_its_value() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut config = config(protocol, any_address());
        config.headers = vec![header("x-api-key", "s3cret\nvalue")];
        let text = error(&config);
        assert_contains(&text, "\"x-api-key\"");
        assert!(!text.contains("s3cret"), "{text}");

        config.headers = vec![header("x api key", "s3cret")];
        let text = error(&config);
        assert_contains(&text, "\"x api key\"");
        assert!(!text.contains("s3cret"), "{text}");

        config.headers = Vec::new();
        config.user_agent = "bad\nagent".to_owned();
        assert_contains(&error(&config), "\"user-agent\"");
    }
}

#[test]
fn secrets_are_not_in_debug_output_or_errors() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut config = config(protocol, any_address());
        config.headers = vec![header("x-api-key", "s3cret")];
        config.endpoint = "http://host:4318/v1/traces?token=s3cret".to_owned();
        let shown = format!("{config:?} {:?}", Client::new(&config).unwrap());
        assert_contains(&shown, "x-api-key");
        assert_contains(&shown, "http://host:4318/v1/traces");
        assert!(!shown.contains("s3cret"), "{shown}");

        config.endpoint = "http://user:s3cret@ho st:4318".to_owned();
        let shown = format!("{config:?} {}", error(&config));
        assert_contains(&shown, "ho st:4318");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn grpc_refuses_user_info() {
    let mut config = config(Protocol::Grpc, any_address());
    config.endpoint = "http://user:s3cret@host:4317".to_owned();
    let error = error(&config);
    assert_contains(&error, "user info is not supported with gRPC");
    assert!(!error.contains("s3cret") && !error.contains("user:"), "{error}");
}

#[test]
fn an_export_may_be_spawned_on_any_runtime() {
    fn assert_send<T: Send>(_: T) {}
    fn assert_shareable<T: Send + Sync>(_: &T) {}
    let client = Client::new(&config(Protocol::Grpc, any_address())).unwrap();
    let (_shutdown, no_retry) = watch::channel(false);
    assert_shareable(&client);
    assert_send(client.export(Bytes::new(), &no_retry));
}
