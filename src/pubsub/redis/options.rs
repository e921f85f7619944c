//! Addresses and options of a Redis backplane.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// An option of a [`RedisBackplane`](super::RedisBackplane) is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConfigError {
    /// The URL is not one of a Redis server. The text does not repeat the URL, which may contain a
    /// password.
    #[error("invalid Redis URL: {0}")]
    Url(Arc<str>),
    /// The list of URLs is empty.
    #[error("no Redis URL")]
    NoUrl,
    /// A certificate or a key cannot be used.
    #[error("invalid certificate or key: {0}")]
    Certificate(Arc<str>),
}

/// All options. The documentation is at the methods of `RedisBackplane`.
#[derive(Clone, Debug)]
pub(super) struct RedisOptions {
    pub(super) topology: Topology,
    pub(super) credentials: Option<RedisConnectionInfo>,
    pub(super) tls: TlsOptions,
    pub(super) channel_prefix: String,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) max_queued_bytes: usize,
}

/// How the servers belong together.
#[derive(Clone, Debug)]
pub(super) enum Topology {
    Single(RedisAddress),
    /// Nodes of a Redis Cluster, of which any is enough.
    Cluster(Vec<RedisAddress>),
    /// Sentinels that report the address of the master with this name.
    Sentinel {
        sentinels: Vec<RedisAddress>,
        master: String,
    },
}

/// Address of a server, and what is sent to log in.
#[derive(Clone, Debug)]
pub(super) struct RedisAddress {
    pub(super) address: Address,
    pub(super) login: RedisConnectionInfo,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Tcp { host: String, port: u16, security: Security },
    Unix(PathBuf),
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Plain,
    Tls,
}

/// Certificates, without which Mozilla's root certificates are trusted.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsOptions {
    pub(super) roots: Option<Arc<RootCertStore>>,
    pub(super) client: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
}

impl RedisOptions {
    pub(super) fn new(topology: Topology) -> Self {
        Self {
            topology,
            credentials: None,
            tls: TlsOptions::default(),
            channel_prefix: String::new(),
            connect_timeout: DEFAULT_TIMEOUT,
            request_timeout: DEFAULT_TIMEOUT,
            max_queued_bytes: DEFAULT_MAX_QUEUED_BYTES,
        }
    }
}

