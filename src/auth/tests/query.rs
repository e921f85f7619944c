//! Access tokens in headers and queries, and their redaction.

use super::*;
use crate::auth::{QueryToken, RedactedUri, redact_query, strip_access_token};

/// Returns `anonymous`, `failed` or the id of the user.
fn result_of(jwt: &JwtBearer, path: &str, query: &str, lines: &[&str], upgrade: bool) -> String {
    let headers = headers(lines);
    let kind = if upgrade { RequestKind::WebSocket } else { RequestKind::Poll };
    match authenticate_request(jwt, &request(path, Some(query), &headers, kind)) {
        Authentication::Anonymous => "anonymous".into(),
        Authentication::Failed(_) => "failed".into(),
        Authentication::Authenticated(user) => user.id().unwrap_or_default().into(),
    }
}

fn token_of(id: &str) -> String {
    token(&payload(&format!("\"sub\":\"{id}\"")))
}

#[test]
fn authorization_header_carries_a_token_after_the_scheme() {
    let t = token_of("u");
    for (lines, expected) in [
        (&[format!("Bearer {t}")][..], "u"),
        (&[format!("bearer {t}")], "u"),
        (&[format!("BEARER   {t}  ")], "u"),
        (&[String::new(), format!("Bearer {t}")], "u"),
        (&[t.to_string()], "anonymous"),
        (&[format!("Bearer{t}")], "anonymous"),
        (&[format!("Bearer\t{t}")], "anonymous"),
        (&[format!("Token {t}")], "anonymous"),
        (&["Bearer".into()], "anonymous"),
        (&["Bearer ".into()], "anonymous"),
        (&["Basic dTpw".into()], "anonymous"),
        (&[format!("Basic x, Bearer {t}")], "anonymous"),
        (&["Basic dTpw".into(), format!("Bearer {t}")], "anonymous"),
        (&[format!("Bearer {t}"), format!("Bearer {t}")], "failed"),
        (&[format!("Bearer {t}, Bearer {t}")], "failed"),
        (&[format!("Bearer ,{t}")], "failed"),
        (&["Bearer é".into()], "failed"),
        (&["Beareé x".into()], "anonymous"),
    ] {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(result_of(&bearer(), "/hubs/x", "", &lines, false), expected, "{lines:?}");
    }
}

#[test]
fn query_carries_a_token_without_a_scheme() {
    let t = token_of("u");
    for (query, expected) in [
        (format!("access_token={t}"), "u"),
        (format!("id=x&ACCESS_TOKEN={t}"), "u"),
        (format!("access%5Ftoken={t}"), "u"),
        (format!("%61ccess%5ftoken={t}"), "u"),
        (format!("access_token={}", t.replace('.', "%2e")), "u"),
        (format!("&&access_token={t}&"), "u"),
        (format!("access_token=&access_token={t}"), "u"),
        (format!("access_token&access_token={t}"), "u"),
        (format!("access_token={t}&access_token={t}"), "failed"),
        (format!("access_token={t}&Access_Token={t}"), "failed"),
        (format!("access_token=Bearer%20{t}"), "failed"),
        (format!("access_token=+{t}"), "failed"),
        (format!("access_token=%20{t}%20"), "failed"),
        ("access_token==".into(), "failed"),
        ("access_token=%zz".into(), "failed"),
        ("access_token=%00".into(), "failed"),
        ("access_token=%ff".into(), "failed"),
        ("access_token=".into(), "anonymous"),
        ("access_token".into(), "anonymous"),
        (format!(";access_token={t}"), "anonymous"),
        (format!("%20access_token={t}"), "anonymous"),
        (format!("accesstoken={t}"), "anonymous"),
        (String::new(), "anonymous"),
    ] {
        assert_eq!(result_of(&bearer(), "/hubs/x", &query, &[], false), expected, "{query}");
    }
}

#[test]
fn precedence_of_query_and_header_is_an_option() {
    let query = format!("access_token={}", token_of("query"));
    let header = format!("Bearer {}", token_of("header"));
    let bad = "access_token=bad";
    for (jwt, both, bad_query, bad_header) in
        [(bearer(), "query", "failed", "query"), (bearer().header_before_query(true), "header", "header", "failed")]
    {
        assert_eq!(result_of(&jwt, "/", &query, &[&header], false), both);
        assert_eq!(result_of(&jwt, "/", bad, &[&header], false), bad_query);
        assert_eq!(result_of(&jwt, "/", &query, &["Bearer bad"], false), bad_header);
        assert_eq!(result_of(&jwt, "/", &query, &["Basic dTpw"], false), "query");
        assert_eq!(result_of(&jwt, "/", "access_token=", &[&header], false), "header");
    }
}

