//! Makes text of a server fit for the log.

/// Enough for a server to say what is wrong, too little to flood a log.
const MAX_CHARS: usize = 200;

/// Shorter texts are no secrets worth the name, and replacing each "1" would make messages unreadable.
const MIN_SECRET_LEN: usize = 4;

/// Secrets, longest first.
pub(super) struct Redaction {
    secrets: Vec<String>,
}

impl Redaction {
    /// Hides each value, and of one like `Bearer <token>` the token alone as well: a server that quotes the credentials
    /// it refused may leave the scheme out.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Redaction {
        let mut secrets: Vec<String> = values
            .into_iter()
            .flat_map(|value| [value.trim(), value.split_whitespace().last().unwrap_or("")])
            .filter(|secret| secret.len() >= MIN_SECRET_LEN)
            .map(str::to_owned)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Redaction { secrets }
    }

    /// `text` on one line, bounded, without control characters and secrets.
    pub fn one_line(&self, text: &str) -> String {
        let mut text = text.trim().to_owned();
        // Before the cut, or half a secret at the end would go unnoticed.
        for secret in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, "[redacted]");
            }
        }
        let mut chars = text.chars();
        let mut line: String = chars.by_ref().take(MAX_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if chars.next().is_some() {
            line.push('…');
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_one_bounded_line() {
        let redaction = Redaction::of([]);
        assert_eq!(redaction.one_line(" a\nb\x1b[31m\u{85}c "), "a b [31m c");
        let long = redaction.one_line(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
    }

    #[test]
    fn secrets_are_hidden() {
        let redaction = Redaction::of(["Bearer s3cret-token", "1"]);
        for text in ["bad s3cret-token!", "bad Bearer s3cret-token!"] {
            assert_eq!(redaction.one_line(text), "bad [redacted]!");
        }
        let cut = format!("{}s3cret-token", "1".repeat(MAX_CHARS - 3));
        assert!(!redaction.one_line(&cut).contains("s3c"));
    }
}
