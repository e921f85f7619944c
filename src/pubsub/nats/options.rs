//! Servers, credentials, TLS and limits.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::subject::Prefix;

/// Options of a [`NatsBackplane`](super::NatsBackplane) are wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NatsConfigError {
    /// A URL is invalid, names no host, or does not begin with `nats://` or `tls://`.
    #[error("invalid URL of a NATS server")]
    Url(#[source] io::Error),
    /// The prefix is not made of tokens of ASCII letters, digits, `_` and `-`, separated by dots.
    #[error("invalid prefix of subjects")]
    Prefix,
    /// The text contains no certificate in PEM, or an invalid one.
    #[error("invalid root certificates")]
    RootCertificates,
    /// Certificate or key of the client are not PEM, or do not belong together.
    #[error("invalid client certificate")]
    ClientCertificate,
}

/// Options, all of them valid.
#[derive(Clone)]
pub(super) struct NatsOptions {
    pub(super) servers: Vec<ServerAddr>,
    pub(super) prefix: Prefix,
    pub(super) request_timeout: Duration,
    pub(super) max_queued_bytes: usize,
    credentials: Option<Credentials>,
    roots: Option<Vec<CertificateDer<'static>>>,
    client_certificate: Option<ClientCertificate>,
}

/// Has no `Debug`, since it is secret.
#[derive(Clone)]
enum Credentials {
    UserAndPassword { user: String, password: String },
    Token(String),
}

/// Has no `Debug`, since it is secret.
#[derive(Clone)]
struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Hosts and ports of servers.
pub(super) struct Hosts<'a>(pub(super) &'a [ServerAddr]);

impl NatsOptions {
    /// Takes a list of URLs, separated by commas.
    ///
    /// `async-nats` ignores credentials in URLs, and logs URLs. Therefore they are taken out.
    pub(super) fn new(urls: &str) -> Result<Self, NatsConfigError> {
        let mut credentials = None;
        let mut servers = Vec::new();
        for url in urls.split(',').map(str::trim) {
            let server: ServerAddr = url.parse().map_err(NatsConfigError::Url)?;
            if server.is_websocket() {
                return Err(invalid_url("WebSockets are not supported"));
            }
            if server.host().is_empty() {
                return Err(invalid_url("empty host"));
            }
            if credentials.is_none() {
                credentials = Credentials::of(&server);
            }
            let mut url = server.into_inner();
            if url.set_username("").is_err() || url.set_password(None).is_err() {
                return Err(invalid_url("empty host"));
            }
            servers.push(ServerAddr::from_url(url).map_err(NatsConfigError::Url)?);
        }
        Ok(Self {
            servers,
            prefix: Prefix::default(),
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            max_queued_bytes: DEFAULT_MAX_QUEUED_BYTES,
            credentials,
            roots: None,
            client_certificate: None,
        })
    }

    pub(super) fn set_roots(&mut self, pem: &[u8]) -> Result<(), NatsConfigError> {
        let mut store = RootCertStore::empty();
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| NatsConfigError::RootCertificates)?;
            store.add(certificate.clone()).map_err(|_| NatsConfigError::RootCertificates)?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(NatsConfigError::RootCertificates);
        }
        self.roots = Some(certificates);
        Ok(())
    }

    pub(super) fn set_client_certificate(&mut self, chain: &[u8], key: &[u8]) -> Result<(), NatsConfigError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(key);
        let (Ok(chain), Ok(key)) = (chain, key) else { return Err(NatsConfigError::ClientCertificate) };
        self.client_certificate = Some(ClientCertificate { chain, key: Arc::new(key) });
        self.tls_config(RootCertStore::empty()).map(drop).map_err(|_| NatsConfigError::ClientCertificate)
    }

    /// Returns the options of a client whose connection attempts end.
    ///
    /// When its connection is lost, the client connects once to each server and then ends.
    /// Otherwise it could not be ended while its servers are not reachable.
    pub(super) fn connect_options(&self, tls: ClientConfig) -> ConnectOptions {
        let is_first = AtomicBool::new(true);
        let options = ConnectOptions::new()
            .tls_client_config(tls)
            .connection_timeout(self.request_timeout)
            // Three intervals without an answer end a connection.
            .ping_interval(self.request_timeout)
            .subscription_capacity(MAX_UNREAD_PAYLOADS)
            .max_reconnects(self.servers.len())
            .reconnect_delay_callback(move |_| {
                if is_first.swap(false, Ordering::Relaxed) { Duration::ZERO } else { RECONNECT_DELAY }
            });
        match &self.credentials {
            Some(Credentials::UserAndPassword { user, password }) => {
                options.user_and_password(user.clone(), password.clone())
            }
            Some(Credentials::Token(token)) => options.token(token.clone()),
            None => options,
        }
    }

    /// Returns the certificates that are trusted. Reads those of the operating system, which blocks,
    /// unless others are set.
    pub(super) fn root_store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(match &self.roots {
            Some(certificates) => certificates.clone(),
            None => rustls_native_certs::load_native_certs().certs,
        });
        store
    }

    /// Returns the configuration of TLS.
    ///
    /// The client would use the provider of cryptography of the process, and panic where several
    /// crates bring one each.
    pub(super) fn tls_config(&self, roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
        let config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        match &self.client_certificate {
            Some(ClientCertificate { chain, key }) => config.with_client_auth_cert(chain.clone(), key.clone_key()),
            None => Ok(config.with_no_client_auth()),
        }
    }
}

impl Credentials {
    /// A name without a password is a token, as for other clients of NATS.
    fn of(server: &ServerAddr) -> Option<Self> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = decode(server.username()?);
        Some(match server.password() {
            Some(password) => Self::UserAndPassword { user, password: decode(password) },
            None => Self::Token(user),
        })
    }
}

impl fmt::Debug for Hosts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|server| (server.host(), server.port()))).finish()
    }
}

fn invalid_url(reason: &str) -> NatsConfigError {
    NatsConfigError::Url(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// Payloads of one channel that may wait for the reader. The reader never waits, so that they are
/// those which arrive before it runs again: far fewer. The client drops more.
const MAX_UNREAD_PAYLOADS: usize = 262_144;

/// Keeps a client from connecting in a loop to a server that closes its connections.
pub(super) const RECONNECT_DELAY: Duration = Duration::from_millis(100);

/// As long as StackExchange.Redis waits for Redis behind ASP.NET Core.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// About the payloads of a few seconds.
const DEFAULT_MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;
