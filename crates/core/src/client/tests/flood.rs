//! Peers that send without end, whatever is asked of them.

use super::fault::*;
use super::*;

/// What such a peer sends once it has read a request: its `opening`, and then the same for ever.
#[derive(Clone)]
pub struct Flood {
    pub name: &'static str,
    pub protocol: Protocol,
    opening: Vec<u8>,
    again: Vec<u8>,
}

impl Flood {
    /// For as many connections as an export makes.
    pub fn scripts(&self) -> Vec<Vec<Step>> {
        vec![vec![Read, Send(self.opening.clone()), Endless(self.again.clone())]; 20]
    }
}

/// So much is sent at once, so that the peer costs little and the client always has something to read.
const PIECE_BYTES: usize = 65_536;

fn flood(protocol: Protocol, name: &'static str, opening: Vec<u8>, again: Vec<u8>) -> Flood {
    let again = again.repeat(PIECE_BYTES.div_ceil(again.len()));
    Flood { name, protocol, opening, again }
}

/// One for each protocol, of pieces that are read quickly.
pub fn quickest() -> [Flood; 2] {
    const UNKNOWN: u8 = 0xfa;
    let early_hints = format!("HTTP/1.1 103 Early Hints\r\nx: {}\r\n\r\n", "y".repeat(8000));
    [
        flood(Protocol::HttpProtobuf, "103 with a long header", Vec::new(), early_hints.into_bytes()),
        flood(Protocol::Grpc, "long unknown frames", settings(), frame(UNKNOWN, 0, 0, &[0; 16_000])),
    ]
}

pub fn http1() -> Vec<Flood> {
    const CHUNKED: &str = "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n";
    let flood = |name, opening: &str, again: &str| {
        flood(Protocol::HttpProtobuf, name, opening.as_bytes().to_vec(), again.as_bytes().to_vec())
    };
    let mut floods = vec![
        flood("100 Continue", "", "HTTP/1.1 100 Continue\r\n\r\n"),
        flood("102 Processing", "", "HTTP/1.1 102 Processing\r\nx: y\r\n\r\n"),
        flood("103 with headers", "", &format!("HTTP/1.1 103 Early Hints\r\n{}\r\n", "link: </x>\r\n".repeat(50))),
        flood("empty lines", "", "\r\n"),
        flood("a reason", "HTTP/1.1 200 ", "O"),
        flood("header lines", "HTTP/1.1 200 OK\r\n", "x: y\r\n"),
        flood("one header", "HTTP/1.1 200 OK\r\nx: ", "y"),
        flood("a body without a length", "HTTP/1.1 400 Bad\r\n\r\n", "x"),
        flood("chunks of one byte", CHUNKED, "1\r\nx\r\n"),
        flood("chunk extensions", CHUNKED, "1;x=y\r\nx\r\n"),
        flood("one chunk extension", &format!("{CHUNKED}1;"), "x"),
        flood("the length of a chunk", CHUNKED, "0"),
        flood("trailers", &format!("{CHUNKED}0\r\n"), "x: y\r\n"),
        flood("answers", "", "HTTP/1.1 400 Bad\r\ncontent-length: 1\r\n\r\nx"),
        flood("garbage after an answer", "HTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n", "\0"),
    ];
    floods.push(Flood { again: b"O".to_vec(), ..flood("a reason, byte by byte", "HTTP/1.1 200 ", "O") });
    floods
}

pub fn http2() -> Vec<Flood> {
    const PRIORITY: u8 = 2;
    const PUSH_PROMISE: u8 = 5;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;
    const CONTINUATION: u8 = 9;
    const UNKNOWN: u8 = 0xfa;
    const ACK: u8 = 1;
    const PADDED: u8 = 8;
    /// `initial_window_size`, as small as it gets and a little larger.
    const WINDOWS: [&[u8]; 2] = [&[0, 4, 0, 0, 0, 0], &[0, 4, 0, 0, 0, 1]];

    let settled = |name, again: Vec<u8>| flood(Protocol::Grpc, name, settings(), again);
    let begun = |name, again: Vec<u8>| flood(Protocol::Grpc, name, [settings(), answer_begins(1)].concat(), again);
    let after =
        |name, opening: Vec<u8>, again: Vec<u8>| flood(Protocol::Grpc, name, [settings(), opening].concat(), again);
    let field = || hpack(&[("x", "y")]);
    // An interim answer: `:status: 100`.
    let interim = |fields: Vec<u8>| frame(HEADERS, END_HEADERS, 1, &[b"\x08\x03100".to_vec(), fields].concat());
    // A field of 4 kB goes into the table of fields, and is named by one byte from then on.
    let large = [b"\x40\x01x\x7f\xa1\x1e".to_vec(), vec![b'y'; 4000]].concat();
    vec![
        begun("empty DATA", data(1, &[])),
        begun("DATA of padding", frame(DATA, PADDED, 1, &[0])),
        begun("DATA of one byte", data(1, &[0])),
        begun("DATA", data(1, &[0; 16_384])),
        after("empty CONTINUATION", frame(HEADERS, 0, 1, &[0x88]), frame(CONTINUATION, 0, 1, &[])),
        after("CONTINUATION", frame(HEADERS, 0, 1, &[0x88]), frame(CONTINUATION, 0, 1, &field())),
        settled("SETTINGS", settings()),
        settled("SETTINGS that change", WINDOWS.map(|window| frame(SETTINGS, 0, 0, window)).concat()),
        settled("SETTINGS acknowledged", frame(SETTINGS, ACK, 0, &[])),
        settled("PING", frame(PING, 0, 0, &[0; 8])),
        settled("PING acknowledged", frame(PING, ACK, 0, &[0; 8])),
        settled("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        settled("WINDOW_UPDATE of a stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        settled("PRIORITY", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0])),
        settled("RST_STREAM", reset_stream(1, CANCEL)),
        settled("GOAWAY", goaway(1, NO_ERROR)),
        settled("unknown frames", frame(UNKNOWN, 0, 0, &[])),
        settled("interim answers", interim(Vec::new())),
        settled("interim answers with fields", interim(field().repeat(300))),
        after("interim answers with large fields", interim(large), interim(vec![0xbe; 1000])),
        begun("trailers that are not the last", frame(HEADERS, END_HEADERS, 1, &field())),
        begun(
            "trailers without an end",
            [frame(HEADERS, END_STREAM, 1, &field()), frame(CONTINUATION, 0, 1, &field()).repeat(1000)].concat(),
        ),
        after("DATA after the end", [answer_begins(1), trailers(1, "3")].concat(), data(1, &[0])),
        settled("PUSH_PROMISE", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82])),
    ]
}
