//! Endpoints that are more than one name: lists of servers, and IPv6 addresses with a zone.

use super::*;

#[tokio::test]
async fn grpc_goes_on_to_the_next_server_of_a_list() {
    bounded(async {
        let server = Willing::start(Protocol::Grpc).await;
        let mut config = config(Protocol::Grpc, server.address());
        config.endpoint = format!("http://{},{}", closed_port().await, server.address());
        let client = Client::new(&config).unwrap();
        assert_contains(client.label(), &format!("to {}", config.endpoint));
        for _ in 0..2 {
            assert_eq!(export(&client).await, delivered());
        }
        assert_eq!(server.count(), 2);
    })
    .await;
}

#[tokio::test]
async fn names_of_a_list_that_are_not_known_do_not_hide_the_others() {
    bounded(async {
        let server = Willing::start(Protocol::Grpc).await;
        let mut config = config(Protocol::Grpc, server.address());
        config.endpoint = format!("http://nobody.invalid:1,{}", server.address());
        assert_eq!(export_once(&config).await, delivered());
    })
    .await;
}

#[test]
fn http_knows_no_lists() {
    let mut config = config(Protocol::HttpProtobuf, ([127, 0, 0, 1], 1).into());
    config.endpoint = "http://127.0.0.1:1,127.0.0.1:2/v1/traces".to_owned();
    assert_contains(&Client::new(&config).unwrap_err().to_string(), "invalid port number");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_address_of_a_link_is_reached_by_its_zone() {
    bounded(async {
        // Most machines have one; some containers have not.
        let Some(address) = link_local() else { return };
        for protocol in PROTOCOLS {
            let listener = TcpListener::bind(address).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = Willing::on(listener, protocol);
            let mut config = config(protocol, server.address());
            for percent in ["%", "%25"] {
                let host = format!("[{}{percent}{}]:{port}", address.ip(), address.scope_id());
                config.endpoint = config.endpoint.replace(&server.address().to_string(), &host);
                assert_eq!(export_once(&config).await, delivered(), "{host}");
            }
        }
    })
    .await;
}

/// As Linux lists it: the address, the interface's number and length of the prefix, and the scope.
#[cfg(target_os = "linux")]
fn link_local() -> Option<std::net::SocketAddrV6> {
    let list = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    let mut addresses = list.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?.into();
        let scope = u32::from_str_radix(fields.next()?, 16).ok()?;
        Some(std::net::SocketAddrV6::new(address, 0, 0, scope))
    });
    addresses.find(|address| address.ip().is_unicast_link_local())
}
