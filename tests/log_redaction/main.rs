//! No secret is in log output of any level, in panics, in `Debug` output, or in the request that a
//! hub sees.
//!
//! The log and the panic hook are those of the process, so this is a separate binary.

#![cfg(feature = "messagepack")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod failures;
mod forged;
mod requests;
mod values;

use std::io::Write;
use std::sync::LazyLock;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;
use signalr_test_support::log_capture::Log;

const KEY: &str = "only-for-tests-and-long-enough-0123456789";

/// All log output and panics of the process, on any thread.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::of_process();
    let panics = log.clone();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        writeln!(panics.clone(), "{panic}").unwrap();
        print(panic);
    }));
    log
});

fn token(user: &str, expires_in: i64, key: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "sub": user, "exp": i64::try_from(now).unwrap() + expires_in, "secretclaim": "very-private" });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// Returns the secret parts of a token: all but its header.
fn parts(token: &str) -> impl Iterator<Item = String> + use<'_> {
    token.split('.').skip(usize::from(token.contains('.'))).map(str::to_owned)
}

/// Returns a key in all forms in which it could be printed.
fn forms(key: &str) -> Vec<String> {
    let bytes = format!("{:?}", key.as_bytes());
    let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        key.to_owned(),
        STANDARD.encode(key).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(key),
        hex.to_uppercase(),
        hex,
        bytes.trim_matches(['[', ']']).to_owned(),
    ]
}

fn secrets(tokens: &[String]) -> Vec<String> {
    let mut secrets = forms(KEY);
    secrets.push("very-private".into());
    secrets.extend(tokens.iter().flat_map(|token| parts(token)));
    secrets
}
