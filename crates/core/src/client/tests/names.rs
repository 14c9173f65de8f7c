//! Names for the resolver: a name with several addresses, or with others than a moment ago, is nothing that the
//! system's has to offer.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex};

static NAMES: LazyLock<Mutex<HashMap<String, Vec<SocketAddr>>>> = LazyLock::new(Mutex::default);

pub fn set(name: &str, addresses: &[SocketAddr]) {
    NAMES.lock().unwrap().insert(name.to_owned(), addresses.to_vec());
}

pub fn addresses(name: &str) -> Option<Vec<SocketAddr>> {
    NAMES.lock().unwrap().get(name).cloned()
}
