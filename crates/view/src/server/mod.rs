//! A server: takes connections, asks each request for its right to be here, and answers it.

mod activity;
mod connection;

use std::convert::Infallible;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::Request;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::answer::Answer;
use crate::body::BodyReader;
use crate::complaints::Complaints;
use crate::config::Limits;
use crate::hosts::Hosts;
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::{grpc, http};
use connection::Connection;

/// How long to wait where no connection can be taken: descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    Http,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

/// What a server needs for its requests.
#[derive(Clone)]
pub struct Server {
    pub protocol: Protocol,
    /// Where the other protocol is taken, in words.
    pub other: Arc<str>,
    pub limits: Limits,
    pub hosts: Hosts,
    pub bodies: BodyReader,
    pub intake: Intake,
    pub complaints: Complaints,
}

impl Server {
    /// Serves until `stop` has no sender any more, and then until the requests under way are answered.
    pub async fn serve(self, listener: TcpListener, stop: watch::Receiver<()>) {
        let room = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = JoinSet::new();
        let mut stopping = stop.clone();
        loop {
            tokio::select! {
                () = closed(&mut stopping) => break,
                Some(_) = connections.join_next() => {}
                (stream, place) = accept(&listener, &room) => {
                    let connection = Connection::new(self.clone(), room.clone());
                    let stop = stop.clone();
                    connections.spawn(async move {
                        connection.serve(stream, stop).await;
                        drop(place);
                    });
                }
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// Answers a request that came to the address `local`.
    async fn answer(&self, request: Request<Incoming>, local: IpAddr, peer: IpAddr) -> Result<Answer, Infallible> {
        let (head, body) = request.into_parts();
        let outcome = async {
            // First, because who sends a body looks for the answer after it.
            let body = self.bodies.read(body).await;
            self.hosts.check(&head, local)?;
            match self.protocol {
                Protocol::Grpc => {
                    let (call, message) = grpc::message(grpc::call(&head, &self.other)?, body?)?;
                    self.intake.accept(call, message).await.map(|()| grpc::accepted())
                }
                Protocol::Http => {
                    let call = http::call(&head, &self.other)?;
                    self.intake.accept(call, body?).await.map(|()| http::accepted(call.encoding))
                }
            }
        };
        Ok(outcome.await.unwrap_or_else(|refusal: Refusal| {
            self.complaints.tell(&format!(
                "{} {} from {peer} is refused, {} {}: {}",
                head.method,
                head.uri.path(),
                self.protocol.name(),
                match self.protocol {
                    Protocol::Grpc if http::is_grpc(&head.headers) => format!("{:?}", refusal.grpc),
                    _ => refusal.http.as_u16().to_string(),
                },
                refusal.message
            ));
            if http::is_grpc(&head.headers) { grpc::refused(refusal) } else { http::refused(&head.headers, refusal) }
        }))
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Ready once the sender of `stop` is gone.
async fn closed(stop: &mut watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}
