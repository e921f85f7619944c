//! Keys that tokens are signed with.

use std::fmt;

use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};

/// A key that verifies tokens. Its kind decides which algorithms it takes, whatever a token says.
///
/// While keys change, a server takes both:
///
/// ```
/// use signalr::auth::{JwtBearer, SigningKey};
///
/// let old = SigningKey::hmac("the secret of last month, of 32 bytes").with_kid("may");
/// let new = SigningKey::hmac("the secret of this month, of 32 bytes").with_kid("june");
/// let bearer = JwtBearer::with_key(new).key(old).issuer("clinic").audience("wards");
/// # assert!(bearer.validate().is_ok());
/// ```
#[derive(Clone)]
pub struct SigningKey {
    kid: Option<String>,
    key: DecodingKey,
    algorithms: &'static [Algorithm],
}

impl SigningKey {
    /// A secret shared with the issuer, for HS256 and, if it is long enough, HS384 (48 bytes) and HS512 (64 bytes).
    ///
    /// Fewer than 32 bytes verify nothing, and building the server reports it.
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        let algorithms: &[_] = match secret.len() {
            ..32 => &[],
            32..48 => &[Algorithm::HS256],
            48..64 => &[Algorithm::HS256, Algorithm::HS384],
            64.. => &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
        };
        Self { kid: None, key: DecodingKey::from_secret(secret), algorithms }
    }

    /// The issuer's public RSA key of 2048 to 4096 bits in PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`), for RS256, RS384, RS512, PS256,
    /// PS384 and PS512.
    ///
    /// # Errors
    ///
    /// When the text is no such key.
    pub fn rsa_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let key = DecodingKey::from_rsa_pem(pem.as_ref()).map_err(|error| KeyError::unreadable(&error))?;
        let components = DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
        let der = key.try_get_as_bytes().map_err(|error| KeyError::unreadable(&error))?;
        let (modulus, _) = components(der).map_err(|error| KeyError::unreadable(&error))?;
        if modulus.len() < SMALLEST_RSA_MODULUS {
            return Err(KeyError::TooSmall { bits: modulus.len() * 8 });
        }
        Ok(Self { kid: None, key, algorithms: RSA })
    }

    /// The issuer's public key on P-256 or P-384 in PEM (`PUBLIC KEY`), for ES256 or ES384.
    ///
    /// # Errors
    ///
    /// When the text is no such key.
    pub fn ec_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ec_pem(pem.as_ref()).map_err(|error| KeyError::unreadable(&error))?;
        let fits = |algorithm| (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &key).is_ok();
        let algorithms: &[_] = if fits(Algorithm::ES256) {
            &[Algorithm::ES256]
        } else if fits(Algorithm::ES384) {
            &[Algorithm::ES384]
        } else {
            return Err(KeyError::UnsupportedCurve);
        };
        Ok(Self { kid: None, key, algorithms })
    }

    /// Names the key, as `kid` in a token's header does. A token with that name is verified by this key alone.
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether the key can verify anything at all.
    pub(super) fn is_usable(&self) -> bool {
        !self.algorithms.is_empty()
    }

    /// Whether this key made the signature. An algorithm of another kind of key never does.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &Vec<u8>) -> bool {
        let Ok(algorithm) = algorithm.parse::<Algorithm>() else {
            return false;
        };
        // Asked for by name, the provider cannot be missing or doubtful, whatever features another crate turns on.
        self.algorithms.contains(&algorithm)
            && (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &self.key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// Prints the name and the algorithms, never the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used.
///
/// ```
/// use signalr::auth::{JwtBearer, KeyError};
///
/// assert!(matches!(JwtBearer::rsa_pem("no key"), Err(KeyError::Unreadable { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no public key of this kind in PEM.
    #[error("the key is unreadable: {reason}")]
    Unreadable {
        /// What the reader of the key says.
        reason: String,
    },
    /// An RSA key is shorter than 2048 bits (RFC 7518 § 3.3).
    #[error("an RSA key of {bits} bits is too small")]
    TooSmall {
        /// The length of its modulus.
        bits: usize,
    },
    /// An EC key is on neither P-256 nor P-384.
    #[error("the curve of the key is neither P-256 nor P-384")]
    UnsupportedCurve,
}

impl KeyError {
    fn unreadable(error: &jsonwebtoken::errors::Error) -> Self {
        Self::Unreadable { reason: error.to_string() }
    }
}

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// 2048 bits, in bytes.
const SMALLEST_RSA_MODULUS: usize = 256;
