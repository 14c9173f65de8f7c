//! What is done with a request, whichever connection it comes on.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::Request;
use ::http::request::Parts;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::body::BodyReader;
use crate::call::is_grpc;
use crate::complaints::Complaints;
use crate::config::{Limits, Protocol};
use crate::hosts::Hosts;
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::{grpc, http, page};

/// Takes the requests of one protocol.
#[derive(Clone)]
pub struct Service {
    pub protocol: Protocol,
    /// Where the other protocol is taken, in words.
    pub other: Arc<str>,
    pub limits: Limits,
    pub hosts: Hosts,
    pub bodies: BodyReader,
    pub intake: Intake,
    pub complaints: Complaints,
}

impl Service {
    /// Answers a request that came to the address `local`.
    pub async fn answer(&self, request: Request<Incoming>, local: IpAddr, peer: IpAddr) -> Result<Answer, Infallible> {
        let (head, body) = request.into_parts();
        let protocol = match self.protocol {
            Protocol::Both if is_grpc(&head.headers) => Protocol::Grpc,
            Protocol::Both => Protocol::Http,
            protocol => protocol,
        };
        Ok(self.outcome(protocol, &head, body, local).await.unwrap_or_else(|refusal| {
            self.complain(protocol, &head, peer, &refusal);
            match protocol {
                Protocol::Page => page::refused(refusal),
                _ if is_grpc(&head.headers) => grpc::refused(refusal),
                _ => http::refused(&head.headers, refusal),
            }
        }))
    }

    async fn outcome(
        &self,
        protocol: Protocol,
        head: &Parts,
        body: Incoming,
        local: IpAddr,
    ) -> Result<Answer, Refusal> {
        // First, because who sends a body looks for the answer after it.
        let body = self.bodies.read(body).await;
        self.hosts.check(head, local)?;
        match protocol {
            Protocol::Grpc => {
                let (call, message) = grpc::message(grpc::call(head, &self.other)?, body?)?;
                self.intake.accept(call, message).await.map(|()| grpc::accepted())
            }
            Protocol::Http | Protocol::Both => {
                let call = http::call(head, &self.other)?;
                self.intake.accept(call, body?).await.map(|()| http::accepted(call.encoding))
            }
            Protocol::Page => page::answer(head, &self.intake).await,
        }
    }

    fn complain(&self, protocol: Protocol, head: &Parts, peer: IpAddr, refusal: &Refusal) {
        self.complaints.tell(&format!(
            "{} {} from {peer} is refused, {} {}: {}",
            head.method,
            head.uri.path(),
            protocol.name(),
            match protocol {
                Protocol::Grpc if is_grpc(&head.headers) => format!("{:?}", refusal.grpc),
                _ => refusal.http.as_u16().to_string(),
            },
            refusal.message
        ));
    }
}
