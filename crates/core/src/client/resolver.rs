//! Names to addresses, by the system's resolver, which blocks: on a thread that ends with the look-up.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
#[cfg(test)]
use std::sync::LazyLock;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::process::fork::PerProcess;

type Addresses = io::Result<Vec<SocketAddr>>;
type LookUp = watch::Receiver<Option<Result<Vec<SocketAddr>, Arc<io::Error>>>>;

/// Look-ups under way, by name: who asks again waits for the same answer, so that a name server that hangs occupies one
/// thread, not one for each export. The threads do not exist in a forked child.
static UNDER_WAY: PerProcess<Mutex<HashMap<String, LookUp>>> = PerProcess::new();

/// The addresses of a name, with port 0. Called on the runtime's thread, whose blocked signals a new one inherits.
pub(super) async fn look_up(name: &str) -> Addresses {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(vec![(address, 0).into()]),
        Err(_) => one_at_a_time(name, ask).await,
    }
}

/// Names that tests make up, because the system's resolver has none with several addresses, or with new ones.
#[cfg(test)]
pub(super) static MADE_UP: LazyLock<Mutex<HashMap<String, Vec<SocketAddr>>>> = LazyLock::new(Mutex::default);

fn ask(name: &str) -> Addresses {
    #[cfg(test)]
    if let Some(addresses) = MADE_UP.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(addresses.clone());
    }
    Ok((name, 0).to_socket_addrs()?.collect())
}

async fn one_at_a_time(name: &str, ask: impl Fn(&str) -> Addresses + Clone + Send + 'static) -> Addresses {
    let found = match under_way_or_begun(name, ask.clone()) {
        Ok(mut look_up) => look_up.wait_for(Option::is_some).await.ok().and_then(|found| found.clone()),
        Err(_no_thread) => None,
    };
    match found {
        Some(found) => found.map_err(|error| io::Error::new(error.kind(), error)),
        // No thread could be started, so this one does it.
        None => ask(name),
    }
}

fn under_way_or_begun(name: &str, ask: impl Fn(&str) -> Addresses + Send + 'static) -> io::Result<LookUp> {
    let mut all = under_way();
    if let Some(look_up) = all.get(name) {
        return Ok(look_up.clone());
    }
    let (answer, look_up) = watch::channel(None);
    let asked = name.to_owned();
    std::thread::Builder::new().name("otel-rs-resolve".into()).spawn(move || {
        let found = ask(&asked).map_err(Arc::new);
        under_way().remove(&asked);
        answer.send_replace(Some(found));
    })?;
    all.insert(name.to_owned(), look_up.clone());
    Ok(look_up)
}

fn under_way() -> MutexGuard<'static, HashMap<String, LookUp>> {
    UNDER_WAY.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// A resolver that counts its look-ups in the ports, and says each time on which thread it is.
    fn counting(
        answers: mpsc::Receiver<()>,
    ) -> (impl Fn(&str) -> Addresses + Clone + Send + 'static, mpsc::Receiver<Option<String>>) {
        let (asked, asks) = mpsc::channel();
        let (answers, count) = (Arc::new(Mutex::new(answers)), Arc::new(AtomicU16::new(0)));
        let ask = move |_: &str| {
            asked.send(thread::current().name().map(str::to_owned)).unwrap();
            let _ = answers.lock().unwrap().recv();
            Ok(vec![([127, 0, 0, 1], count.fetch_add(1, Ordering::Relaxed) + 1).into()])
        };
        (ask, asks)
    }

    #[tokio::test]
    async fn a_name_is_looked_up_once_at_a_time_on_a_thread_of_its_own() {
        let (answer, answers) = mpsc::channel();
        let (ask, asks) = counting(answers);
        let mut both = Box::pin(async {
            tokio::join!(one_at_a_time("shared.test", ask.clone()), one_at_a_time("shared.test", ask.clone()))
        });
        tokio::select! {
            biased;
            _ = &mut both => panic!("nobody has answered yet"),
            () = tokio::task::yield_now() => {}
        }
        // Whoever asked gives up; the next one waits for the same look-up.
        drop(both);
        let theirs = ask.clone();
        let later = tokio::spawn(async { one_at_a_time("shared.test", theirs).await });
        tokio::task::yield_now().await;
        answer.send(()).unwrap();
        assert_eq!(later.await.unwrap().unwrap()[0].port(), 1);
        assert_eq!(asks.recv().unwrap().as_deref(), Some("otel-rs-resolve"));

        // What has been answered is not kept.
        answer.send(()).unwrap();
        assert_eq!(one_at_a_time("shared.test", ask).await.unwrap()[0].port(), 2);
        assert!(asks.recv().is_ok());
    }

    #[tokio::test]
    async fn a_failure_keeps_its_kind_and_its_words() {
        let failing = |_: &str| Err(io::Error::new(io::ErrorKind::TimedOut, "no name server"));
        let error = one_at_a_time("failing.test", failing).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::TimedOut, "no name server".to_owned()));
        assert!(under_way().get("failing.test").is_none());
    }

    #[tokio::test]
    async fn an_address_is_its_own_address() {
        for address in ["127.0.0.1", "::1"] {
            assert_eq!(look_up(address).await.unwrap(), [(address.parse::<IpAddr>().unwrap(), 0).into()]);
        }
    }
}
