//! Which variables name proxies, and which of them counts.

/// An environment variable's value.
pub type Environment = dyn Fn(&str) -> Option<String>;

/// What is not UTF-8 in it becomes U+FFFD.
pub fn environment(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

/// One that is set.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub name: &'static str,
    pub text: String,
}

/// All that may name a proxy.
pub const PROXIES: [&str; 7] =
    ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// gRPC's C core reads the first that is set, even if it is empty, which means none; upper case is our addition.
/// Plaintext targets use `https_proxy`, too, since the proxy's tunnel carries either.
const GRPC_PROXIES: [&str; 5] = ["grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY", "HTTP_PROXY"];
const NO_GRPC_PROXY: [&str; 3] = ["no_grpc_proxy", "no_proxy", "NO_PROXY"];

/// Lower and upper case.
type Spellings = [&'static str; 2];
const HTTP_PROXY: Spellings = ["http_proxy", "HTTP_PROXY"];
const HTTPS_PROXY: Spellings = ["https_proxy", "HTTPS_PROXY"];
const ALL_PROXY: Spellings = ["all_proxy", "ALL_PROXY"];
const NO_HTTP_PROXY: Spellings = ["no_proxy", "NO_PROXY"];

pub(super) fn grpc_proxy(environment: &Environment) -> Option<Variable> {
    let first = GRPC_PROXIES.into_iter().find_map(|name| value(name, environment));
    first.filter(|variable| !variable.text.is_empty())
}

pub(super) fn no_grpc_proxy(environment: &Environment) -> String {
    NO_GRPC_PROXY.into_iter().find_map(environment).unwrap_or_default()
}

/// As `requests`: the scheme's own, then the one for all. An empty one in lower case hides the same in upper case.
pub(super) fn http_proxy(scheme: &str, environment: &Environment) -> Option<Variable> {
    let of_scheme = if scheme == "https" { HTTPS_PROXY } else { HTTP_PROXY };
    [of_scheme, ALL_PROXY].into_iter().find_map(|spellings| {
        let set = spellings.into_iter().find_map(|name| value(name, environment));
        set.filter(|variable| !variable.text.is_empty())
    })
}

pub(super) fn no_http_proxy(environment: &Environment) -> String {
    let set = NO_HTTP_PROXY.into_iter().filter_map(environment);
    set.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

/// Whether any variable says something about HTTP's proxies, if only that there is none.
pub(super) fn name_an_http_proxy(environment: &Environment) -> bool {
    [HTTP_PROXY, HTTPS_PROXY, ALL_PROXY].as_flattened().iter().any(|name| environment(name).is_some())
}

fn value(name: &'static str, environment: &Environment) -> Option<Variable> {
    // In a CGI process HTTP_PROXY is what the client sent as a `Proxy` header.
    if name == "HTTP_PROXY" && environment("REQUEST_METHOD").is_some() {
        return None;
    }
    Some(Variable { name, text: environment(name)? })
}
