//! Download of the two documents of a provider over HTTPS.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::uri::Scheme;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

use super::cache::KeySet;
use crate::auth::key::SigningKey;

/// Location and options of an identity provider, and the download of its keys.
#[derive(Clone)]
pub(super) struct MetadataFetcher {
    /// URL of the discovery document.
    pub(super) address: String,
    /// Issuer that the document must name, if it is configured.
    pub(super) authority: Option<String>,
    pub(super) require_https: bool,
    /// For both documents together.
    pub(super) timeout: Duration,
    /// Root certificates; Mozilla's if `None`.
    pub(super) roots: Option<Vec<CertificateDer<'static>>>,
}

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Failure to fetch keys. It contains no fetched data except the name of a host.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("address is not an HTTP URL")]
    Address,
    #[error("address at {host} does not use HTTPS")]
    Insecure { host: String },
    #[error("{host} is unreachable: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} responded with status {status}")]
    Status { host: String, status: StatusCode },
    #[error("response from {host} was truncated or exceeds 1 MiB")]
    Body { host: String },
    #[error("malformed discovery document")]
    Document,
    #[error("discovery document names another issuer")]
    Issuer,
    #[error("no usable signing key in the key set")]
    NoKey,
    #[error("request timed out")]
    Timeout,
}

/// The used members of OpenID Connect Discovery 1.0 § 3.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl MetadataFetcher {
    /// Host of the discovery document, for logs.
    pub(super) fn host(&self) -> String {
        self.address.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }

    /// HTTP client with a connection pool. It uses no proxy and follows no redirect.
    pub(super) fn client(&self) -> HttpClient {
        let tls = ClientConfig::builder_with_provider(ring::default_provider().into());
        let tls = tls.with_safe_default_protocol_versions().expect("ring has the cipher suites of both versions");
        let tls = match &self.roots {
            None => tls.with_webpki_roots(),
            Some(own) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(own.iter().cloned());
                tls.with_root_certificates(roots)
            }
        };
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls.with_no_client_auth()).https_or_http();
        Client::builder(TokioExecutor::new()).build(connector.enable_http1().build())
    }

    /// Fetches the currently published keys.
    pub(super) async fn fetch(&self, client: &HttpClient) -> Result<KeySet, FetchError> {
        tokio::time::timeout(self.timeout, self.key_set(client)).await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn key_set(&self, client: &HttpClient) -> Result<KeySet, FetchError> {
        let document = self.get(client, &self.address).await?;
        let Document { issuer, jwks_uri } = serde_json::from_slice(&document).map_err(|_| FetchError::Document)?;
        let same = |authority: &String| authority.trim_end_matches('/') == issuer.trim_end_matches('/');
        if issuer.is_empty() || !self.authority.as_ref().is_none_or(same) {
            return Err(FetchError::Issuer);
        }
        let keys = self.get(client, &jwks_uri).await?;
        let parsed = SigningKey::jwks(&keys).map_err(|_| FetchError::NoKey)?;
        Ok(KeySet::new(issuer, parsed, keys))
    }

    async fn get(&self, client: &HttpClient, address: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = address.parse().map_err(|_| FetchError::Address)?;
        let (Some(_), Some(host)) = (uri.scheme(), uri.host().map(str::to_owned)) else {
            return Err(FetchError::Address);
        };
        if self.require_https && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(FetchError::Insecure { host });
        }
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = uri;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = match client.request(request).await {
            Ok(response) => response,
            Err(error) => return Err(FetchError::Unreachable { host, reason: root_cause(&error) }),
        };
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status { host, status: response.status() });
        }
        match Limited::new(response.into_body(), MAX_DOCUMENT_BYTES).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(_) => Err(FetchError::Body { host }),
        }
    }
}

/// Innermost source of an error, which is the most specific one.
fn root_cause(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A key set has a few KiB; .NET reads up to 10 MB.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
