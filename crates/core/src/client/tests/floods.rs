//! Peers that send without end: they cost their own exports, no longer than the timeout, and nothing else.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::certificates::{Authority, NAMES};
use super::fault::{FaultServer, Step};
use super::flood::Flood;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(1);

/// What a busy machine may add, to an export that ends at its timeout and to one that is delivered.
const LATE: Duration = Duration::from_secs(3);
const SLOW: Duration = Duration::from_secs(1);

/// A runtime like the product's, on a thread of its own until it is dropped.
struct Elsewhere {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Elsewhere {
    fn start() -> Elsewhere {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (_stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || runtime.block_on(stopped));
        Elsewhere { handle, _stop }
    }

    async fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.handle.spawn(task).await.unwrap()
    }
}

struct Hostile {
    name: &'static str,
    config: ClientConfig,
    server: FaultServer,
}

async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let started = Instant::now();
    (future.await, started.elapsed())
}

/// The longest of many exports to a healthy destination, one after the other.
async fn longest(exports: &Elsewhere, client: &Arc<Client>, mut more: impl FnMut(usize) -> bool) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in (0..).take_while(|count| more(*count)) {
        let client = Arc::clone(client);
        let (outcome, took) = exports.run(async move { timed(export(&client)).await }).await;
        assert_eq!(outcome, delivered());
        longest = longest.max(took);
    }
    longest
}

/// All at once: none of them is delivered, all end at their timeout at the latest, their connections are closed, and
/// a healthy destination of the same process has what it is sent as soon as usual.
async fn cost_only_their_own_exports(all: Vec<Hostile>) {
    let exports = Elsewhere::start();
    let healthy = Willing::start(Protocol::HttpProtobuf).await;
    let client = Arc::new(Client::new(&config(Protocol::HttpProtobuf, healthy.address())).unwrap());
    let usual = longest(&exports, &client, |count| count < 20).await;

    let mut under_way = JoinSet::new();
    for hostile in &all {
        let (name, config) = (hostile.name, ClientConfig { timeout: TIMEOUT, ..hostile.config.clone() });
        under_way.spawn_on(async move { (name, timed(export_once(&config)).await) }, &exports.handle);
    }
    let mut ended = Vec::new();
    let beside = longest(&exports, &client, |_| {
        ended.extend(std::iter::from_fn(|| under_way.try_join_next()));
        !under_way.is_empty()
    })
    .await;
    for (name, (outcome, took)) in ended.into_iter().map(Result::unwrap) {
        assert!(matches!(outcome, Outcome::Failed { .. }), "{name}: {outcome:?}");
        assert!(took < TIMEOUT + LATE, "{name}: {took:?}");
    }
    assert!(beside < 2 * usual + SLOW, "{beside:?} beside them, {usual:?} without");
    for hostile in all {
        let left_alone = tokio::time::timeout(LATE, hostile.server.is_left_alone()).await;
        assert!(left_alone.is_ok(), "{}: still connected", hostile.name);
    }
}

async fn with_http(peers: &Elsewhere, flood: Flood) -> Hostile {
    let Flood { name, protocol, .. } = flood;
    let server = peers.run(async move { FaultServer::start(protocol, flood.scripts(), None).await }).await;
    Hostile { name, config: config(protocol, server.address), server }
}

#[tokio::test]
async fn endless_answers_over_http1_cost_only_their_own_exports() {
    bounded(async {
        let peers = Elsewhere::start();
        let mut all = Vec::new();
        for flood in flood::http1() {
            all.push(with_http(&peers, flood).await);
        }
        cost_only_their_own_exports(all).await;
    })
    .await;
}

#[tokio::test]
async fn endless_answers_over_http2_cost_only_their_own_exports() {
    bounded(async {
        let peers = Elsewhere::start();
        let mut all = Vec::new();
        for flood in flood::http2() {
            all.push(with_http(&peers, flood).await);
        }
        cost_only_their_own_exports(all).await;
    })
    .await;
}

