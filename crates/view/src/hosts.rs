//! By which names a peer may address the receiver.
//!
//! A page in the user's browser can let its own name resolve to 127.0.0.1 and then read from and write to whatever
//! listens there (DNS rebinding). Its name stays in the request, which is how it is told.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use tonic::Code;

use crate::refusal::Refusal;

#[derive(Clone)]
pub struct Hosts {
    /// In lower case.
    names: Arc<[String]>,
}

impl Hosts {
    /// `listened_on`: `HOST:PORT` as the user gave them; `allowed`: further names, also the user's.
    pub fn new<'a>(listened_on: impl IntoIterator<Item = &'a str>, allowed: &[String]) -> Self {
        let listened_on = listened_on.into_iter().filter_map(|address| Some(address.rsplit_once(':')?.0));
        Self { names: listened_on.chain(allowed.iter().map(String::as_str)).map(plain_name).collect() }
    }

    /// `local` is the address of this end of the connection.
    pub fn check(&self, head: &Parts, local: IpAddr) -> Result<(), Refusal> {
        let in_headers = head.headers.get_all(HOST).iter().map(|value| value.to_str().ok());
        // What HTTP/2 has as `:authority`. A request without any host is no browser's.
        let mut hosts = in_headers.chain(head.uri.authority().map(|authority| Some(authority.as_str())));
        match hosts.find(|host| !host.is_some_and(|host| self.has(host, local))) {
            None => Ok(()),
            Some(host) => {
                let name = host.and_then(name_of).unwrap_or_else(|| "that".to_owned());
                let message = format!(
                    "the host {name} is neither loopback nor what otel-rs view listens on; --allow-host {name} takes it"
                );
                Err(Refusal::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message))
            }
        }
    }

    fn has(&self, host: &str, local: IpAddr) -> bool {
        let Some(name) = name_of(host) else { return false };
        if self.names.contains(&name) {
            return true;
        }
        match name.parse::<IpAddr>() {
            Ok(address) => self.has_address(address.to_canonical(), local.to_canonical()),
            Err(_) => name == "localhost" || name.ends_with(".localhost"),
        }
    }

    /// Where it listens on all addresses, any address may lead to it, through a container's published port too. That
    /// is no way in for a page: a name is what can be rebound.
    fn has_address(&self, address: IpAddr, local: IpAddr) -> bool {
        let on_all =
            || self.names.iter().any(|name| name.parse().is_ok_and(|address: IpAddr| address.is_unspecified()));
        address.is_loopback() || address == local || on_all()
    }
}

fn name_of(host: &str) -> Option<String> {
    host.parse::<Authority>().ok().map(|authority| plain_name(authority.host()))
}

fn plain_name(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}
