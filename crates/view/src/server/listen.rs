//! Takes connections, as many as there are places for.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{Connection, closed};
use super::service::Service;

/// How long to wait where no connection can be taken: descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop` has no sender any more, and then until the requests under way are answered.
pub async fn serve(listener: TcpListener, service: Service, stop: watch::Receiver<()>) {
    let room = Arc::new(Semaphore::new(service.limits.connections));
    let mut connections = JoinSet::new();
    let mut stopping = stop.clone();
    loop {
        tokio::select! {
            () = closed(&mut stopping) => break,
            Some(_) = connections.join_next() => {}
            (stream, place) = accept(&listener, &room) => {
                let connection = Connection::new(service.clone(), room.clone());
                let stop = stop.clone();
                connections.spawn(async move {
                    connection.serve(stream, stop).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let place = room.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
