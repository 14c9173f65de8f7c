//! What is done with a request, whichever connection it comes on.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::Request;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::body::BodyReader;
use crate::call::is_grpc;
use crate::complaints::Complaints;
use crate::config::Limits;
use crate::hosts::Hosts;
use crate::intake::Intake;
use crate::refusal::Refusal;
use crate::{grpc, http};

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
                    Protocol::Grpc if is_grpc(&head.headers) => format!("{:?}", refusal.grpc),
                    _ => refusal.http.as_u16().to_string(),
                },
                refusal.message
            ));
            if is_grpc(&head.headers) { grpc::refused(refusal) } else { http::refused(&head.headers, refusal) }
        }))
    }
}