impl RedisAddress {
    pub(super) fn parse(url: &str) -> Result<Self, RedisConfigError> {
        let invalid = |reason: &str| RedisConfigError::Url(reason.into());
        let mut url = redis::parse_redis_url(url).ok_or_else(|| invalid("expected redis://, rediss:// or unix://"))?;
        // A reserved character in a password that is not percent-encoded ends up here, with half of
        // the password in place of the host.
        if url.fragment().is_some() {
            return Err(invalid("`#` has to be percent-encoded, and `#insecure` is not supported"));
        }
        if url.query_pairs().any(|(name, _)| !matches!(&*name, "protocol" | "db" | "user" | "pass")) {
            return Err(invalid("unknown parameter; `?` in a password has to be percent-encoded"));
        }
        let security = if matches!(url.scheme(), "rediss" | "valkeys") { Security::Tls } else { Security::Plain };
        if security == Security::Tls {
            // The crate `redis` rejects the scheme without its own TLS, which this crate does not use.
            url.set_scheme("redis").map_err(|()| invalid("unknown scheme"))?;
        }
        let info = url.into_connection_info().map_err(|error| invalid(&error.to_string()))?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Address::Tcp { host: host.clone(), port: *port, security },
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(invalid("unknown kind of address")),
        };
        Ok(Self { address, login: complete(info.redis_settings().clone()) })
    }

    pub(super) fn parse_all<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Result<Vec<Self>, RedisConfigError> {
        let servers = urls.into_iter().map(|url| Self::parse(url.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() { Err(RedisConfigError::NoUrl) } else { Ok(servers) }
    }
}

impl TlsOptions {
    /// Trusts only these certificates.
    pub(super) fn set_roots(&mut self, pem: &[u8]) -> Result<(), RedisConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(pem)? {
            roots.add(certificate).map_err(|error| invalid_certificate(&error))?;
        }
        self.roots = Some(roots.into());
        Ok(())
    }

    /// Authenticates by this certificate.
    pub(super) fn set_client(&mut self, certificate: &[u8], key: &[u8]) -> Result<(), RedisConfigError> {
        let chain = certificates(certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| invalid_certificate(&error))?;
        self.client = Some(Arc::new((chain, key)));
        self.config().map(drop)
    }

    /// Returns the configuration of rustls. Fails only for a client key that is not of its certificate.
    pub(super) fn config(&self) -> Result<ClientConfig, RedisConfigError> {
        // Uses the ring provider explicitly, since the process may have no default provider.
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of both versions");
        let roots =
            self.roots.clone().unwrap_or_else(|| Arc::new(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()));
        let builder = builder.with_root_certificates(roots);
        match self.client.as_deref() {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| invalid_certificate(&error)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Returns the login of a user with this password; of the default user if the name is empty.
pub(super) fn login(user: &str, password: &str) -> RedisConnectionInfo {
    let login = complete(RedisConnectionInfo::default()).set_password(password);
    if user.is_empty() { login } else { login.set_username(user) }
}

/// Returns the login without credentials.
pub(super) fn anonymous() -> RedisConnectionInfo {
    complete(RedisConnectionInfo::default())
}

/// Sets what does not depend on the user. The database stays 0: channels are not part of a database.
fn complete(login: RedisConnectionInfo) -> RedisConnectionInfo {
    login.set_db(0).set_protocol(ProtocolVersion::RESP2).set_lib_name("signalr-rs", env!("CARGO_PKG_VERSION"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RedisConfigError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err(RedisConfigError::Certificate("no certificate in the PEM text".into())),
        found => found.map_err(|error| invalid_certificate(&error)),
    }
}

fn invalid_certificate(error: &dyn fmt::Display) -> RedisConfigError {
    RedisConfigError::Certificate(error.to_string().into())
}

/// As `connectTimeout` and `syncTimeout` of StackExchange.Redis.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Seconds of traffic of a busy server, and a bound that no machine notices.
const DEFAULT_MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_scheme_are_parsed() {
        let tcp = |host: &str, port, security| Address::Tcp { host: host.to_owned(), port, security };
        for (url, address) in [
            ("redis://example.org", tcp("example.org", 6379, Security::Plain)),
            ("valkey://127.0.0.1:7000/", tcp("127.0.0.1", 7000, Security::Plain)),
            ("rediss://u:p@[::1]:7000/3", tcp("::1", 7000, Security::Tls)),
            ("unix:///run/redis.sock?user=u&pass=p", Address::Unix("/run/redis.sock".into())),
            ("redis+unix:///run/redis.sock", Address::Unix("/run/redis.sock".into())),
        ] {
            assert_eq!(RedisAddress::parse(url).unwrap().address, address, "{url}");
        }
        let login = RedisAddress::parse("redis://user:p%23%20w@host:6379/2").unwrap().login;
        assert_eq!((login.username(), login.password(), login.db()), (Some("user"), Some("p# w"), 0));
        assert_eq!(RedisAddress::parse("redis://:secret@host").unwrap().login.username(), None);
    }

    #[test]
    fn invalid_urls_are_rejected_without_their_password() {
        for url in [
            "",
            "http://user:secret@host",
            "redis://",
            "redis://user:secret@host:port",
            "redis://user:secret@host/database",
            "redis://user:12#secret@host",
            "redis://user:12?secret@host",
            "rediss://user:secret@host/#insecure",
            "redis://user:secret@host?protocol=4",
            "redis://user:secret@0.0.0.0",
            "unix://",
        ] {
            let error = RedisAddress::parse(url).unwrap_err();
            assert!(matches!(error, RedisConfigError::Url(_)), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error}");
        }
        assert_eq!(RedisAddress::parse_all([""; 0]).unwrap_err(), RedisConfigError::NoUrl);
    }

    #[test]
    fn unusable_certificates_are_rejected() {
        let mut tls = TlsOptions::default();
        assert!(tls.set_roots(b"").is_err());
        assert!(tls.set_roots(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----").is_err());
        assert!(tls.set_client(b"", b"").is_err());
        assert!(tls.config().is_ok());
    }
}
