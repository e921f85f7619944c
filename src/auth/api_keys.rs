//! Keys in a header, for programs that call.

use std::fmt;

use http::HeaderName;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::auth_error::AuthError;
use super::jwt::AuthConfigError;
use super::request::AuthRequest;
use super::scheme::{Authentication, Authenticator};
use super::user::User;

/// Authentication by keys in a header: an [`Authenticator`] for programs. Browsers can set no header on WebSockets.
///
/// Only hashes of the keys are kept, and they are compared in constant time. A key has at least 16 bytes, or
/// [`build`](crate::hosting::Builder::build) fails: take random ones.
///
/// ```
/// use http::HeaderName;
/// use signalr::SignalR;
/// use signalr::auth::{ApiKeys, User};
///
/// # let key_of_the_gateway = "0123456789abcdef0123456789abcdef";
/// let keys = ApiKeys::in_header(HeaderName::from_static("x-api-key"))
///     .key(key_of_the_gateway, User::builder().id("gateway-7").role("Device").build());
/// let builder = SignalR::builder().scheme("ApiKey", keys);
/// # let _ = builder;
/// ```
#[derive(Clone)]
#[must_use = "authentication does nothing until a server uses it"]
pub struct ApiKeys {
    header: HeaderName,
    keys: Vec<([u8; 32], User)>,
    has_short_key: bool,
}

impl ApiKeys {
    /// Keys in this header.
    pub fn in_header(header: HeaderName) -> Self {
        Self { header, keys: Vec::new(), has_short_key: false }
    }

    /// Whoever sends this key is this user.
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
            (Some(_), Some(_)) => return Authentication::Failed(AuthError::new("there is more than one API key")),
        };
        let sent = hash(key.as_bytes());
        let mut found = None;
        // All of them, so that time tells nothing of which it is.
        for (known, user) in &self.keys {
            if bool::from(known.ct_eq(&sent)) {
                found = Some(user);
            }
        }
        match found {
            Some(user) => Authentication::Authenticated(user.clone()),
            None => Authentication::Failed(AuthError::new("nobody has this API key")),
        }
    }

    fn validate(&self) -> Result<(), AuthConfigError> {
        if self.has_short_key { Err(AuthConfigError::ShortApiKey) } else { Ok(()) }
    }
}

/// Prints how many keys there are, and none of them.
impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("header", &self.header).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Of random bytes these are out of reach of guesses; an empty one would let in everybody who sends the header.
const MIN_KEY_BYTES: usize = 16;
