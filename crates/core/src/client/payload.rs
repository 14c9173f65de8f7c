//! What a request carries. It is sent from where it was encoded: a copy of megabytes costs more than their encoding.

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http_body_util::Full;

pub(super) type Body = Full<Chain<Bytes, Bytes>>;

#[derive(Clone)]
pub(super) struct Payload {
    /// What the protocol puts in front of the message, if anything.
    prefix: Bytes,
    message: Bytes,
}

impl Payload {
    pub fn new(prefix: Bytes, message: Bytes) -> Self {
        Self { prefix, message }
    }

    pub fn len(&self) -> usize {
        self.prefix.len() + self.message.len()
    }

    /// For one attempt.
    pub fn body(&self) -> Body {
        Full::new(self.prefix.clone().chain(self.message.clone()))
    }
}
