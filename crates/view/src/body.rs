//! The body of a request, as far as it is taken at all.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Code;

use crate::config::Limits;
use crate::refusal::Refusal;

/// A body that was read, and its share of what all bodies may take together.
pub struct Body {
    bytes: Bytes,
    share: Option<OwnedSemaphorePermit>,
}

impl Body {
    /// From elsewhere than a peer.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), share: None }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Without the share: whoever takes the bytes has bounded them by other means.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    pub fn slice_from(self, start: usize) -> Self {
        Self { bytes: self.bytes.slice(start..), share: self.share }
    }
}

/// Reads bodies: each within its size and time, all together within what the server may hold.
#[derive(Clone)]
pub struct BodyReader {
    limits: Limits,
    shares: Arc<Semaphore>,
}

impl BodyReader {
    pub fn new(limits: Limits) -> Self {
        Self { limits, shares: Arc::new(Semaphore::new(limits.bodies_bytes)) }
    }

    pub async fn read<B>(&self, body: B) -> Result<Body, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let seconds = self.limits.read.as_secs_f32();
        timeout(self.limits.read, self.read_to_end(body)).await.unwrap_or_else(|_| {
            let message = format!("the body did not arrive within {seconds} s");
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, message))
        })
    }

    /// A body that is not taken is read to its end all the same: its sender looks for the answer after that.
    async fn read_to_end<B>(&self, mut body: B) -> Result<Body, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let mut outcome = Ok((BytesMut::new(), None));
        while let Some(frame) = body.frame().await {
            let broken = |_| Refusal::new(StatusCode::BAD_REQUEST, Code::Cancelled, "the body broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if let Ok((bytes, share)) = &mut outcome
                && let Err(refusal) = self.add(bytes, share, &data)
            {
                outcome = Err(refusal);
            }
        }
        outcome.map(|(bytes, share)| Body { bytes: bytes.freeze(), share })
    }

    fn add(&self, bytes: &mut BytesMut, share: &mut Option<OwnedSemaphorePermit>, data: &[u8]) -> Result<(), Refusal> {
        if bytes.len() + data.len() > self.limits.request_bytes {
            return Err(Refusal::too_large("the request", self.limits.request_bytes));
        }
        let more = u32::try_from(data.len()).ok().and_then(|n| self.shares.clone().try_acquire_many_owned(n).ok());
        let more = more.ok_or_else(|| Refusal::unavailable("too many bytes are being received at once"))?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        bytes.extend_from_slice(data);
        Ok(())
    }
}