#[tokio::test]
async fn endless_tls_costs_only_its_own_exports() {
    bounded(async {
        let peers = Elsewhere::start();
        let authority = Authority::new();
        let folder = Folder::new();
        let ca = folder.write("ca.pem", &authority.pem());
        let identity = authority.server(&NAMES).server_config(None);
        let secured = |name, address, server| {
            let mut config = config(Protocol::HttpProtobuf, address);
            config.endpoint = config.endpoint.replace("http://", "https://");
            config.tls.trusted = vec![trusted(&ca)];
            Hostile { name, config, server }
        };
        let mut all = Vec::new();
        for (name, flood) in flood_tls::FLOODS {
            let serve = flood_tls::serve(&identity, flood);
            let server = peers.run(async move { FaultServer::serving(serve).await }).await;
            all.push(secured(name, server.address, server));
        }
        for (name, script) in [
            ("changes of the cipher instead of a handshake", vec![Step::Endless([20, 3, 3, 0, 1, 1].repeat(10_000))]),
            // A record that is almost as long as a record may be.
            ("a slow handshake", vec![Step::Trickle([&[22, 3, 3, 0x3f, 0xff][..], &[2; 16_000]].concat(), SOON)]),
        ] {
            let scripts = vec![script; 20];
            let server = peers.run(FaultServer::start(Protocol::HttpProtobuf, scripts, None)).await;
            all.push(secured(name, server.address, server));
        }
        for flood in flood::http1() {
            let Hostile { name, server, .. } = with_http(&peers, flood).await;
            let (_, identity) = watch::channel(Arc::clone(&identity));
            let relay = peers.run(relay::tls(server.address, identity)).await;
            all.push(secured(name, relay, server));
        }
        cost_only_their_own_exports(all).await;
    })
    .await;
}

const SOON: Duration = Duration::from_millis(1);

#[tokio::test]
async fn an_endless_answer_to_connect_costs_only_its_own_export() {
    const TEST: &str = "client::tests::floods::an_endless_answer_to_connect_costs_only_its_own_export";
    if is_child() {
        let mut config = config(Protocol::HttpProtobuf, ([127, 0, 0, 1], 1).into());
        config.endpoint = "https://collector.invalid/v1/traces".to_owned();
        // Time enough to read what is too much, on a busy machine, too.
        config.timeout = 10 * TIMEOUT;
        let (outcome, took) = timed(export_once(&config)).await;
        assert_contains(&reason(outcome), "cannot connect through the proxy ");
        return assert!(took < config.timeout, "{took:?}");
    }
    async fn answer_without_end(mut stream: TcpStream, answer: &'static str) -> std::io::Result<()> {
        let answer = answer.repeat(10_000);
        stream.read_u8().await?;
        loop {
            stream.write_all(answer.as_bytes()).await?;
        }
    }
    bounded(async {
        for answer in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 ", "\r\n"] {
            let proxy = FaultServer::serving(move |stream| answer_without_end(stream, answer)).await;
            let variables = [("https_proxy", format!("http://{}", proxy.address)), ("no_proxy", String::new())];
            in_a_process_with(TEST, &variables).await;
            proxy.is_left_alone().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_no_answer_takes_ends_the_export_long_before_its_timeout() {
    bounded(async {
        let peers = Elsewhere::start();
        for flood in flood::quickest() {
            let hostile = with_http(&peers, flood).await;
            assert_contains(&reason(export_once(&hostile.config).await), "no answer: the peer sends without end");
            hostile.server.is_left_alone().await;
            assert_eq!(hostile.server.connections(), 1, "it is not tried again");
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_may_carry_any_number_of_long_answers() {
    bounded(async {
        let long = "x".repeat(3_000_000);
        let server = collector::grpc(move |_| {
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: long.clone() });
            Some(Ok(ExportTraceServiceResponse { partial_success }))
        })
        .await;
        let client = Client::new(&config(Protocol::Grpc, server.address)).unwrap();
        for _ in 0..3 {
            let (one, other) = tokio::join!(export(&client), export(&client));
            assert!([one, other].iter().all(|outcome| matches!(outcome, Outcome::Delivered { rejected: 1, .. })));
        }
        let peer = server.received()[0].peer;
        assert!(server.received().iter().all(|received| received.peer == peer), "over one connection");
    })
    .await;
}
