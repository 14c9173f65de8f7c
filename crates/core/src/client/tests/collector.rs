//! Two servers that record what they receive and answer as the test says.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::codec::CompressionEncoding;

/// One request as it arrived.
#[derive(Clone)]
pub struct Received<M> {
    pub peer: SocketAddr,
    pub path: String,
    pub headers: HeaderMap,
    pub message: M,
}

/// What to answer to the request of that number, from 0; None for no answer at all.
type Script<A> = dyn Fn(usize) -> Option<A> + Send + Sync;

struct Journal<M, A> {
    script: Box<Script<A>>,
    received: watch::Sender<Vec<Received<M>>>,
    /// How many requests were given up by the client before they were answered.
    abandoned: watch::Sender<usize>,
}

/// Counts a request as abandoned unless it was answered.
struct Unanswered<'a>(Option<&'a watch::Sender<usize>>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(abandoned) = self.0 {
            abandoned.send_modify(|count| *count += 1);
        }
    }
}

impl<M, A> Journal<M, A> {
    async fn answer(&self, request: Received<M>) -> A {
        let mut number = 0;
        self.received.send_modify(|received| {
            number = received.len();
            received.push(request);
        });
        let mut unanswered = Unanswered(Some(&self.abandoned));
        match (self.script)(number) {
            Some(answer) => {
                unanswered.0 = None;
                answer
            }
            None => std::future::pending().await,
        }
    }
}

pub struct Server<M, A> {
    pub address: SocketAddr,
    journal: Arc<Journal<M, A>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl<M: Clone, A> Server<M, A> {
    pub fn received(&self) -> Vec<Received<M>> {
        self.journal.received.borrow().clone()
    }

    pub fn count(&self) -> usize {
        self.journal.received.borrow().len()
    }

    /// Waits until that many requests have arrived.
    pub async fn has_received(&self, count: usize) {
        let mut received = self.journal.received.subscribe();
        received.wait_for(|received| received.len() >= count).await.unwrap();
    }

    pub async fn has_abandoned(&self, count: usize) {
        let mut abandoned = self.journal.abandoned.subscribe();
        abandoned.wait_for(|abandoned| *abandoned >= count).await.unwrap();
    }

    /// Closes the connections and frees the port.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

fn journal<M, A>(script: Box<Script<A>>) -> Arc<Journal<M, A>> {
    Arc::new(Journal { script, received: watch::Sender::new(Vec::new()), abandoned: watch::Sender::new(0) })
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

pub async fn loopback() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// HTTP/1 and HTTP/2, any path.
pub type HttpServer = Server<Bytes, Response>;

pub async fn http(script: impl Fn(usize) -> Option<Response> + Send + Sync + 'static) -> HttpServer {
    http_on(loopback().await, script)
}

pub fn http_on(
    listener: TcpListener,
    script: impl Fn(usize) -> Option<Response> + Send + Sync + 'static,
) -> HttpServer {
    async fn handle(
        State(journal): State<Arc<Journal<Bytes, Response>>>,
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        request: Request,
    ) -> Response {
        let (head, body) = request.into_parts();
        let message = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let path = head.uri.path_and_query().unwrap().to_string();
        let headers = head.headers;
        journal.answer(Received { peer, path, headers, message }).await
    }

    let address = listener.local_addr().unwrap();
    let journal = journal(Box::new(script));
    let stop = watch::Sender::new(false);
    let app = axum::Router::new()
        .fallback(handle)
        .with_state(journal.clone())
        .into_make_service_with_connect_info::<SocketAddr>();
    let serve = axum::serve(listener, app).with_graceful_shutdown(stopped(stop.subscribe()));
    let task = tokio::spawn(async { serve.await.unwrap() });
    Server { address, journal, stop, task }
}

pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(body.into()).unwrap()
}

pub type GrpcAnswer = Result<ExportTraceServiceResponse, Status>;
pub type GrpcServer = Server<ExportTraceServiceRequest, GrpcAnswer>;

struct Collector(Arc<Journal<ExportTraceServiceRequest, GrpcAnswer>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let received = Received {
            peer: request.remote_addr().unwrap(),
            path: String::new(),
            headers: request.metadata().clone().into_headers(),
            message: request.into_inner(),
        };
        self.0.answer(received).await.map(tonic::Response::new)
    }
}

pub async fn grpc(script: impl Fn(usize) -> Option<GrpcAnswer> + Send + Sync + 'static) -> GrpcServer {
    grpc_on(loopback().await, script)
}

pub fn grpc_on(
    listener: TcpListener,
    script: impl Fn(usize) -> Option<GrpcAnswer> + Send + Sync + 'static,
) -> GrpcServer {
    let address = listener.local_addr().unwrap();
    let journal = journal(Box::new(script));
    let stop = watch::Sender::new(false);
    let service = TraceServiceServer::new(Collector(journal.clone())).accept_compressed(CompressionEncoding::Gzip);
    let serve = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped(stop.subscribe()));
    let task = tokio::spawn(async { serve.await.unwrap() });
    Server { address, journal, stop, task }
}
