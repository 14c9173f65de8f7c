//! A request as one line of OTLP/JSON.

use std::io::{self, BufWriter, Write};

use otel_rs_core::otlp::as_json;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::decoding::Export;
use crate::text::is_hidden;

/// Writes the request as a line, piece by piece: one that is escaped is several times as long as it was.
pub fn write_line(export: &Export, out: &mut impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    match export {
        Export::Traces(request) => as_json(request).serialize(&mut serializer(&mut out)),
        Export::Metrics(request) => as_json(request).serialize(&mut serializer(&mut out)),
        Export::Logs(request) => as_json(request).serialize(&mut serializer(&mut out)),
    }?;
    out.write_all(b"\n")?;
    out.flush()
}

fn serializer<W: Write>(out: W) -> Serializer<W, Visible> {
    Serializer::with_formatter(out, Visible)
}

/// Escapes all that [`is_hidden`], where serde_json escapes ASCII's control characters up to 0x1f.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain_from = 0;
        for (at, char) in fragment.char_indices().filter(|(_, char)| is_hidden(*char)) {
            CompactFormatter.write_string_fragment(out, &fragment[plain_from..at])?;
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain_from = at + char.len_utf8();
        }
        CompactFormatter.write_string_fragment(out, &fragment[plain_from..])
    }
}
