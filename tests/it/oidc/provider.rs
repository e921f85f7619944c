//! An identity provider over HTTPS: discovery document, key set and tokens, as each test configures
//! them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// A signing key of the provider, or of a forger.
pub(crate) struct Key {
    kid: String,
    private: EncodingKey,
    pub(crate) public: Value,
}

/// How the provider responds.
pub(crate) enum Answer {
    /// Both documents, valid.
    Good,
    /// The connection ends without a response.
    Down,
    /// Each document waits for a permit of the semaphore.
    Delayed,
    /// This response for the discovery document.
    Discovery(Response<Full<Bytes>>),
    /// This response for the key set.
    Keys(Response<Full<Bytes>>),
}

pub(crate) struct Provider {
    addr: SocketAddr,
    scheme: &'static str,
    /// The root certificate of the provider.
    pub(crate) certificate: String,
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    keys: Mutex<String>,
    answer: Mutex<Answer>,
    /// Number of requests for the discovery document and for the key set.
    asked: [AtomicUsize; 2],
    gate: Semaphore,
}

impl Key {
    pub(crate) fn new(kid: &str) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let (x, y) = pair.der_bytes()[1..].split_at(32);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        Self {
            kid: kid.to_owned(),
            private: EncodingKey::from_ec_der(pair.serialized_der()),
            public: json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y }),
        }
    }

    /// Signs a token; `claims` override the defaults.
    pub(crate) fn token(&self, provider: &Provider, claims: Value) -> String {
        let mut all = json!({ "iss": provider.url(), "aud": "wards", "sub": "ann", "exp": 4_102_444_800_u64 });
        let Value::Object(claims) = claims else { panic!("{claims}") };
        all.as_object_mut().unwrap().extend(claims);
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &all, &self.private).unwrap()
    }
}

impl Provider {
    pub(crate) async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let certificate = STANDARD.encode(made.cert.der());
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.into()], key.into()).unwrap();
        Self::listen("https", certificate, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    pub(crate) async fn start_without_tls() -> Self {
        Self::listen("http", String::new(), None).await
    }

    async fn listen(scheme: &'static str, certificate: String, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            issuer: format!("{scheme}://{addr}"),
            keys: Mutex::default(),
            answer: Mutex::new(Answer::Good),
            asked: Default::default(),
            gate: Semaphore::new(0),
        });
        tokio::spawn(accept(listener, tls, Arc::clone(&shared)));
        Self { addr, scheme, certificate, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
        *self.shared.keys.lock().unwrap() = json!({ "keys": keys }).to_string();
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Number of requests for the discovery document and for the key set.
    pub(crate) fn asked(&self) -> (usize, usize) {
        let [discovery, keys] = &self.shared.asked;
        (discovery.load(Ordering::SeqCst), keys.load(Ordering::SeqCst))
    }

    /// Releases this number of delayed documents.
    pub(crate) fn release(&self, documents: usize) {
        self.shared.gate.add_permits(documents);
    }
}

pub(crate) fn status(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(socket, tls.clone(), Arc::clone(&shared)));
    }
}

async fn serve(socket: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let service = service_fn(|request| shared.respond(request));
    let http = hyper::server::conn::http1::Builder::new();
    match tls {
        // Clients may reject the certificate or disconnect.
        Some(tls) => {
            if let Ok(socket) = tls.accept(socket).await {
                _ = http.serve_connection(TokioIo::new(socket), service).await;
            }
        }
        None => _ = http.serve_connection(TokioIo::new(socket), service).await,
    }
}

impl Shared {
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
        let path = request.uri().path();
        let of_keys = path == "/keys";
        if !of_keys {
            assert_eq!(path, "/.well-known/openid-configuration");
        }
        self.asked[usize::from(of_keys)].fetch_add(1, Ordering::SeqCst);
        let held = match &*self.answer.lock().unwrap() {
            Answer::Down => return Err(std::io::ErrorKind::ConnectionAborted.into()),
            Answer::Delayed => true,
            Answer::Good => false,
            Answer::Discovery(response) if !of_keys => return Ok(response.clone()),
            Answer::Keys(response) if of_keys => return Ok(response.clone()),
            Answer::Discovery(_) | Answer::Keys(_) => false,
        };
        if held {
            self.gate.acquire().await.unwrap().forget();
        }
        let document = if of_keys {
            self.keys.lock().unwrap().clone()
        } else {
            json!({ "issuer": self.issuer, "jwks_uri": format!("{}/keys", self.issuer), "more": [1] }).to_string()
        };
        Ok(status(200, document))
    }
}
