//! A span, its events and its links as OTLP messages (opentelemetry/proto/trace/v1/trace.proto).

use std::borrow::Cow;

use crate::otlp::attributes::Attributes;
use crate::otlp::batch::Framed;
use crate::otlp::memory::{OutOfMemory, make_room};
use crate::otlp::wire::{self, fixed64_tag, len_tag, varint_tag};

/// Field numbers of `Span`.
mod field {
    pub const TRACE_ID: u8 = 1;
    pub const SPAN_ID: u8 = 2;
    pub const TRACE_STATE: u8 = 3;
    pub const PARENT_SPAN_ID: u8 = 4;
    pub const NAME: u8 = 5;
    pub const KIND: u8 = 6;
    pub const START_TIME_UNIX_NANO: u8 = 7;
    pub const END_TIME_UNIX_NANO: u8 = 8;
    pub const ATTRIBUTES: u8 = 9;
    pub const DROPPED_ATTRIBUTES_COUNT: u8 = 10;
    pub const EVENTS: u8 = 11;
    pub const DROPPED_EVENTS_COUNT: u8 = 12;
    pub const LINKS: u8 = 13;
    pub const DROPPED_LINKS_COUNT: u8 = 14;
    pub const STATUS: u8 = 15;
    pub const FLAGS: u8 = 16;
}

pub const SPAN_ATTRIBUTES: u8 = field::ATTRIBUTES;
pub const EVENT_ATTRIBUTES: u8 = 3;
pub const LINK_ATTRIBUTES: u8 = 4;

/// `ScopeSpans.spans`: the field that a span is framed as.
const SCOPE_SPANS_SPANS: u8 = 2;

const CONTEXT_HAS_IS_REMOTE: u32 = 0x100;
const CONTEXT_IS_REMOTE: u32 = 0x200;

/// `Status.code`, with the numbers of the wire, which are those of the Python API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum StatusCode {
    #[default]
    Unset = 0,
    Ok = 1,
    Error = 2,
}

/// Flags of a span or link, which tell only whether the context it names is remote, as the Python SDK's do.
pub const fn span_flags(is_remote: bool) -> u32 {
    if is_remote { CONTEXT_HAS_IS_REMOTE | CONTEXT_IS_REMOTE } else { CONTEXT_HAS_IS_REMOTE }
}

/// Encoded events or links, bounded in number; a new one beyond the limit drops the oldest.
pub struct Messages {
    limit: Option<usize>,
    dropped: u32,
    wire: Vec<u8>,
    /// Where each message starts in `wire`, the dropped ones left out.
    starts: std::collections::VecDeque<usize>,
}

impl Messages {
    pub const fn new(limit: Option<usize>) -> Self {
        Self { limit, dropped: 0, wire: Vec::new(), starts: std::collections::VecDeque::new() }
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    pub fn count_dropped(&mut self, count: u32) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// Adds a framed message; true if the oldest had to go (or this one, where there is no room at all).
    pub fn push(&mut self, framed: &[u8]) -> bool {
        self.try_push(framed).unwrap_or(true)
    }

    /// As `push`. Without memory for the new message all stay as they are, and it counts as dropped.
    pub fn try_push(&mut self, framed: &[u8]) -> Result<bool, OutOfMemory> {
        let room = make_room(&mut self.wire, framed.len()).and_then(|()| Ok(self.starts.try_reserve(1)?));
        room.inspect_err(|OutOfMemory| self.count_dropped(1))?;
        let mut full = false;
        if self.limit.is_some_and(|limit| self.starts.len() >= limit) {
            full = true;
            self.dropped = self.dropped.saturating_add(1);
            if self.starts.pop_front().is_none() {
                return Ok(true);
            }
            self.compact();
        }
        self.starts.push_back(self.wire.len());
        self.wire.extend_from_slice(framed);
        Ok(full)
    }

    fn live(&self) -> &[u8] {
        &self.wire[self.starts.front().copied().unwrap_or(self.wire.len())..]
    }

    /// Gives back the room of dropped messages once it is the larger part.
    fn compact(&mut self) {
        let dead = self.starts.front().copied().unwrap_or(self.wire.len());
        if dead > 4096 && dead > self.wire.len() / 2 {
            self.wire.drain(..dead);
            self.starts.iter_mut().for_each(|start| *start -= dead);
        }
    }

    /// The messages' bodies, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        wire::Fields::of(self.live()).filter_map(|(_, value)| match value {
            wire::Value::Bytes(body) => Some(body),
            _ => None,
        })
    }
}

