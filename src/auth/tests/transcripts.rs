//! Transcripts of ASP.NET Core, compared by authentication: whether each request gets 401, 403 or
//! neither, and its challenge.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::auth::{Authorize, Decision, EndpointRules, Policies, Policy, QueryToken, Schemes};

#[test]
fn recorded_requests_get_the_recorded_status_and_challenge() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/transcripts/auth");
    let (mut files, mut responses, mut challenges) = (0, 0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let transcript: Value = serde_json::from_str(&text).unwrap();
        let counts = replay(&transcript);
        files += 1;
        responses += counts.0;
        challenges += counts.1;
    }
    // A change of the format must not turn this test into one that compares nothing.
    assert!(files >= 55 && responses >= 150 && challenges >= 50, "{files} {responses} {challenges}");
}

/// Returns the number of compared responses and the number of challenges among them.
fn replay(transcript: &Value) -> (usize, usize) {
    let jwt = bearer().query_token(QueryToken::under("/hubs")).clock(SystemTime::now);
    let (mut tokens, mut requests) = (HashMap::new(), HashMap::new());
    let (mut responses, mut challenges) = (0, 0);
    for event in transcript["events"].as_array().unwrap() {
        let name = event["as"].as_str().or_else(|| event["of"].as_str()).unwrap_or_default();
        match (event["do"].as_str(), event["see"].as_str()) {
            (Some("token"), _) => {
                tokens.insert(name, mint(event));
            }
            (Some("http" | "ws" | "sse"), _) => {
                requests.insert(name, rejection_of(&jwt, event, &tokens));
            }
            (_, Some("http" | "opened")) => {
                let Some(rejection) = requests.remove(name) else { continue };
                let status = event["status"]
                    .as_u64()
                    .or_else(|| event["refused"].as_u64())
                    .filter(|status| matches!(status, 401 | 403));
                let challenge = event["headers"]["www-authenticate"].as_str().map(str::to_owned);
                responses += 1;
                challenges += usize::from(challenge.is_some());
                assert_eq!(rejection, (status, challenge), "{} {name}", transcript["name"]);
            }
            _ => {}
        }
    }
    (responses, challenges)
}

/// Returns the status and the challenge of the rejection of a request, if it is rejected.
fn rejection_of(jwt: &JwtBearer, event: &Value, tokens: &HashMap<&str, String>) -> (Option<u64>, Option<String>) {
    let substituted = |text: &Value| {
        let text = text.as_str().unwrap().to_owned();
        tokens.iter().fold(text, |text, (name, token)| text.replace(&format!("${{{name}}}"), token))
    };
    let lines: Vec<String> = match &event["headers"]["authorization"] {
        Value::Null => Vec::new(),
        Value::Array(lines) => lines.iter().map(substituted).collect(),
        line => vec![substituted(line)],
    };
    let headers = headers(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let uri = substituted(&event["path"]);
    let (path, query) = uri.split_once('?').map_or((&*uri, None), |(path, query)| (path, Some(query)));
    let authentication = authenticate_request(jwt, &request(path, query, &headers, RequestKind::Poll));
    match rules(path, event["method"].as_str()).decide(&authentication.user()).now_or_never().unwrap() {
        Decision::Allow => (None, None),
        Decision::Forbid => (Some(403), None),
        Decision::Challenge => {
            let header = jwt.www_authenticate_for(authentication.failure());
            (Some(401), Some(masked(header.to_str().unwrap())))
        }
    }
}

/// Rules of the hubs with which the transcripts were recorded. Preflights are answered before any
/// rule is checked.
fn rules(path: &str, method: Option<&str>) -> EndpointRules {
    let mut policies = Policies::default();
    policies.add("SameDepartment", Policy::require_claim("department", ["icu", "er"]));
    let path = path.to_lowercase();
    let rules: &[Authorize] = match path.trim_end_matches("/negotiate") {
        _ if method == Some("OPTIONS") => &[],
        "/hubs/clinical" | "/hubs/expiring" => &[Authorize::user()],
        "/hubs/policy" => &[Authorize::policy("SameDepartment")],
        "/hubs/mixed" | "/mixed-elsewhere" => &[],
        other => panic!("no rules for {other}"),
    };
    policies.endpoint_rules(rules, false, &Schemes::default()).unwrap()
}

/// Creates a token from its description in a transcript.
fn mint(event: &Value) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let mut claims = event["claims"].as_object().cloned().unwrap_or_default();
    for (name, option, default) in [("iss", "issuer", "https://issuer.test"), ("aud", "audience", "signalr-tests")] {
        match event.get(option) {
            Some(Value::Null) => {}
            Some(value) => _ = claims.insert(name.into(), value.clone()),
            None => _ = claims.insert(name.into(), default.into()),
        }
    }
    match event.get("expiresIn") {
        Some(Value::Null) => {}
        seconds => {
            _ = claims.insert("exp".into(), (now + seconds.map_or(3600, |seconds| seconds.as_i64().unwrap())).into())
        }
    }
    if let Some(seconds) = event.get("notBefore") {
        claims.insert("nbf".into(), (now + seconds.as_i64().unwrap()).into());
    }
    let algorithm = event["alg"].as_str().unwrap_or("HS256");
    let key = EncodingKey::from_secret(event["key"].as_str().unwrap_or(SECRET).as_bytes());
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
    let token = signed(&header, &Value::from(claims).to_string(), algorithm.parse().unwrap_or(Algorithm::HS256), &key);
    if algorithm == "none" { token[..=token.rfind('.').unwrap()].into() } else { token }
}

/// Masks dates as in the transcripts.
fn masked(challenge: &str) -> String {
    let is_date = |part: &str| part.len() == 19 && part.chars().all(|c| matches!(c, '0'..='9' | '/' | ':' | ' '));
    let parts = challenge.split('\'').map(|part| if is_date(part) { "MM/DD/YYYY hh:mm:ss" } else { part });
    parts.collect::<Vec<_>>().join("'")
}
