//! Where tokens are found, and where they are hidden.

use super::*;
use crate::auth::{QueryToken, RedactedUri, redact_query, strip_access_token};

/// Who is found: nobody, a refused token or a user's id.
fn found(jwt: &JwtBearer, path: &str, query: &str, lines: &[&str], upgrade: bool) -> String {
    let headers = headers(lines);
    let kind = if upgrade { RequestKind::WebSocket } else { RequestKind::Poll };
    match asked(jwt, &request(path, Some(query), &headers, kind)) {
        Authentication::Anonymous => "nobody".into(),
        Authentication::Failed(_) => "refused".into(),
        Authentication::Authenticated(user) => user.id().unwrap_or_default().into(),
    }
}

fn token_of(id: &str) -> String {
    token(&payload(&format!("\"sub\":\"{id}\"")))
}

#[test]
fn the_header_carries_a_token_after_its_scheme() {
    let t = token_of("u");
    for (lines, expected) in [
        (&[format!("Bearer {t}")][..], "u"),
        (&[format!("bearer {t}")], "u"),
        (&[format!("BEARER   {t}  ")], "u"),
        (&[String::new(), format!("Bearer {t}")], "u"),
        (&[t.to_string()], "nobody"),
        (&[format!("Bearer{t}")], "nobody"),
        (&[format!("Bearer\t{t}")], "nobody"),
        (&[format!("Token {t}")], "nobody"),
        (&["Bearer".into()], "nobody"),
        (&["Bearer ".into()], "nobody"),
        (&["Basic dTpw".into()], "nobody"),
        (&[format!("Basic x, Bearer {t}")], "nobody"),
        (&["Basic dTpw".into(), format!("Bearer {t}")], "nobody"),
        (&[format!("Bearer {t}"), format!("Bearer {t}")], "refused"),
        (&[format!("Bearer {t}, Bearer {t}")], "refused"),
        (&[format!("Bearer ,{t}")], "refused"),
        (&["Bearer é".into()], "refused"),
        (&["Beareé x".into()], "nobody"),
    ] {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        assert_eq!(found(&bearer(), "/hubs/x", "", &lines, false), expected, "{lines:?}");
    }
}

#[test]
fn the_query_carries_a_token_by_itself() {
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
        (format!("access_token={t}&access_token={t}"), "refused"),
        (format!("access_token={t}&Access_Token={t}"), "refused"),
        (format!("access_token=Bearer%20{t}"), "refused"),
        (format!("access_token=+{t}"), "refused"),
        (format!("access_token=%20{t}%20"), "refused"),
        ("access_token==".into(), "refused"),
        ("access_token=%zz".into(), "refused"),
        ("access_token=%00".into(), "refused"),
        ("access_token=%ff".into(), "refused"),
        ("access_token=".into(), "nobody"),
        ("access_token".into(), "nobody"),
        (format!(";access_token={t}"), "nobody"),
        (format!("%20access_token={t}"), "nobody"),
        (format!("accesstoken={t}"), "nobody"),
        (String::new(), "nobody"),
    ] {
        assert_eq!(found(&bearer(), "/hubs/x", &query, &[], false), expected, "{query}");
    }
}

#[test]
fn the_query_comes_before_the_header_or_after_it() {
    let query = format!("access_token={}", token_of("query"));
    let header = format!("Bearer {}", token_of("header"));
    let bad = "access_token=bad";
    for (jwt, both, bad_query, bad_header) in
        [(bearer(), "query", "refused", "query"), (bearer().header_before_query(true), "header", "header", "refused")]
    {
        assert_eq!(found(&jwt, "/", &query, &[&header], false), both);
        assert_eq!(found(&jwt, "/", bad, &[&header], false), bad_query);
        assert_eq!(found(&jwt, "/", &query, &["Bearer bad"], false), bad_header);
        assert_eq!(found(&jwt, "/", &query, &["Basic dTpw"], false), "query");
        assert_eq!(found(&jwt, "/", "access_token=", &[&header], false), "header");
    }
}

#[test]
fn where_the_query_counts_is_an_option() {
    let query = format!("access_token={}", token_of("u"));
    let at = |rule: QueryToken, path: &str, upgrade| found(&bearer().query_token(rule), path, &query, &[], upgrade);
    assert_eq!(at(QueryToken::HubPaths, "/anywhere", false), "u");
    assert_eq!(at(QueryToken::UpgradesOnly, "/hubs/x", false), "nobody");
    assert_eq!(at(QueryToken::UpgradesOnly, "/hubs/x", true), "u");
    assert_eq!(at(QueryToken::Never, "/hubs/x", true), "nobody");
    for (prefix, path, expected) in [
        ("/hubs", "/hubs", "u"),
        ("/hubs", "/hubs/clinical/negotiate", "u"),
        ("/hubs", "/HUBS/Clinical", "u"),
        ("/hubs", "/%68ubs/clinical", "u"),
        ("/hubs", "/hubsx/clinical", "nobody"),
        ("/hubs", "/hub", "nobody"),
        ("/hubs", "/x/hubs", "nobody"),
        ("/hubs", "//hubs", "nobody"),
        ("/hubs", "", "nobody"),
        ("hubs/", "/hubs/x", "u"),
        ("/a/b", "/a/b", "u"),
        ("/a/b", "/a/c", "nobody"),
        ("/a/b", "/a", "nobody"),
        ("/", "/x", "u"),
        ("", "/x", "u"),
    ] {
        assert_eq!(at(QueryToken::under(prefix), path, true), expected, "{prefix} {path}");
    }
}

#[test]
fn a_header_counts_wherever_the_query_does_not() {
    let header = format!("Bearer {}", token_of("header"));
    assert_eq!(found(&bearer().query_token(QueryToken::Never), "/x", "access_token=bad", &[&header], true), "header");
}

#[test]
fn tokens_and_connection_tokens_are_not_printed() {
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
fn the_token_is_taken_out_of_the_query() {
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