/// At most the length of an event or link, framed, apart from its texts and attributes.
const ENTRY_HEADS: usize = 128;

/// Makes room for an event or link with texts of so many bytes.
pub fn make_room_for_entry(out: &mut Vec<u8>, texts: usize, attributes: &Attributes) -> Result<(), OutOfMemory> {
    make_room(out, ENTRY_HEADS + texts + attributes.wire_len())
}

/// Appends one `Span.events` field.
pub fn put_event(out: &mut Vec<u8>, name: &str, time_unix_nano: u64, attributes: &Attributes) {
    let start = out.len();
    wire::put_fixed64(out, fixed64_tag(1), time_unix_nano);
    wire::put_bytes(out, len_tag(2), name.as_bytes());
    attributes.write(out);
    wire::put_uint(out, varint_tag(4), u64::from(attributes.dropped()));
    wire::frame_from(out, start, len_tag(field::EVENTS));
}

/// Appends one `Span.links` field.
pub fn put_link(
    out: &mut Vec<u8>,
    trace_id: u128,
    span_id: u64,
    trace_state: &str,
    is_remote: bool,
    attributes: &Attributes,
) {
    let start = out.len();
    wire::put_bytes(out, len_tag(1), &trace_id.to_be_bytes());
    wire::put_bytes(out, len_tag(2), &span_id.to_be_bytes());
    if !trace_state.is_empty() {
        wire::put_bytes(out, len_tag(3), trace_state.as_bytes());
    }
    attributes.write(out);
    wire::put_uint(out, varint_tag(5), u64::from(attributes.dropped()));
    out.push(6 << 3 | 5);
    out.extend_from_slice(&span_flags(is_remote).to_le_bytes());
    wire::frame_from(out, start, len_tag(field::LINKS));
}

/// Everything of an ended span, borrowed.
pub struct Span<'a> {
    pub trace_id: u128,
    pub span_id: u64,
    /// W3C tracestate header form, empty if there is none.
    pub trace_state: &'a str,
    pub parent_span_id: Option<u64>,
    pub parent_is_remote: bool,
    pub name: &'a str,
    /// `Span.SpanKind`: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u8,
    pub start_time_unix_nano: u64,
    pub end_time_unix_nano: u64,
    pub attributes: &'a Attributes,
    pub events: Option<&'a Messages>,
    pub links: Option<&'a Messages>,
    pub status: StatusCode,
    pub status_message: &'a str,
}

