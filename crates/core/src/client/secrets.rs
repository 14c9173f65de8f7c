//! Secrets in addresses: the credentials of their user info, in all the forms in which a server may quote them, and
//! addresses without them.

use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;

/// `endpoint` without user info, query and fragment, even when it is no URL at all.
pub(super) fn without_secrets(endpoint: &str) -> String {
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), endpoint),
    };
    // In text that does not parse, an @ may end user info that contains any other delimiter: cut at the last one first.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{rest}")
}

/// The password, or the user's name where it stands alone, as written and decoded, and the header made of both.
pub(super) fn credentials_in(address: &str) -> Vec<String> {
    let Some((user_info, _)) = address.rsplit_once('@') else { return Vec::new() };
    let user_info = user_info.rsplit_once("://").map_or(user_info, |(_, user_info)| user_info);
    let written = user_info.split_once(':').map_or(user_info, |(_, password)| password);
    let mut credentials = vec![written.to_owned(), percent_decode_str(written).decode_utf8_lossy().into_owned()];
    credentials.extend(basic_authentication(address).and_then(|header| Some(header.to_str().ok()?.to_owned())));
    credentials
}

/// The `authorization` header that the user info of `address` makes. hyper-util makes it for proxies; an endpoint's is
/// no different.
pub(super) fn basic_authentication(address: &str) -> Option<HeaderValue> {
    let matcher = Matcher::builder().all(address).build();
    let matched = matcher.intercept(&http::Uri::from_static("http://any/"))?;
    matched.basic_auth().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_from_what_is_shown() {
        for (endpoint, shown) in [
            ("http://host:4318/v1/traces", "http://host:4318/v1/traces"),
            ("http://user:secret@host/v1", "http://host/v1"),
            ("http://us er:sec/r?t@host/v1", "http://host/v1"),
            ("http://host/v1?api-key=secret#secret", "http://host/v1"),
            ("user:secret@host", "host"),
            ("host:4317", "host:4317"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(endpoint), shown);
        }
    }

    #[test]
    fn all_forms_are_known() {
        for (address, credentials) in [
            ("http://user:pa55word@host:1/v1", vec!["pa55word", "pa55word", "Basic dXNlcjpwYTU1d29yZA=="]),
            ("https://user:p%40ss@host", vec!["p%40ss", "p@ss", "Basic dXNlcjpwQHNz"]),
            ("http://user:p%zz%@host", vec!["p%zz%", "p%zz%", "Basic dXNlcjpwJXp6JQ=="]),
            ("user:pa55word@host:1", vec!["pa55word", "pa55word", "Basic dXNlcjpwYTU1d29yZA=="]),
            ("http://token@host", vec!["token", "token", "Basic dG9rZW46"]),
            ("http://host:1/v1", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(credentials_in(address), credentials, "{address}");
        }
    }
}
