//! Bearer tokens, and the authentication that accepts them.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use signalr::auth::JwtBearer;

const KEY: &[u8; 32] = b"a-key-of-thirty-two-bytes-length";

/// Returns the authentication that accepts the tokens of [`token_query`].
pub fn bearer() -> JwtBearer {
    JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience()
}

/// Returns a query string with a token of this user, in the role `Doctor`. The token is valid for an hour.
pub fn token_query(user: &str) -> String {
    let expires_at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
    let claims = json!({ "sub": user, "unique_name": user, "role": "Doctor", "exp": expires_at.as_secs() });
    format!(
        "access_token={}",
        jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(KEY)).unwrap()
    )
}
