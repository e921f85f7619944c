//! Secrets stay secret: in what is logged at the finest level, in panics and in `Debug`, and in what a hub is debug_text of a
//! request.
//!
//! It stands alone, since the log and the panics are those of the whole process.

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

/// All that the process says, on whatever thread: panics, too.
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

/// What must not be said of a token: all of it but its header, which is no secret.
fn parts(token: &str) -> impl Iterator<Item = String> + use<'_> {
    token.split('.').skip(usize::from(token.contains('.'))).map(str::to_owned)
}

/// A key in the forms in which it could be printed.
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