impl Span<'_> {
    /// Appends the span, framed. Without memory for it, `out` stays as it is.
    pub fn try_frame(&self, out: &mut Vec<u8>) -> Result<(), OutOfMemory> {
        let body_len = self.body_len();
        make_room(out, bytes_len(body_len))?;
        self.frame_as(body_len, out);
        Ok(())
    }

    fn body_len(&self) -> usize {
        let text = |text: &str| if text.is_empty() { 0 } else { bytes_len(text.len()) };
        let list = |messages: Option<&Messages>| messages.map_or(0, |m| m.live().len() + uint_len(m.dropped));
        // Ids, times and flags, and the kind, which is a small number.
        const ALWAYS: usize = 18 + 10 + 9 + 9 + 6;
        ALWAYS
            + text(self.trace_state)
            + self.parent_span_id.map_or(0, |_| 10)
            + text(self.name)
            + uint_len(self.kind.into())
            + self.attributes.wire_len()
            + uint_len(self.attributes.dropped())
            + list(self.events)
            + list(self.links)
            + bytes_len(self.status_len())
    }

    fn status_len(&self) -> usize {
        let message = if self.status_message.is_empty() { 0 } else { bytes_len(self.status_message.len()) };
        message + uint_len(self.status as u32)
    }

    fn put_ids(&self, out: &mut Vec<u8>) {
        const PARENT: usize = 28;
        let mut ids = [0; PARENT + 10];
        ids[0] = len_tag(field::TRACE_ID);
        ids[1] = 16;
        ids[2..18].copy_from_slice(&self.trace_id.to_be_bytes());
        ids[18] = len_tag(field::SPAN_ID);
        ids[19] = 8;
        ids[20..PARENT].copy_from_slice(&self.span_id.to_be_bytes());
        let mut end = PARENT;
        if let Some(parent) = self.parent_span_id {
            ids[PARENT] = len_tag(field::PARENT_SPAN_ID);
            ids[PARENT + 1] = 8;
            ids[PARENT + 2..].copy_from_slice(&parent.to_be_bytes());
            end = ids.len();
        }
        if self.trace_state.is_empty() {
            return out.extend_from_slice(&ids[..end]);
        }
        out.extend_from_slice(&ids[..PARENT]);
        put_text(out, field::TRACE_STATE, self.trace_state);
        out.extend_from_slice(&ids[PARENT..end]);
    }

    fn put_times(&self, out: &mut Vec<u8>) {
        let mut times = [0; 18];
        times[0] = fixed64_tag(field::START_TIME_UNIX_NANO);
        times[1..9].copy_from_slice(&self.start_time_unix_nano.to_le_bytes());
        times[9] = fixed64_tag(field::END_TIME_UNIX_NANO);
        times[10..].copy_from_slice(&self.end_time_unix_nano.to_le_bytes());
        out.extend_from_slice(&times);
    }

    /// An unset status is written too, as an empty message: so does the Python SDK.
    fn put_status_and_flags(&self, out: &mut Vec<u8>) {
        let status = len_tag(field::STATUS);
        let [f0, f1, f2, f3] = span_flags(self.parent_is_remote).to_le_bytes();
        // Field 16 takes a tag of two bytes.
        const FLAGS: u32 = (field::FLAGS as u32) << 3 | 5;
        const FLAGS_TAG: [u8; 2] = [FLAGS as u8 | 0x80, (FLAGS >> 7) as u8];
        let len = self.status_len();
        if len == 0 {
            return out.extend_from_slice(&[status, 0, FLAGS_TAG[0], FLAGS_TAG[1], f0, f1, f2, f3]);
        }
        wire::put_head(out, status, len as u64);
        put_text(out, 2, self.status_message);
        wire::put_uint(out, varint_tag(3), self.status as u64);
        out.extend_from_slice(&[FLAGS_TAG[0], FLAGS_TAG[1], f0, f1, f2, f3]);
    }
}

/// A span whose length is known.
pub struct MeasuredSpan<'a> {
    span: &'a Span<'a>,
    body_len: usize,
}

impl Framed for MeasuredSpan<'_> {
    #[inline]
    fn framed_len(&self) -> usize {
        bytes_len(self.body_len)
    }

    #[inline]
    fn frame_into(&self, out: &mut Vec<u8>) {
        self.span.frame_as(self.body_len, out);
    }
}

impl Span<'_> {
    /// As a batch takes it.
    #[inline]
    pub fn measured(&self) -> MeasuredSpan<'_> {
        MeasuredSpan { span: self, body_len: self.body_len() }
    }

    /// Appends the span as one `ScopeSpans.spans` field: what a batch is made of.
    pub fn frame(&self, out: &mut Vec<u8>) {
        self.frame_as(self.body_len(), out);
    }

    fn frame_as(&self, body_len: usize, out: &mut Vec<u8>) {
        wire::put_head(out, len_tag(SCOPE_SPANS_SPANS), body_len as u64);
        self.put_ids(out);
        put_text(out, field::NAME, self.name);
        wire::put_uint(out, varint_tag(field::KIND), u64::from(self.kind));
        self.put_times(out);
        self.attributes.write(out);
        wire::put_uint(out, varint_tag(field::DROPPED_ATTRIBUTES_COUNT), u64::from(self.attributes.dropped()));
        if let Some(events) = self.events {
            out.extend_from_slice(events.live());
            wire::put_uint(out, varint_tag(field::DROPPED_EVENTS_COUNT), u64::from(events.dropped));
        }
        if let Some(links) = self.links {
            out.extend_from_slice(links.live());
            wire::put_uint(out, varint_tag(field::DROPPED_LINKS_COUNT), u64::from(links.dropped));
        }
        self.put_status_and_flags(out);
    }
}

