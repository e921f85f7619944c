//! Which TCP socket carries which connection, and cutting it: for a look at what clients do when the network fails.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use signalr::ConnectionId;
use tokio_util::sync::CancellationToken;

use crate::locked;

/// The open sockets by the address of their peer, and the hub's connections on them.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    sockets: Mutex<HashMap<SocketAddr, CancellationToken>>,
    connections: Mutex<HashMap<String, Carried>>,
}

/// A connection of the hub, and the socket that carries it.
#[derive(Debug)]
struct Carried {
    user_id: String,
    peer: SocketAddr,
}

impl Cuts {
    /// A socket was accepted. When the token is cancelled, it has to end.
    pub(crate) fn accepted(&self, peer: SocketAddr) -> CancellationToken {
        let token = CancellationToken::new();
        locked(&self.sockets).insert(peer, token.clone());
        token
    }

    /// A socket has ended.
    pub(crate) fn ended(&self, peer: &SocketAddr) {
        locked(&self.sockets).remove(peer);
    }

    pub(crate) fn connected(&self, id: ConnectionId, user_id: &str, peer: SocketAddr) {
        locked(&self.connections).insert(id.to_string(), Carried { user_id: user_id.to_owned(), peer });
    }

    pub(crate) fn disconnected(&self, id: ConnectionId) {
        locked(&self.connections).remove(&id.to_string());
    }

    /// Cuts the socket of a connection, if it is one of this user. Whether there was one is the answer.
    pub(crate) fn cut(&self, user_id: &str, connection_id: &str) -> bool {
        let carried = locked(&self.connections)
            .get(connection_id)
            .filter(|carried| carried.user_id == user_id)
            .map(|carried| carried.peer);
        let token = carried.and_then(|peer| locked(&self.sockets).get(&peer).cloned());
        if let Some(token) = &token {
            token.cancel();
        }
        token.is_some()
    }
}
