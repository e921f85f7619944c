//! Authentication by API keys in a header.

use std::fmt;

use http::HeaderName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::auth_error::AuthError;
use super::jwt::AuthConfigError;
use super::request::AuthRequest;
use super::scheme::{Authentication, Authenticator};
use super::user::User;

/// [`Authenticator`] for API keys in a header. It is for programs: browsers cannot set headers on
/// WebSockets.
///
/// Only hashes of the keys are kept, and they are compared in constant time. Keys should be random;
/// [`build`](crate::hosting::Builder::build) fails if one is shorter than 16 bytes.
///
/// ```
/// use http::HeaderName;
/// use signalr::SignalR;
/// use signalr::auth::{ApiKeys, User};
///
/// # let gateway_key = "0123456789abcdef0123456789abcdef";
/// let keys = ApiKeys::in_header(HeaderName::from_static("x-api-key"))
///     .key(gateway_key, User::builder().id("gateway-7").role("Device").build());
/// let builder = SignalR::builder().scheme("ApiKey", keys);
/// # let _ = builder;
/// ```
#[derive(Clone)]
#[must_use = "a scheme has no effect until it is added to a builder"]
pub struct ApiKeys {
    header: HeaderName,
    keys: Vec<([u8; 32], User)>,
    has_short_key: bool,
}

impl ApiKeys {
    /// Reads keys from this header.
    pub fn in_header(header: HeaderName) -> Self {
        Self { header, keys: Vec::new(), has_short_key: false }
    }

    /// Adds a key and the user of requests with it.
    pub fn key(mut self, key: impl AsRef<[u8]>, user: impl Into<User>) -> Self {
        let key = key.as_ref();
        self.has_short_key |= key.len() < MIN_KEY_BYTES;
        self.keys.push((hash(key), user.into()));
        self
    }
}

impl Authenticator for ApiKeys {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        let mut lines = request.headers().get_all(&self.header).iter();
        let key = match (lines.next(), lines.next()) {
            (Some(key), None) => key,
            (None, _) => return Authentication::Anonymous,
            (Some(_), Some(_)) => return Authentication::Failed(AuthError::new("more than one API key")),
        };
        let sent = hash(key.as_bytes());
        let mut found = None;
        // Compares all keys, so that the duration does not depend on the match.
        for (known, user) in &self.keys {
            if bool::from(known.ct_eq(&sent)) {
                found = Some(user);
            }
        }
        match found {
            Some(user) => Authentication::Authenticated(user.clone()),
            None => Authentication::Failed(AuthError::new("unknown API key")),
        }
    }

    fn validate(&self) -> Result<(), AuthConfigError> {
        if self.has_short_key { Err(AuthConfigError::ShortApiKey) } else { Ok(()) }
    }
}

/// Prints the number of keys only.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("header", &self.header).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Random keys of this length cannot be guessed. An empty key would match every empty header.
const MIN_KEY_BYTES: usize = 16;
