//! Users with a client certificate: a TLS handshake in which both ends present one.

use std::collections::HashMap;

use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use signalr::auth::ExtensionUser;
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A certificate authority that clients and the server trust.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), root }
    }

    fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        (certificate, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        Arc::new(roots)
    }
}

/// The certificate of the client, as a request extension.
#[derive(Clone)]
struct ClientCertificate(Vec<u8>);

/// Serves over TLS and adds the client's certificate to each request. Clients may connect without
/// one.
async fn serve_tls(signalr: &SignalR, authority: &Authority) -> SocketAddr {
    let (certificate, key) = authority.issue("localhost");
    let clients = WebPkiClientVerifier::builder(authority.roots()).allow_unauthenticated().build().unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(clients);
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = signalr.service();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(socket).await else { return };
                let shown = tls.get_ref().1.peer_certificates().map(|chain| ClientCertificate(chain[0].to_vec()));
                let service = service_fn(move |mut request: Request<Incoming>| {
                    if let Some(certificate) = shown.clone() {
                        request.extensions_mut().insert(certificate);
                    }
                    service.call(request)
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(tls), service).await;
            });
        }
    });
    addr
}

/// Returns the status of a negotiate request; `None` if the TLS handshake fails.
async fn negotiate_as(addr: SocketAddr, authority: &Authority, identity: Option<Identity>) -> Option<StatusCode> {
    let config = ClientConfig::builder().with_root_certificates(authority.roots());
    let config = match identity {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let socket = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::post("/who_am_i/negotiate").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    within(sender.send_request(request)).await.ok().map(|response| response.status())
}

#[tokio::test]
async fn client_certificate_identifies_the_user() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (pump, lamp) = (authority.issue("pump"), authority.issue("lamp"));
    let known = HashMap::from([(pump.0.to_vec(), "pump")]);
    let certificates = ExtensionUser::new(move |ClientCertificate(shown): &ClientCertificate| match known.get(shown) {
        Some(name) => User::builder().id(*name).role("Device").build(),
        None => User::anonymous(),
    });
    let signalr = SignalR::builder()
        .scheme("Certificate", certificates)
        .hub("/who_am_i", WhoAmI)
        .authorize(Authorize::roles("Device"))
        .build()
        .unwrap();
    let addr = serve_tls(&signalr, &authority).await;
    assert_eq!(negotiate_as(addr, &authority, Some(pump)).await, Some(StatusCode::OK));
    assert_eq!(negotiate_as(addr, &authority, Some(lamp)).await, Some(StatusCode::UNAUTHORIZED), "of no known user");
    assert_eq!(negotiate_as(addr, &authority, None).await, Some(StatusCode::UNAUTHORIZED));
    let forged = other.issue("pump");
    assert_eq!(negotiate_as(addr, &authority, Some(forged)).await, None, "of another authority");
}