#[test]
fn query_tokens_can_be_limited_to_paths_and_upgrades() {
    let query = format!("access_token={}", token_of("u"));
    let at = |rule: QueryToken, path: &str, upgrade| result_of(&bearer().query_token(rule), path, &query, &[], upgrade);
    assert_eq!(at(QueryToken::HubPaths, "/anywhere", false), "u");
    assert_eq!(at(QueryToken::UpgradesOnly, "/hubs/x", false), "anonymous");
    assert_eq!(at(QueryToken::UpgradesOnly, "/hubs/x", true), "u");
    assert_eq!(at(QueryToken::Never, "/hubs/x", true), "anonymous");
    for (prefix, path, expected) in [
        ("/hubs", "/hubs", "u"),
        ("/hubs", "/hubs/clinical/negotiate", "u"),
        ("/hubs", "/HUBS/Clinical", "u"),
        ("/hubs", "/%68ubs/clinical", "u"),
        ("/hubs", "/hubsx/clinical", "anonymous"),
        ("/hubs", "/hub", "anonymous"),
        ("/hubs", "/x/hubs", "anonymous"),
        ("/hubs", "//hubs", "anonymous"),
        ("/hubs", "", "anonymous"),
        ("hubs/", "/hubs/x", "u"),
        ("/a/b", "/a/b", "u"),
        ("/a/b", "/a/c", "anonymous"),
        ("/a/b", "/a", "anonymous"),
        ("/", "/x", "u"),
        ("", "/x", "u"),
    ] {
        assert_eq!(at(QueryToken::under(prefix), path, true), expected, "{prefix} {path}");
    }
}

#[test]
fn header_tokens_work_where_query_tokens_are_disabled() {
    let header = format!("Bearer {}", token_of("header"));
    assert_eq!(
        result_of(&bearer().query_token(QueryToken::Never), "/x", "access_token=bad", &[&header], true),
        "header"
    );
}

#[test]
fn redacted_uris_contain_no_tokens() {
    for (query, printed) in [
        ("id=a&access_token=b&x=1", "id=***&access_token=***&x=1"),
        ("ID=a&Access_Token=b", "ID=***&Access_Token=***"),
        ("access%5Ftoken=b", "access%5Ftoken=***"),
        ("%61ccess_toke%6E=b&%69d=c", "%61ccess_toke%6E=***&%69d=***"),
        ("access_token=a=b=c", "access_token=***"),
        ("access_token=a&access_token=b", "access_token=***&access_token=***"),
        ("access_token=", "access_token=***"),
        ("access_token", "access_token"),
        ("idx=1&my_access_token=2", "idx=1&my_access_token=2"),
        ("access_token=a;b#c?d&x", "access_token=***&x"),
        ("x=1;access_token=a;b&y", "x=1;access_token=***&y"),
        ("x#access_token=a&?id=b&;%69d=c", "x#access_token=***&?id=***&;%69d=***"),
        ("x=access_token&y=id", "x=access_token&y=id"),
        ("", ""),
        ("&&", "&&"),
    ] {
        assert_eq!(redact_query(query).to_string(), printed);
        assert_eq!(format!("{:?}", redact_query(query)), printed);
    }
    for (uri, printed) in [
        ("/hubs/x?id=a&access_token=b", "/hubs/x?id=***&access_token=***"),
        ("wss://u:p@host:1/hubs/x?id=a", "wss://host:1/hubs/x?id=***"),
        ("/plain", "/plain"),
        ("http://u:access_token=p@host/?x=1#id=a", "http://host/?x=1"),
        ("*", "*"),
    ] {
        let uri = uri.parse().unwrap();
        assert_eq!(RedactedUri::new(&uri).to_string(), printed);
        assert_eq!(format!("{:?}", RedactedUri::new(&uri)), printed);
    }
}

#[test]
fn access_token_is_removed_from_the_query() {
    for (query, rest) in [
        ("id=a&access_token=b&x=1", Some("id=a&x=1")),
        ("ACCESS%5FTOKEN=b&x", Some("x")),
        ("access_token=a&access_token", None),
        ("id=a", Some("id=a")),
        ("", None),
    ] {
        assert_eq!(strip_access_token(query).as_deref(), rest, "{query}");
    }
}