/// Length of a field with `len` bytes in it.
fn bytes_len(len: usize) -> usize {
    1 + wire::varint_len(len as u64) + len
}

/// Length of what `put_uint` appends.
fn uint_len(value: u32) -> usize {
    if value == 0 { 0 } else { 1 + wire::varint_len(value.into()) }
}

/// Appends a text, unless it is empty.
#[inline]
fn put_text(out: &mut Vec<u8>, field: u8, text: &str) {
    if !text.is_empty() {
        wire::put_head(out, len_tag(field), text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

/// The name in an encoded `Span`.
pub fn span_name(message: &[u8]) -> Cow<'_, str> {
    let mut fields = wire::Fields::of(message);
    let name = fields.find_map(|(field, value)| match value {
        wire::Value::Bytes(name) if field == u32::from(field::NAME) => Some(String::from_utf8_lossy(name)),
        _ => None,
    });
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::trace::v1 as proto;
    use prost::Message;

    #[test]
    fn span_decodes_to_what_was_put_in() {
        let mut attributes = Attributes::new(SPAN_ATTRIBUTES, None);
        attributes.set("http.request.method", 1, b"\x0a\x03GET", false);
        let mut events = Messages::new(Some(2));
        let mut links = Messages::new(None);
        let mut framed = Vec::new();
        for time in 1..=3 {
            framed.clear();
            put_event(&mut framed, "retry", time, &Attributes::new(EVENT_ATTRIBUTES, None));
            events.push(&framed);
        }
        framed.clear();
        put_link(&mut framed, 5, 6, "a=b", true, &Attributes::new(LINK_ATTRIBUTES, None));
        links.push(&framed);
        let span = Span {
            trace_id: 0x0102,
            span_id: 3,
            trace_state: "k=v",
            parent_span_id: Some(4),
            parent_is_remote: true,
            name: "GET /",
            kind: 2,
            start_time_unix_nano: 10,
            end_time_unix_nano: 20,
            attributes: &attributes,
            events: Some(&events),
            links: Some(&links),
            status: StatusCode::Error,
            status_message: "boom",
        };
        let mut out = Vec::new();
        span.frame(&mut out);
        assert_eq!(out.len(), span.measured().framed_len());
        let decoded = proto::ScopeSpans::decode(&out[..]).unwrap().spans.remove(0);
        assert_eq!(span_name(&decoded.encode_to_vec()), "GET /");
        assert_eq!(decoded.trace_id, 0x0102u128.to_be_bytes());
        assert_eq!(decoded.span_id, 3u64.to_be_bytes());
        assert_eq!(decoded.parent_span_id, 4u64.to_be_bytes());
        assert_eq!((decoded.trace_state.as_str(), decoded.name.as_str(), decoded.kind), ("k=v", "GET /", 2));
        assert_eq!((decoded.start_time_unix_nano, decoded.end_time_unix_nano), (10, 20));
        assert_eq!(decoded.attributes[0].key, "http.request.method");
        assert_eq!(decoded.events.iter().map(|e| e.time_unix_nano).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((decoded.dropped_events_count, decoded.dropped_links_count), (1, 0));
        assert_eq!((decoded.links[0].trace_state.as_str(), decoded.links[0].flags), ("a=b", 0x300));
        let status = decoded.status.unwrap();
        assert_eq!((status.code, status.message.as_str()), (2, "boom"));
        assert_eq!(decoded.flags, 0x300);
    }

    #[test]
    fn dropped_messages_give_their_room_back() {
        let mut events = Messages::new(Some(3));
        let mut framed = Vec::new();
        put_event(&mut framed, &"x".repeat(1000), 1, &Attributes::new(EVENT_ATTRIBUTES, None));
        for _ in 0..1000 {
            events.push(&framed);
        }
        assert_eq!((events.len(), events.iter().count(), events.dropped()), (3, 3, 997));
        assert!(events.wire.len() < 20_000);
    }

    #[test]
    fn no_room_at_all_drops_every_message() {
        let mut events = Messages::new(Some(0));
        assert!(events.push(b"\x5a\x00"));
        assert_eq!((events.len(), events.dropped()), (0, 1));
    }
}
