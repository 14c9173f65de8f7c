//! `propagate` against readers that are written as the documents say it, without a thought of speed.

use std::str;

use otel_rs_core::propagate::TraceParent;
use otel_rs_core::propagate::baggage::{self, Reported};
use otel_rs_core::propagate::trace_state::{self, Members, Unread};

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

const BLANKS: [char; 2] = [' ', '\t'];

fn trace_parent(text: &str) {
    let read = TraceParent::read(text);
    assert_eq!(read, model_of_trace_parent(text));
    let Some(parent) = read else { return };
    let written = parent.write();
    let written = str::from_utf8(&written).expect("digits and dashes");
    assert_eq!(TraceParent::read(written), Some(parent));
    assert!(text.contains(&written[2..]));
}

fn model_of_trace_parent(text: &str) -> Option<TraceParent> {
    let text = text.trim_start_matches(BLANKS);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let [version, trace_id, span_id, flags]: [&str; 4] =
        text.get(..55)?.split('-').collect::<Vec<_>>().try_into().ok()?;
    let number = |digits: &str, count: usize| {
        let is_number = digits.len() == count && digits.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f'));
        is_number.then(|| u128::from_str_radix(digits, 16).expect("it is a number"))
    };
    let (version, flags) = (number(version, 2)?, number(flags, 2)? as u8);
    let (trace_id, span_id) = (number(trace_id, 32)?, number(span_id, 16)? as u64);
    let more = &text[55..];
    let is_followed =
        more.trim_matches(BLANKS).is_empty() || more.starts_with('-') && version > 0 && !more.contains('\n');
    let is_valid = trace_id > 0 && span_id > 0 && version < 0xff && is_followed;
    is_valid.then_some(TraceParent { trace_id, span_id, flags })
}

fn trace_state(text: &str) {
    let mut members = Members::new();
    let read = trace_state::read(text, &mut members).map(|()| members.to_vec());
    assert_eq!(read, model_of_trace_state(text));
    let Ok(members) = read else { return };
    let written = members.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
    let mut again = Members::new();
    assert_eq!(trace_state::read(&written, &mut again), Ok(()));
    assert_eq!(again.to_vec(), members);
}

fn model_of_trace_state(text: &str) -> Result<Vec<(&str, &str)>, Unread> {
    let mut members = Vec::<(&str, &str)>::new();
    for member in text.split(',').map(|member| member.trim_matches(BLANKS)).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=').ok_or(Unread::Reported)?;
        let is_value = |value: &str| value.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, ',' | '='));
        if !is_key(key) || !is_value(value) || !(1..=256).contains(&value.len()) || value.ends_with(' ') {
            return Err(Unread::Reported);
        }
        if members.iter().any(|known| known.0 == key) {
            return Err(Unread::Duplicate);
        }
        if members.len() == trace_state::MAX_MEMBERS {
            return Err(Unread::Reported);
        }
        members.push((key, value));
    }
    Ok(members)
}

fn is_key(key: &str) -> bool {
    let is_name = |name: &str| {
        name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '*' | '/')) && !name.is_empty()
    };
    let begins_with_letter = |name: &str| name.starts_with(|first: char| first.is_ascii_lowercase());
    let begins_with_digit = |name: &str| name.starts_with(|first: char| first.is_ascii_digit());
    match key.split_once('@') {
        None => is_name(key) && begins_with_letter(key) && key.len() <= 256,
        Some((tenant, vendor)) => {
            let is_tenant = is_name(tenant) && (begins_with_letter(tenant) || begins_with_digit(tenant));
            let is_vendor = is_name(vendor) && begins_with_letter(vendor);
            is_tenant && tenant.len() <= 241 && is_vendor && vendor.len() <= 14
        }
    }
}

fn baggage(text: &str) {
    let short = baggage::with_short_blanks(text);
    assert!(short.is_none_or(|short| short.len() < text.len()));
    let read = baggage::read(text);
    let entries =
        read.map(|entries| entries.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect());
    assert_eq!(entries, model_of_baggage(text));
    let Ok(entries) = entries else { return };
    let mut writer = baggage::Writer::default();
    for (name, value) in &entries {
        // Bytes that are no UTF-8 are longer when they are replaced, and so is what had no need to be encoded.
        if writer.add(name, value).is_err() {
            return;
        }
    }
    // Names may be empty, and values may have been invalid, only after their decoding.
    if entries.iter().all(|(name, _)| !name.is_empty()) {
        let header = writer.into_header();
        let again = baggage::read(&header).expect("what is written is valid");
        assert!(again.iter().map(|(name, value)| (&**name, &**value)).eq(entries.iter().map(|(n, v)| (&**n, &**v))));
    }
}

fn model_of_baggage(text: &str) -> Result<Vec<(String, String)>, Reported> {
    if text.len() > baggage::MAX_LEN || !text.is_ascii() {
        return Err(Reported);
    }
    let count = text.split(',').count();
    let mut entries = Vec::new();
    for (at, entry) in text.split(',').enumerate() {
        let entry = if at > 0 { entry.trim_start_matches(BLANKS) } else { entry };
        let entry = if at + 1 < count { entry.trim_end_matches(BLANKS) } else { entry };
        if entry.is_empty() {
            continue;
        }
        if entries.len() == baggage::MAX_ENTRIES || entry.len() > baggage::MAX_ENTRY {
            return Err(Reported);
        }
        let (name, value) = entry.split_once('=').ok_or(Reported)?;
        let (name, value) = (name.trim_matches(BLANKS), value.trim_matches(BLANKS));
        let mut parts = value.split(';');
        let is_valid = is_name(name)
            && parts.next().is_some_and(|first| is_value(first.trim_end_matches(BLANKS)))
            && parts.all(|property| {
                let (name, value) = property.split_once('=').unwrap_or((property, ""));
                is_name(name.trim_matches(BLANKS)) && is_value(value.trim_matches(BLANKS))
            });
        if !is_valid {
            return Err(Reported);
        }
        entries.push((decoded(name), decoded(value)));
    }
    Ok(entries)
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c)) && !name.is_empty()
}

fn is_value(value: &str) -> bool {
    value.chars().all(|c| c.is_ascii_graphic() && !"\",;\\".contains(c))
}

/// As Python's `unquote_plus` and `strip`.
fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.get(..2).filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit())) {
            Some(digits) => {
                bytes.push(u8::from_str_radix(digits, 16).expect("it is a number"));
                bytes.extend_from_slice(&piece.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    let is_space = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    String::from_utf8_lossy(&bytes).trim_matches(is_space).to_owned()
}
