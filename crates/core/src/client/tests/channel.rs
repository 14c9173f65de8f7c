//! Connections that come and go: several addresses, moved names, GOAWAY, idle connections.

use std::time::Instant;

use super::fault::*;
use super::*;

/// Less than the shortest backoff: the attempt was made at once.
const AT_ONCE: Duration = Duration::from_millis(700);

/// An endpoint by a name of its own for each protocol.
fn named(protocol: Protocol, name: &str, addresses: &[SocketAddr]) -> ClientConfig {
    let name = name_for(protocol, name);
    names::set(&name, addresses);
    let mut config = config(protocol, ([127, 0, 0, 1], 4317).into());
    config.endpoint = config.endpoint.replace("127.0.0.1", &name);
    config
}

fn name_for(protocol: Protocol, name: &str) -> String {
    format!("{}-{name}", protocol.name().replace('/', "-"))
}

async fn servers(protocol: Protocol, count: usize) -> Vec<Willing> {
    let mut servers = Vec::new();
    for _ in 0..count {
        servers.push(Willing::start(protocol).await);
    }
    servers
}

fn addresses(servers: &[Willing]) -> Vec<SocketAddr> {
    servers.iter().map(Willing::address).collect()
}

#[tokio::test]
async fn grpc_calls_are_spread_over_all_addresses_of_a_name() {
    bounded(async {
        let servers = servers(Protocol::Grpc, 3).await;
        let client = Client::new(&named(Protocol::Grpc, "three.test", &addresses(&servers))).unwrap();
        for _ in 0..6 {
            assert_eq!(export(&client).await, delivered());
        }
        assert_eq!(servers.iter().map(Willing::count).collect::<Vec<_>>(), [2, 2, 2]);
    })
    .await;
}

