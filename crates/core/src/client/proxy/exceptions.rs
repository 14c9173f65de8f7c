//! Who is reached without the proxy: `NO_PROXY`.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// Entries with commas between them: `*` for all, a name, which stands for all names below it as well, an address, or a
/// network. A name or an address may have a port behind it. `requests` and gRPC's C core each read most of this.
pub(super) struct Exceptions<'a>(pub &'a str);

impl Exceptions<'_> {
    pub fn contain(&self, target: &Url) -> bool {
        let Some(host) = target.host() else { return false };
        let port = target.port_or_known_default();
        let mut entries = self.0.split(',').map(|entry| entry.trim().to_lowercase());
        entries.any(|entry| match &host {
            _ if entry == "*" => true,
            Host::Domain(name) => is_name(&entry, name, port),
            Host::Ipv4(address) => is_address(&entry, (*address).into(), port),
            Host::Ipv6(address) => is_address(&entry, (*address).into(), port),
        })
    }
}

fn is_name(entry: &str, name: &str, port: Option<u16>) -> bool {
    let (entry, of_port) = split_port(entry);
    let entry = entry.trim_start_matches('.');
    if entry.is_empty() || (of_port.is_some() && of_port != port) {
        return false;
    }
    name.strip_suffix(entry).is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn is_address(entry: &str, address: IpAddr, port: Option<u16>) -> bool {
    if let Ok(network) = entry.parse::<IpNet>() {
        return network.contains(&address);
    }
    let is = |text: &str| without_brackets(text).parse() == Ok(address);
    let (entry_alone, of_port) = split_port(entry);
    is(entry) || (is(entry_alone) && of_port == port)
}

/// The port, if there is one behind the last colon.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let split = entry.rsplit_once(':').and_then(|(host, port)| Some((host, Some(port.parse().ok()?))));
    split.unwrap_or((entry, None))
}

fn without_brackets(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_names_with_all_below_them_addresses_and_networks() {
        for (exceptions, target, contained) in [
            ("", "http://example.com:4318", false),
            (" , ", "http://example.com:4318", false),
            ("*", "http://example.com:4318", true),
            ("elsewhere, * ", "http://10.1.2.3:4318", true),
            ("example.com", "http://example.com:4318", true),
            ("elsewhere , example.com", "http://otel.example.com:4318", true),
            ("Example.COM", "http://eXample.com:4318", true),
            ("example.com", "http://notexample.com:4318", false),
            ("example.com", "http://example.com.evil:4318", false),
            (".example.com", "http://example.com:4318", true),
            (".example.com", "http://otel.example.com:4318", true),
            (".example.com", "http://notexample.com:4318", false),
            (".", "http://example.com:4318", false),
            ("*.example.com", "http://otel.example.com:4318", false),
            ("example.com:4318", "http://example.com:4318", true),
            ("example.com:4318", "http://otel.example.com:4318", true),
            ("example.com:4317", "http://example.com:4318", false),
            (":4318", "http://example.com:4318", false),
            ("example.com:80", "http://example.com/v1/traces", true),
            ("10.1.2.3", "http://10.1.2.3:4318", true),
            ("10.1.2.3:4318", "http://10.1.2.3:4318", true),
            ("10.1.2.3:4317", "http://10.1.2.3:4318", false),
            ("10.0.0.0/8", "http://10.1.2.3:4318", true),
            ("10.9.9.9/8", "http://10.1.2.3:4318", true),
            ("10.0.0.0/8", "http://11.1.2.3:4318", false),
            ("10.0.0.0/99", "http://10.1.2.3:4318", false),
            ("2.3", "http://10.1.2.3:4318", false),
            ("::1", "http://[::1]:4318", true),
            ("[::1]", "http://[::1]:4318", true),
            ("[::1]:4318", "http://[::1]:4318", true),
            ("[::1]:4317", "http://[::1]:4318", false),
            ("fd00::/8", "http://[fd12::1]:4318", true),
            ("fd00::/8", "http://[fe80::1]:4318", false),
        ] {
            let target_url = Url::parse(target).unwrap();
            assert_eq!(Exceptions(exceptions).contain(&target_url), contained, "{exceptions:?} {target}");
        }
    }
}
