//! Creates access tokens, valid and invalid ones.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Claims of a token, and how it is signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[non_exhaustive]
pub struct TokenRequest {
    /// Name that the token is bound to.
    #[serde(rename = "as")]
    pub name: String,
    /// Claims beyond those below.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Seconds from now until the token expires; `None` leaves the claim out.
    #[serde(default = "one_hour")]
    pub expires_in: Option<i64>,
    /// Seconds from now until the token becomes valid.
    pub not_before: Option<i64>,
    /// The issuer; null leaves the claim out.
    #[serde(default = "issuer")]
    pub issuer: Value,
    /// The audience; null leaves the claim out.
    #[serde(default = "audience")]
    pub audience: Value,
    /// Key, as text.
    #[serde(default = "key")]
    pub key: String,
    /// Signature algorithm.
    #[serde(default)]
    pub alg: Algorithm,
}

/// Signature algorithm of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[default]
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
    /// No signature.
    #[serde(rename = "none")]
    None,
}

impl TokenRequest {
    /// Creates the token, with times relative to now.
    ///
    /// # Errors
    ///
    /// Returns an error if the claims cannot be signed.
    pub fn mint(&self) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = self.payload(now());
        let algorithm = match self.alg {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
            Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
            Algorithm::None => return Ok(unsigned(claims)),
        };
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(self.key.as_bytes()))
    }

    fn payload(&self, now: i64) -> Map<String, Value> {
        let mut payload = self.claims.clone();
        for (claim, value) in [("iss", &self.issuer), ("aud", &self.audience)] {
            if !value.is_null() {
                payload.insert(claim.to_owned(), value.clone());
            }
        }
        for (claim, seconds) in [("exp", self.expires_in), ("nbf", self.not_before)] {
            if let Some(seconds) = seconds {
                payload.insert(claim.to_owned(), json!(now + seconds));
            }
        }
        payload
    }
}

/// Creates a token with the algorithm `none`, which `jsonwebtoken` cannot create.
fn unsigned(claims: Map<String, Value>) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(json!({ "alg": "none", "typ": "JWT" })), part(Value::Object(claims)))
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn one_hour() -> Option<i64> {
    Some(3600)
}

fn issuer() -> Value {
    json!("https://issuer.test")
}

fn audience() -> Value {
    json!("signalr-tests")
}

/// Key of the conformance host, long enough for HS256.
fn key() -> String {
    "a-32-byte-or-longer-key-for-tests-only-0123456789".to_owned()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;

    fn request(json: Value) -> TokenRequest {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn default_tokens_verify() {
        let token = request(json!({ "as": "T", "claims": { "sub": "u" } })).mint().unwrap();
        let mut validation = Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.set_audience(&["signalr-tests"]);
        validation.set_issuer(&["https://issuer.test"]);
        let key = DecodingKey::from_secret(key().as_bytes());
        let claims = jsonwebtoken::decode::<Map<String, Value>>(&token, &key, &validation).unwrap().claims;
        assert_eq!(claims["sub"], "u");
    }

    #[test]
    fn null_omits_a_claim() {
        let json = json!({ "as": "T", "claims": {}, "expiresIn": null, "issuer": null, "audience": null });
        assert!(request(json).payload(0).is_empty());
    }

    #[test]
    fn times_are_relative_to_now() {
        let payload = request(json!({ "as": "T", "expiresIn": -60, "notBefore": 200 })).payload(1000);
        assert_eq!((&payload["exp"], &payload["nbf"]), (&json!(940), &json!(1200)));
    }

    #[test]
    fn unsigned_tokens_end_with_a_dot() {
        let token = request(json!({ "as": "T", "alg": "none" })).mint().unwrap();
        assert_eq!(token.split('.').count(), 3);
        assert!(token.ends_with('.'), "{token}");
    }
}
