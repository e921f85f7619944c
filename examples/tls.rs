//! How is a hub served over TLS? By rustls, with hyper behind it: HTTP/2 or HTTP/1.1, as the client likes, and WebSockets
//! over both.
//!
//! `cargo run --example tls -- certificate.pem key.pem`, then a SignalR client on `https://localhost:5001/greetings` may
//! `invoke('Greet', 'Ada')`. A certificate to try it with, which a browser must be told to trust:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
//!     -addext subjectAltName=DNS:localhost -keyout key.pem -out certificate.pem
//! ```

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use signalr::hosting::{PeerAddr, TimeoutStream};
use signalr::{SignalR, hub};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// So long a client may take to agree on keys.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

struct Greetings;

#[hub]
impl Greetings {
    fn greet(&self, name: String) -> String {
        format!("Hello, {name}!")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err("give it the PEM files of a certificate and of its key".into());
    };
    let acceptor = acceptor(certificate.as_ref(), key.as_ref())?;
    let signalr = SignalR::builder().hub("/greetings", Greetings).build()?;
    serve(TcpListener::bind("127.0.0.1:5001").await?, acceptor, signalr).await?;
    Ok(())
}

/// The certificate, with those above it in the same file, and its key.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    // What the client may choose from (ALPN), in the order of preference.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until accepting fails.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, signalr: SignalR) -> io::Result<()> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    // Without the extended CONNECT, browsers open another connection for their WebSockets.
    http.http2().timer(TokioTimer::new()).enable_connect_protocol();
    loop {
        let (socket, peer) = listener.accept().await?;
        // Under TLS: what TLS buffers for a client that reads nothing is not sent yet.
        let socket = signalr.timeout_stream(socket);
        tokio::spawn(serve_one(socket, peer, acceptor.clone(), http.clone(), signalr.service()));
    }
}

async fn serve_one(
    socket: TimeoutStream<TcpStream>,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    http: auto::Builder<TokioExecutor>,
    hubs: signalr::hosting::Service,
) {
    let handle = socket.handle();
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(socket)).await else { return };
    let service = service_fn(move |mut request: Request<Incoming>| {
        // What the hub sees as `caller.request().peer_addr()`.
        request.extensions_mut().insert(PeerAddr(peer));
        // A stream of HTTP/2 may take nothing while the socket does.
        request.extensions_mut().insert(handle.clone());
        hubs.call(request)
    });
    if let Err(error) = http.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(error, "an HTTP connection ended badly");
    }
}