#[tokio::test]
async fn http_requests_stay_with_the_address_that_answers() {
    bounded(async {
        let protocol = Protocol::HttpProtobuf;
        let servers = servers(protocol, 2).await;
        let mut addresses = addresses(&servers);
        addresses.insert(0, closed_port().await);
        let client = Client::new(&named(protocol, "first.test", &addresses)).unwrap();
        for _ in 0..4 {
            assert_eq!(export(&client).await, delivered());
        }
        assert_eq!(servers.iter().map(Willing::count).collect::<Vec<_>>(), [4, 0]);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_passed_over() {
    bounded(async {
        for protocol in PROTOCOLS {
            let servers = servers(protocol, 2).await;
            let mut addresses = addresses(&servers);
            addresses.insert(1, closed_port().await);
            let client = Client::new(&named(protocol, "gap.test", &addresses)).unwrap();
            let started = Instant::now();
            for _ in 0..6 {
                assert_eq!(export(&client).await, delivered());
            }
            assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
            assert_eq!(servers.iter().map(Willing::count).sum::<usize>(), 6);
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_that_hangs_leaves_time_for_the_others() {
    bounded(async {
        let authority = certificates::Authority::new();
        let names = PROTOCOLS.map(|protocol| name_for(protocol, "silent.test"));
        let identity = authority.server(&names.each_ref().map(String::as_str));
        let (_keep, identity) = watch::channel(identity.server_config(None));
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        for protocol in PROTOCOLS {
            // It takes connections, and never answers TLS's first words.
            let hanging = FaultServer::start(protocol, vec![vec![Hang]; 5], None).await;
            let server = Willing::start(protocol).await;
            let secured = relay::tls(server.address(), identity.clone()).await;
            let mut config = named(protocol, "silent.test", &[hanging.address, secured]);
            config.endpoint = config.endpoint.replace("http://", "https://");
            config.tls.trusted = vec![trusted(&ca)];
            config.timeout = Duration::from_secs(2);
            assert_eq!(export_once(&config).await, delivered());
            assert_eq!(server.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_has_moved_is_looked_up_again() {
    bounded(async {
        for protocol in PROTOCOLS {
            let old = Willing::start(protocol).await;
            let new = Willing::start(protocol).await;
            let client = Client::new(&named(protocol, "moved.test", &[old.address()])).unwrap();
            assert_eq!(export(&client).await, delivered());
            names::set(&name_for(protocol, "moved.test"), &[new.address()]);
            old.stop().await;
            assert_eq!(export(&client).await, delivered());
            assert_eq!(new.count(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_has_moved_while_its_old_server_hangs_costs_one_export() {
    bounded(async {
        for protocol in PROTOCOLS {
            let hanging = FaultServer::start(protocol, vec![vec![Hang]; 5], None).await;
            let new = Willing::start(protocol).await;
            let mut config = named(protocol, "hung.test", &[hanging.address]);
            config.timeout = Duration::from_millis(300);
            let client = Client::new(&config).unwrap();
            assert_contains(&reason(export(&client).await), "no answer in time");
            names::set(&name_for(protocol, "hung.test"), &[new.address()]);
            assert_eq!(export(&client).await, delivered());
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_without_addresses_says_so() {
    bounded(async {
        for protocol in PROTOCOLS {
            let mut config = named(protocol, "nowhere.test", &[]);
            config.timeout = Duration::from_millis(300);
            assert_contains(&reason(export_once(&config).await), "cannot resolve the name: it has no addresses");
        }
    })
    .await;
}

#[tokio::test]
async fn ipv6_literals_are_addresses() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
    bounded(async {
        for protocol in PROTOCOLS {
            let listener = match protocol {
                Protocol::Grpc => TcpListener::bind("[::1]:0").await.unwrap(),
                _ => TcpListener::bind("[::1]:0").await.unwrap(),
            };
            let server = Willing::on(listener, protocol);
            assert_eq!(export_once(&config(protocol, server.address())).await, delivered());
        }
        drop(listener);
    })
    .await;
}

/// After a first export over a connection that then does `script`, the second one is delivered at once by a new one.
async fn second_export_is_delivered_at_once(protocol: Protocol, script: Vec<Step>) {
    let willing = Willing::start(protocol).await;
    let first = vec![Read, Send(success(protocol, 0))];
    let server = FaultServer::start(protocol, vec![[first, script].concat()], Some(willing.address())).await;
    let client = Client::new(&config(protocol, server.address)).unwrap();
    assert_eq!(export(&client).await, delivered());
    let started = Instant::now();
    assert_eq!(export(&client).await, delivered());
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    assert_eq!(willing.count(), 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced_at_once() {
    for protocol in PROTOCOLS {
        // Closed before the request, or only when it has arrived.
        for script in [vec![], vec![Reset], vec![Read], vec![Read, Reset]] {
            bounded(second_export_is_delivered_at_once(protocol, script)).await;
        }
    }
}

#[tokio::test]
async fn several_idle_connections_that_were_closed_cost_one_attempt() {
    bounded(async {
        let protocol = Protocol::HttpProtobuf;
        let willing = Willing::start(protocol).await;
        // Both are idle, and each is closed only when the next request has arrived.
        let script = vec![Read, Send(success(protocol, 0)), Read];
        let server = FaultServer::start(protocol, vec![script; 2], Some(willing.address())).await;
        let client = Client::new(&config(protocol, server.address)).unwrap();
        let both = tokio::join!(export(&client), export(&client));
        assert_eq!(both, (delivered(), delivered()));
        assert_eq!(server.connections(), 2);
        let started = Instant::now();
        assert_eq!(export(&client).await, delivered());
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        assert_eq!((willing.count(), server.connections()), (1, 3));
    })
    .await;
}

#[tokio::test]
async fn several_idle_connections_whose_server_hangs_cost_one_export() {
    bounded(async {
        let protocol = Protocol::HttpProtobuf;
        let willing = Willing::start(protocol).await;
        let script = vec![Read, Send(success(protocol, 0)), Read, Hang];
        let server = FaultServer::start(protocol, vec![script; 2], Some(willing.address())).await;
        let mut config = config(protocol, server.address);
        config.timeout = Duration::from_millis(300);
        let client = Client::new(&config).unwrap();
        let both = tokio::join!(export(&client), export(&client));
        assert_eq!(both, (delivered(), delivered()));
        assert_contains(&reason(export(&client).await), "no answer in time");
        assert_eq!(export(&client).await, delivered());
        assert_eq!((willing.count(), server.connections()), (1, 3));
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_replaced_at_once_even_during_a_shutdown() {
    bounded(async {
        for protocol in PROTOCOLS {
            let willing = Willing::start(protocol).await;
            let script = vec![Read, Send(success(protocol, 0)), Read];
            let server = FaultServer::start(protocol, vec![script], Some(willing.address())).await;
            let client = Client::new(&config(protocol, server.address)).unwrap();
            assert_eq!(export(&client).await, delivered());
            let (_shutdown, no_retry) = watch::channel(true);
            assert_eq!(client.export(encoded(), &no_retry).await, delivered());
        }
    })
    .await;
}

#[tokio::test]
async fn goaway_before_the_request_or_across_it_costs_no_backoff() {
    // Across: the server has gone without looking at the request, which was on its way.
    for script in [
        vec![Send(goaway(1, NO_ERROR))],
        vec![Read, Send(goaway(1, NO_ERROR))],
        vec![Read, Send(goaway(1, NO_ERROR)), Hang],
    ] {
        bounded(second_export_is_delivered_at_once(Protocol::Grpc, script)).await;
    }
}

#[tokio::test]
async fn goaway_to_the_first_request_costs_no_backoff() {
    bounded(async {
        let willing = Willing::start(Protocol::Grpc).await;
        let script = vec![Read, Send([settings(), goaway(0, NO_ERROR)].concat()), Hang];
        let server = FaultServer::start(Protocol::Grpc, vec![script], Some(willing.address())).await;
        let started = Instant::now();
        assert_eq!(export_once(&config(Protocol::Grpc, server.address)).await, delivered());
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn an_answer_after_goaway_counts() {
    bounded(async {
        let answer = [settings(), goaway(1, NO_ERROR), answer_begins(1), data(1, &[0; 5]), trailers(1, "0")].concat();
        let server = FaultServer::start(Protocol::Grpc, vec![vec![Read, Send(answer)]], None).await;
        assert_eq!(export_once(&config(Protocol::Grpc, server.address)).await, delivered());
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_refused_stream_is_tried_again_at_once_on_the_same_connection() {
    bounded(async {
        let refusal = [settings(), reset_stream(1, REFUSED_STREAM)].concat();
        let script = vec![Read, Send(refusal), Read, Send(success(Protocol::Grpc, 1)), Hang];
        let server = FaultServer::start(Protocol::Grpc, vec![script], None).await;
        let started = Instant::now();
        assert_eq!(export_once(&config(Protocol::Grpc, server.address)).await, delivered());
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_stream_reset_for_another_reason_is_retried_after_a_backoff() {
    bounded(async {
        let reset = [settings(), reset_stream(1, CANCEL)].concat();
        let script = vec![Read, Send(reset), Read, Send(success(Protocol::Grpc, 1)), Hang];
        let server = FaultServer::start(Protocol::Grpc, vec![script], None).await;
        let started = Instant::now();
        assert_eq!(export_once(&config(Protocol::Grpc, server.address)).await, delivered());
        assert!(started.elapsed() >= AT_ONCE, "{:?}", started.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    bounded(async {
        for protocol in PROTOCOLS {
            let server = Willing::start(protocol).await;
            let address = server.address();
            let client = Client::new(&config(protocol, address)).unwrap();
            assert_eq!(export(&client).await, delivered());
            server.stop().await;
            // It is away for a while: the first attempts are refused.
            let (outcome, server) = tokio::join!(export(&client), async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Willing::on(TcpListener::bind(address).await.unwrap(), protocol)
            });
            assert_eq!(outcome, delivered());
            assert_eq!(server.count(), 1);
        }
    })
    .await;
}
