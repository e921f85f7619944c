//! Opens connections to whichever server is the right one at that moment.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisResult, cmd};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::options::{Address, RedisAddress, RedisOptions, Security, Topology, anonymous};
use super::paced_socket::{Pace, PacedSocket};

/// Knows the servers, and connects to one of them.
pub(super) struct Connector {
    topology: Topology,
    credentials: Option<RedisConnectionInfo>,
    tls: TlsConnector,
    connect_timeout: Duration,
    /// Index of the node or the Sentinel that is tried first.
    turn: AtomicUsize,
}

/// A connection, and the server at its other end.
pub(super) struct Connected<C> {
    pub(super) connection: C,
    pub(super) address: Address,
    pub(super) pace: Arc<Pace>,
}

/// An established socket of any kind.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

impl Connector {
    pub(super) fn new(options: &RedisOptions) -> Self {
        let tls = options.tls.config().expect("the setters have checked the certificates");
        Self {
            topology: options.topology.clone(),
            credentials: options.credentials.clone(),
            tls: TlsConnector::from(Arc::new(tls)),
            connect_timeout: options.connect_timeout,
            turn: AtomicUsize::new(getrandom::u32().unwrap_or_default() as usize),
        }
    }

    /// Opens a connection for publishing, and the future that drives it. Fails with the reason.
    pub(super) async fn open_publisher(
        &self,
    ) -> Result<Connected<(MultiplexedConnection, BoxFuture<'static, ()>)>, Arc<str>> {
        let pace = Pace::unbounded();
        self.timed(async {
            let (socket, server) = self.open().await?;
            let socket = PacedSocket::new(socket, pace.clone());
            let connection = multiplex(&server.login, socket).await.map_err(|error| reason(&server.address, &error))?;
            Ok(Connected { connection, address: server.address, pace: pace.clone() })
        })
        .await
    }

    /// Opens a connection for subscriptions. Fails with the reason.
    pub(super) async fn open_subscriber(&self) -> Result<Connected<PubSub>, Arc<str>> {
        let pace = Pace::bounded();
        self.timed(async {
            let (socket, server) = self.open().await?;
            let socket = PacedSocket::new(socket, pace.clone());
            let connection =
                PubSub::new(&server.login, socket).await.map_err(|error| reason(&server.address, &error))?;
            Ok(Connected { connection, address: server.address, pace: pace.clone() })
        })
        .await
    }

    /// Returns whether the Sentinels have made another server the master. `false` if they do not answer.
    pub(super) async fn has_moved(&self, from: &Address) -> bool {
        let Topology::Sentinel { sentinels, master } = &self.topology else { return false };
        matches!(self.timed(self.find_master(sentinels, master)).await, Ok(server) if server.address != *from)
    }

    async fn timed<T>(&self, connecting: impl Future<Output = Result<T, Arc<str>>>) -> Result<T, Arc<str>> {
        tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .unwrap_or_else(|_| Err("connecting timed out".into()))
    }

    async fn open(&self) -> Result<(Box<dyn Socket>, RedisAddress), Arc<str>> {
        let server = match &self.topology {
            Topology::Single(server) => server.clone(),
            Topology::Cluster(nodes) => return self.open_any(nodes).await,
            Topology::Sentinel { sentinels, master } => self.find_master(sentinels, master).await?,
        };
        let server = self.with_credentials(server);
        let socket = self.dial(&server.address).await?;
        Ok((socket, server))
    }

    async fn open_any(&self, nodes: &[RedisAddress]) -> Result<(Box<dyn Socket>, RedisAddress), Arc<str>> {
        let mut failed = None;
        for node in self.rotated(nodes) {
            match self.dial(&node.address).await {
                Ok(socket) => return Ok((socket, self.with_credentials(node.clone()))),
                Err(reason) => failed = Some(reason),
            }
        }
        Err(failed.expect("a cluster has a node"))
    }

    async fn find_master(&self, sentinels: &[RedisAddress], master: &str) -> Result<RedisAddress, Arc<str>> {
        let mut failed = None;
        for sentinel in self.rotated(sentinels) {
            match self.query_master(sentinel, master).await {
                Ok(Some((host, port))) => {
                    let security = match sentinel.address {
                        Address::Tcp { security, .. } => security,
                        Address::Unix(_) => Security::Plain,
                    };
                    return Ok(RedisAddress { address: Address::Tcp { host, port, security }, login: anonymous() });
                }
                Ok(None) => failed = Some(format!("{}: unknown master name", sentinel.address).into()),
                Err(reason) => failed = Some(reason),
            }
        }
        Err(failed.expect("the list of Sentinels is not empty"))
    }

    async fn query_master(&self, sentinel: &RedisAddress, master: &str) -> Result<Option<(String, u16)>, Arc<str>> {
        let socket = self.dial(&sentinel.address).await?;
        let query = async {
            let (mut connection, driver) = multiplex(&sentinel.login, socket).await?;
            let mut query = cmd("SENTINEL");
            query.arg("get-master-addr-by-name").arg(master);
            let mut answer = pin!(query.query_async(&mut connection));
            tokio::select! {
                answer = &mut answer => answer,
                // The answer is an error now.
                () = driver => answer.await,
            }
        };
        query.await.map_err(|error| reason(&sentinel.address, &error))
    }

    async fn dial(&self, address: &Address) -> Result<Box<dyn Socket>, Arc<str>> {
        self.connect_socket(address).await.map_err(|error| reason(address, &error))
    }

    async fn connect_socket(&self, address: &Address) -> std::io::Result<Box<dyn Socket>> {
        let (host, port, security) = match address {
            Address::Tcp { host, port, security } => (host, *port, *security),
            #[cfg(unix)]
            Address::Unix(path) => return Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(std::io::ErrorKind::Unsupported.into()),
        };
        let socket = TcpStream::connect((host.as_str(), port)).await?;
        socket.set_nodelay(true)?;
        SockRef::from(&socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE))?;
        match security {
            Security::Plain => Ok(Box::new(socket)),
            Security::Tls => {
                let name = ServerName::try_from(host.clone()).map_err(std::io::Error::other)?;
                Ok(Box::new(self.tls.connect(name, socket).await?))
            }
        }
    }

    fn with_credentials(&self, server: RedisAddress) -> RedisAddress {
        RedisAddress { login: self.credentials.clone().unwrap_or(server.login), ..server }
    }

    /// Returns all servers, each time beginning with the next one.
    fn rotated<'s>(&self, servers: &'s [RedisAddress]) -> impl Iterator<Item = &'s RedisAddress> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % servers.len();
        servers[first..].iter().chain(&servers[..first])
    }
}

/// Logs in, and returns the connection with the future that drives it. The caller applies time limits to each request.
async fn multiplex(
    login: &RedisConnectionInfo,
    socket: impl Socket + 'static,
) -> RedisResult<(MultiplexedConnection, BoxFuture<'static, ()>)> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(login, socket, config).await?;
    Ok((connection, driver.boxed()))
}

fn reason(address: &Address, error: &dyn std::fmt::Display) -> Arc<str> {
    format!("{address}: {error}").into()
}

/// Time between two PINGs on a connection.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// For connections that a firewall between would forget.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
