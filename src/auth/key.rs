//! Keys that verify tokens.

use std::fmt;

use base64::Engine;
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::token::{BASE64, CompactToken};

/// Key that verifies tokens. The kind of the key decides which algorithms it accepts, not the token.
///
/// During a key rotation, a server accepts both keys:
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
    x5t: Option<String>,
    key: DecodingKey,
    algorithms: &'static [Algorithm],
}

impl SigningKey {
    /// Secret shared with the issuer, for HS256, HS384 (at least 48 bytes) and HS512 (at least 64 bytes).
    ///
    /// A secret of fewer than 32 bytes verifies no token, and
    /// [`build`](crate::hosting::Builder::build) fails.
    pub fn hmac(secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        let algorithms = match secret.len() {
            ..32 => &[],
            32..48 => &HMAC[..1],
            48..64 => &HMAC[..2],
            64.. => HMAC,
        };
        Self::new(DecodingKey::from_secret(secret), algorithms)
    }

    /// Public RSA key of the issuer, 2048 to 4096 bits, in PEM (`PUBLIC KEY` or `RSA PUBLIC KEY`), for
    /// RS256, RS384, RS512, PS256, PS384 and PS512.
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn rsa_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let key = DecodingKey::from_rsa_pem(pem.as_ref()).map_err(|error| KeyError::unreadable(&error))?;
        let components = DEFAULT_PROVIDER.key_utils.rsa_pub_components_from_public_key;
        let der = key.try_get_as_bytes().map_err(|error| KeyError::unreadable(&error))?;
        let (modulus, _) = components(der).map_err(|error| KeyError::unreadable(&error))?;
        Self::rsa(key, &modulus)
    }

    /// Public key of the issuer on P-256 or P-384 in PEM (`PUBLIC KEY`), for ES256 or ES384.
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn ec_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ec_pem(pem.as_ref()).map_err(|error| KeyError::unreadable(&error))?;
        let curve = [&EC[..1], &EC[1..]].into_iter().find(|algorithms| fits(&key, algorithms[0]));
        Ok(Self::new(key, curve.ok_or(KeyError::UnsupportedCurve)?))
    }

    /// Public Ed25519 key of the issuer in PEM (`PUBLIC KEY`), for EdDSA, which .NET does not support.
    ///
    /// # Errors
    ///
    /// If the text is not such a key.
    pub fn ed_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let key = DecodingKey::from_ed_pem(pem.as_ref()).map_err(|error| KeyError::unreadable(&error))?;
        Self::ed(key)
    }

    /// Key in JSON (JWK, RFC 7517; C#: `JsonWebKey`): RSA, EC on P-256 or P-384, Ed25519, or a secret
    /// (`oct`). It accepts the algorithms of the same key in PEM, or only its `alg` if it has one. `kid`
    /// and `x5t` name the key.
    ///
    /// ```
    /// use signalr::auth::{JwtBearer, SigningKey};
    ///
    /// let key = SigningKey::jwk(
    ///     r#"{"kty":"OKP","crv":"Ed25519","kid":"k1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    /// )?;
    /// let bearer = JwtBearer::with_key(key).issuer("clinic").audience("wards");
    /// # Ok::<_, signalr::auth::KeyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the text is not such a key, or the key is not for signatures.
    pub fn jwk(json: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        // The error text of serde_json may contain a part of the key.
        let unreadable = |_| KeyError::Unreadable { reason: "not a JSON web key".into() };
        let jwk: Jwk = serde_json::from_slice(json.as_ref()).map_err(unreadable)?;
        match &jwk.algorithm {
            AlgorithmParameters::OctetKey(secret) => {
                let unreadable = |_| KeyError::Unreadable { reason: "secret is not base64url".into() };
                Self::hmac(BASE64.decode(&secret.value).map_err(unreadable)?).described(&jwk)
            }
            _ => Self::public_jwk(&jwk),
        }
    }

    /// Public keys of a set (JWKS, RFC 7517 § 5) that can verify tokens, as identity providers publish
    /// them. Other keys are skipped: unknown kinds and curves, keys for encryption, and secrets, since a
    /// published secret is none.
    ///
    /// # Errors
    ///
    /// If the set has no such key.
    pub fn jwks(json: impl AsRef<[u8]>) -> Result<Vec<Self>, KeyError> {
        #[derive(Deserialize)]
        struct JwkSet<'a> {
            #[serde(borrow)]
            keys: Vec<&'a RawValue>,
        }

        let set: JwkSet<'_> = serde_json::from_slice(json.as_ref()).map_err(|_| KeyError::NoKey)?;
        let key = |key: &RawValue| Self::public_jwk(&serde_json::from_str(key.get()).ok()?).ok();
        let keys: Vec<_> = set.keys.into_iter().filter_map(key).collect();
        if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(keys) }
    }

    fn public_jwk(jwk: &Jwk) -> Result<Self, KeyError> {
        let key = DecodingKey::from_jwk(jwk).map_err(|error| KeyError::unreadable(&error))?;
        let key = match (&jwk.algorithm, key.kind()) {
            (AlgorithmParameters::RSA(_), DecodingKeyKind::RsaModulusExponent { n, .. }) => {
                let modulus = n.clone();
                Self::rsa(key, &modulus)
            }
            (AlgorithmParameters::EllipticCurve(parameters), _) => match parameters.curve {
                EllipticCurve::P256 if fits(&key, Algorithm::ES256) => Ok(Self::new(key, &EC[..1])),
                EllipticCurve::P384 if fits(&key, Algorithm::ES384) => Ok(Self::new(key, &EC[1..])),
                _ => Err(KeyError::UnsupportedCurve),
            },
            (AlgorithmParameters::OctetKeyPair(parameters), _) if parameters.curve == EllipticCurve::Ed25519 => {
                Self::ed(key)
            }
            _ => Err(KeyError::Unfit),
        };
        key?.described(jwk)
    }

    fn rsa(key: DecodingKey, modulus: &[u8]) -> Result<Self, KeyError> {
        let leading = modulus.iter().take_while(|byte| **byte == 0).count();
        let bits = (modulus.len() - leading) * 8 - modulus.get(leading).map_or(0, |byte| byte.leading_zeros() as usize);
        match bits {
            ..2048 => Err(KeyError::TooSmall { bits }),
            2048..=4096 => Ok(Self::new(key, RSA)),
            // Verification would take too long, and the verifier rejects them.
            _ => Err(KeyError::Unfit),
        }
    }

    fn ed(key: DecodingKey) -> Result<Self, KeyError> {
        // The verifier uses the first 32 bytes of a longer key.
        let length = key.try_get_as_bytes().map_or(0, <[u8]>::len);
        if length == 32 && fits(&key, Algorithm::EdDSA) { Ok(Self::new(key, ED)) } else { Err(KeyError::Unfit) }
    }

    fn new(key: DecodingKey, algorithms: &'static [Algorithm]) -> Self {
        Self { kid: None, x5t: None, key, algorithms }
    }

    /// Reads the names and the purpose of a JSON web key.
    fn described(mut self, jwk: &Jwk) -> Result<Self, KeyError> {
        let common = &jwk.common;
        let signs = common.public_key_use.as_ref().is_none_or(|r#use| *r#use == PublicKeyUse::Signature);
        let verifies = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !signs || !verifies {
            return Err(KeyError::Unfit);
        }
        if let Some(algorithm) = common.key_algorithm {
            let algorithm = Algorithm::try_from(algorithm).map_err(|_| KeyError::Unfit)?;
            let place = self.algorithms.iter().position(|taken| *taken == algorithm).ok_or(KeyError::Unfit)?;
            self.algorithms = &self.algorithms[place..=place];
        }
        self.kid = common.key_id.clone().filter(|kid| !kid.is_empty());
        self.x5t = common.x509_sha1_fingerprint.clone();
        Ok(self)
    }

    /// Sets the name of the key. A token with this `kid` in its header is verified by this key only.
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    /// Sets the fingerprint of the key's certificate, the base64url of its SHA-1 hash (C#:
    /// `X509SecurityKey.X5t`). It selects the key for tokens with this `x5t`, as `kid` does.
    pub fn with_x5t(mut self, x5t: impl Into<String>) -> Self {
        self.x5t = Some(x5t.into());
        self
    }

    /// Whether a token names this key (IdentityModel: JwtTokenUtilities.cs, `ResolveTokenSigningKey`).
    pub(super) fn is_named_by(&self, token: &CompactToken<'_>) -> bool {
        let same = |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && ours == theirs;
        same(&self.kid, &token.kid) || same(&self.kid, &token.x5t) || same(&self.x5t, &token.x5t)
    }

    /// Whether an algorithm with this name exists.
    pub(super) fn knows(algorithm: &str) -> bool {
        algorithm.parse::<Algorithm>().is_ok()
    }

    /// Whether the key accepts an algorithm.
    pub(super) fn is_usable(&self) -> bool {
        !self.algorithms.is_empty()
    }

    /// Whether this key verifies the signature. Algorithms of other kinds of keys never match.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &Vec<u8>) -> bool {
        let Ok(algorithm) = algorithm.parse::<Algorithm>() else {
            return false;
        };
        // The provider is named, so that features of jsonwebtoken which other crates enable do not matter.
        self.algorithms.contains(&algorithm)
            && (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &self.key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// Prints names and algorithms, never the key.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("x5t", &self.x5t)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

/// Error in a key.
///
/// ```
/// use signalr::auth::{JwtBearer, KeyError};
///
/// assert!(matches!(JwtBearer::rsa_pem("no key"), Err(KeyError::Unreadable { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a public key of this kind.
    #[error("key is unreadable: {reason}")]
    Unreadable {
        /// Error of the parser.
        reason: String,
    },
    /// An RSA key is shorter than 2048 bits (RFC 7518 § 3.3).
    #[error("RSA key of {bits} bits is too small")]
    TooSmall {
        /// Length of its modulus in bits.
        bits: usize,
    },
    /// The curve of an EC key is neither P-256 nor P-384.
    #[error("curve of the key is neither P-256 nor P-384")]
    UnsupportedCurve,
    /// The key has another kind, size, purpose or algorithm.
    #[error("key cannot verify token signatures")]
    Unfit,
    /// The text is not a key set, or none of its keys can verify tokens.
    #[error("no usable signing key in the key set")]
    NoKey,
}

impl KeyError {
    fn unreadable(error: &jsonwebtoken::errors::Error) -> Self {
        Self::Unreadable { reason: error.to_string() }
    }
}

/// Whether the key fits this algorithm, such as its curve.
fn fits(key: &DecodingKey, algorithm: Algorithm) -> bool {
    (DEFAULT_PROVIDER.verifier_factory)(&algorithm, key).is_ok()
}

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
const EC: &[Algorithm] = &[Algorithm::ES256, Algorithm::ES384];
const ED: &[Algorithm] = &[Algorithm::EdDSA];
