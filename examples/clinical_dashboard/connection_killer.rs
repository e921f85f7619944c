//! Cuts the TCP socket of a connection on request of its user, to show how clients handle a network
//! failure.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use signalr::ConnectionId;
use tokio_util::sync::CancellationToken;

use crate::lock;

/// Open sockets by peer address, and the connections of the hub by connection id.
#[derive(Debug, Default)]
pub(crate) struct ConnectionKiller {
    sockets: Mutex<HashMap<SocketAddr, CancellationToken>>,
    connections: Mutex<HashMap<String, Connection>>,
}

/// The user of a connection, and the peer address of its socket.
#[derive(Debug)]
struct Connection {
    user_id: String,
    peer: SocketAddr,
}

impl ConnectionKiller {
    /// Adds an accepted socket. The returned token is cancelled when the socket has to be closed.
    pub(crate) fn add_socket(&self, peer: SocketAddr) -> CancellationToken {
        let token = CancellationToken::new();
        lock(&self.sockets).insert(peer, token.clone());
        token
    }

    pub(crate) fn remove_socket(&self, peer: &SocketAddr) {
        lock(&self.sockets).remove(peer);
    }

    pub(crate) fn add_connection(&self, id: ConnectionId, user_id: &str, peer: SocketAddr) {
        lock(&self.connections).insert(id.to_string(), Connection { user_id: user_id.to_owned(), peer });
    }

    pub(crate) fn remove_connection(&self, id: ConnectionId) {
        lock(&self.connections).remove(&id.to_string());
    }

    /// Cuts the socket of a connection if it belongs to this user. Returns whether a socket was
    /// found.
    pub(crate) fn cut(&self, user_id: &str, connection_id: &str) -> bool {
        let peer = lock(&self.connections)
            .get(connection_id)
            .filter(|connection| connection.user_id == user_id)
            .map(|connection| connection.peer);
        let token = peer.and_then(|peer| lock(&self.sockets).get(&peer).cloned());
        if let Some(token) = &token {
            token.cancel();
        }
        token.is_some()
    }
}
