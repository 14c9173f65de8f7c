//! What the page asks for.

use crate::filter::Filter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// One trace, by its id.
    Trace(Vec<u8>),
    /// A list, once it is newer than the version that the page has, if it has one.
    List { list: List, after: Option<u64> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    Traces(Filter),
    Metrics,
    Logs,
}

impl Question {
    /// From the path and the query of a request.
    pub fn parse(path: &str, query: &str) -> Option<Self> {
        if let Some(id) = path.strip_prefix("/api/traces/") {
            return bytes(id).map(Self::Trace);
        }
        let mut filter = Filter::default();
        let mut after = None;
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "after" => after = Some(value.parse().ok()?),
                "service" => filter.service = Some(decoded(value)?).filter(|service| !service.is_empty()),
                "name" => filter.name = Some(decoded(value)?).filter(|name| !name.is_empty()),
                "min_millis" => filter.min_duration_nanos = nanos(value)?,
                "errors" => filter.errors = value == "1",
                _ => {}
            }
        }
        let list = match path {
            "/api/traces" => List::Traces(filter),
            "/api/metrics" => List::Metrics,
            "/api/logs" => List::Logs,
            _ => return None,
        };
        Some(Self::List { list, after })
    }
}

fn nanos(millis: &str) -> Option<u64> {
    let millis: f64 = if millis.is_empty() { 0.0 } else { millis.parse().ok()? };
    Some((millis * 1e6).max(0.0) as u64)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = hex.chars().map(|char| char.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// What `encodeURIComponent` makes, back.
fn decoded(value: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            out.extend(bytes(std::str::from_utf8(digits).ok()?)?);
            rest = after;
        } else {
            out.push(first);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_are_a_question() {
        let query = "after=7&service=a%26b&name=%C3%A9&min_millis=1.5&errors=1&other=x";
        let filter = Filter {
            service: Some("a&b".to_owned()),
            name: Some("é".to_owned()),
            min_duration_nanos: 1_500_000,
            errors: true,
        };
        let traces = Question::List { list: List::Traces(filter), after: Some(7) };
        assert_eq!(Question::parse("/api/traces", query), Some(traces));
        let all = Question::List { list: List::Traces(Filter::default()), after: None };
        assert_eq!(Question::parse("/api/traces", "service=&name=&min_millis="), Some(all));
        assert_eq!(Question::parse("/api/traces/0aFF", ""), Some(Question::Trace(vec![10, 255])));
        for (path, query) in [("/api/traces/0", ""), ("/api/traces/xx", ""), ("/api", ""), ("/api/logs", "after=x")] {
            assert_eq!(Question::parse(path, query), None, "{path} {query}");
        }
        for query in ["name=%4", "name=%zz", "name=%ff"] {
            assert_eq!(Question::parse("/api/traces", query), None, "{query}");
        }
    }
}
