//! Takes connections, as many as there are places for.

use std::collections::HashMap;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::sleep;

use super::activity::Activity;
use super::connection::{Connection, closed};
use super::service::Service;
use crate::config::Limits;

/// How long to wait where no connection can be taken: descriptors may have run out, or all places are busy.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` has no sender any more, and then until the requests under way are answered.
pub async fn serve(listener: TcpListener, service: Service, stop: watch::Receiver<()>) {
    let mut places = Places { limits: service.limits, taken: HashMap::new() };
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        let has_place = places.make_one();
        tokio::select! {
            () = closed(&mut stopping) => break,
            Some(ended) = connections.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                places.taken.remove(&id);
            }
            stream = accept(&listener), if has_place => {
                let connection = Connection::new(service.clone());
                let activity = connection.activity();
                let handle = connections.spawn(connection.serve(stream, stop.clone()));
                places.taken.insert(handle.id(), (activity, handle));
            }
            () = sleep(ACCEPT_PAUSE), if !has_place => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

struct Places {
    limits: Limits,
    taken: HashMap<Id, (Activity, AbortHandle)>,
}

impl Places {
    /// Whether there is a place now. Where all are taken, the connection that has been without a request for longest
    /// goes: whoever opens connections and says nothing keeps nobody out.
    fn make_one(&mut self) -> bool {
        if self.taken.len() < self.limits.connections {
            return true;
        }
        let quiet = self.taken.iter().filter_map(|(id, (activity, _))| Some((activity.quiet_since()?, *id)));
        let Some((since, longest)) = quiet.min_by_key(|(since, _)| *since) else { return false };
        if since.elapsed() < self.limits.idle_when_full {
            return false;
        }
        if let Some((_, connection)) = self.taken.remove(&longest) {
            connection.abort();
        }
        true
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}
