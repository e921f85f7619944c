//! A hub over TLS with rustls and hyper: HTTP/2 or HTTP/1.1, as the client negotiates, and
//! WebSockets over both.
//!
//! Run `cargo run --example tls -- certificate.pem key.pem`, connect a SignalR client to
//! `https://localhost:5001/greetings` and call `invoke('Greet', 'Ada')`. This command creates a
//! certificate for tests, which a browser has to be configured to trust:
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

/// Longest duration of a TLS handshake.
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
        return Err("usage: tls CERTIFICATE.pem KEY.pem".into());
    };
    let acceptor = acceptor(certificate.as_ref(), key.as_ref())?;
    let signalr = SignalR::builder().hub("/greetings", Greetings).build()?;
    serve(TcpListener::bind("127.0.0.1:5001").await?, acceptor, signalr).await?;
    Ok(())
}

/// Loads the certificate chain and its key from PEM files.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    // The ALPN protocols in order of preference.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Serves until `accept` fails.
pub(crate) async fn serve(listener: TcpListener, acceptor: TlsAcceptor, signalr: SignalR) -> io::Result<()> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    // Without extended CONNECT, browsers open another connection for WebSockets.
    http.http2().timer(TokioTimer::new()).enable_connect_protocol();
    loop {
        let (socket, peer) = listener.accept().await?;
        // Wraps the socket below TLS, because data in TLS's buffers is not sent yet.
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
        // The hub reads it with `caller.request().peer_addr()`.
        request.extensions_mut().insert(PeerAddr(peer));
        // With HTTP/2 a client can stop reading one stream while it reads the socket.
        request.extensions_mut().insert(handle.clone());
        hubs.call(request)
    });
    if let Err(error) = http.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        tracing::debug!(error, "HTTP connection failed");
    }
}
