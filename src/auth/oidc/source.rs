//! Where keys come from: two documents over HTTPS.

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

/// An identity provider as somebody who fetches its keys must know it.
#[derive(Clone)]
pub(super) struct MetadataFetcher {
    /// Of the discovery document.
    pub(super) address: String,
    /// Whom the document must be of, if that is known.
    pub(super) authority: Option<String>,
    pub(super) require_https: bool,
    /// For both documents together.
    pub(super) timeout: Duration,
    /// Mozilla's if there are none of one's own.
    pub(super) roots: Option<Vec<CertificateDer<'static>>>,
}

pub(super) type HttpClient = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Why keys could not be fetched. It holds nothing of what was fetched but the name of a host.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("an address is no HTTP URL")]
    Address,
    #[error("the address at {host} does not use HTTPS")]
    Insecure { host: String },
    #[error("{host} cannot be reached: {reason}")]
    Unreachable { host: String, reason: String },
    #[error("{host} answers with {status}")]
    Status { host: String, status: StatusCode },
    #[error("the answer of {host} broke off or is longer than 1 MiB")]
    Body { host: String },
    #[error("the discovery document is malformed")]
    Document,
    #[error("the discovery document is of another issuer")]
    Issuer,
    #[error("there is no key that could verify tokens")]
    NoKey,
    #[error("it took too long")]
    Timeout,
}

/// OpenID Connect Discovery 1.0 § 3, as far as it matters here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

impl MetadataFetcher {
    /// The host of the discovery document, for logs.
    pub(super) fn host(&self) -> String {
        self.address.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }

    /// A client that keeps its connections. It knows no proxy and follows no redirect.
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

    /// The keys that the provider publishes now.
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

/// What lies at the bottom of an error, which says more than its top.
fn root_cause(mut error: &dyn Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A set of keys has a few KiB; .NET reads 10 MB.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;
