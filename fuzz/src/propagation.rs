//! `propagate`: what is read is within its limits, and is read the same when it was written.

use std::str;

use otel_rs_core::propagate::{TraceParent, baggage, trace_state};

/// The header, and the rest is its text.
pub fn propagation(data: &[u8]) {
    let Some((header, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match header % 3 {
        0 => trace_parent(&text),
        1 => trace_state(&text),
        _ => baggage(&text),
    }
}

fn trace_parent(text: &str) {
    let Some(parent) = TraceParent::read(text) else { return };
    assert!(parent.trace_id != 0 && parent.span_id != 0);
    let written = parent.write();
    let written = str::from_utf8(&written).expect("digits and dashes");
    assert_eq!(TraceParent::read(written), Some(parent));
    assert!(text.contains(&written[2..]));
}

fn trace_state(text: &str) {
    let mut members = Vec::new();
    if trace_state::read(text, &mut members).is_err() {
        return;
    }
    assert!(members.len() <= trace_state::MAX_MEMBERS);
    let written = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let mut again = Vec::new();
    assert_eq!(trace_state::read(&written, &mut again), Ok(()));
    assert_eq!(again, members);
}

fn baggage(text: &str) {
    let short = baggage::with_short_blanks(text);
    assert!(short.is_none_or(|short| short.len() < text.len()));
    let Ok(entries) = baggage::read(text) else { return };
    assert!(entries.len() <= baggage::MAX_ENTRIES);
    let mut writer = baggage::Writer::default();
    for (name, value) in &entries {
        assert!(name.len() + value.len() <= text.len() * '\u{fffd}'.len_utf8());
        // Bytes that are no UTF-8 are longer when they are replaced, and so is what had no need to be encoded.
        if writer.add(name, value).is_err() {
            return;
        }
    }
    // Names may be empty, and values may have been invalid, only after their decoding.
    if entries.iter().all(|(name, _)| !name.is_empty()) {
        assert_eq!(baggage::read(&writer.into_header()).as_ref(), Ok(&entries));
    }
}
