//! Listening on a URL, with or without TLS.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::routes::Secure;

/// Binds to `url`, prints it, and returns a future that serves its connections.
pub(crate) async fn listen(url: &str, app: Router) -> Result<impl Future<Output = ()> + Send + use<>, Box<dyn Error>> {
    let (scheme, address) = url.split_once("://").ok_or("URL does not begin with http:// or https://")?;
    let (acceptor, app) = match scheme {
        "http" => (None, app),
        "https" => (Some(acceptor()?), app.layer(Extension(Secure))),
        _ => return Err("URL does not begin with http:// or https://".into()),
    };
    let listener = TcpListener::bind(address.trim_end_matches('/')).await?;
    writeln!(std::io::stdout(), "Now listening on: {scheme}://{}", listener.local_addr()?)?;
    Ok(serve(listener, acceptor, app))
}

/// Creates an acceptor with a new self-signed certificate.
fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.into()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, app: Router) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new());
    http.http2().timer(TokioTimer::new()).enable_connect_protocol();
    // A failed accept ends the server, which is sufficient for tests.
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve_one(socket, acceptor.clone(), http.clone(), app.clone()));
    }
}

async fn serve_one(socket: TcpStream, acceptor: Option<TlsAcceptor>, http: auto::Builder<TokioExecutor>, app: Router) {
    // Sends small messages without delay.
    let _ = socket.set_nodelay(true);
    let app = TowerToHyperService::new(app);
    let result = match acceptor {
        None => http.serve_connection_with_upgrades(TokioIo::new(socket), app).await,
        Some(acceptor) => match acceptor.accept(socket).await {
            Ok(stream) => http.serve_connection_with_upgrades(TokioIo::new(stream), app).await,
            Err(error) => Err(error.into()),
        },
    };
    if let Err(error) = result {
        tracing::debug!(error, "HTTP connection failed");
    }
}
