//! Rejected tokens and their challenges. All were recorded from ASP.NET Core 10.

use super::*;

const MALFORMED: &str = r#"Bearer error="invalid_token""#;
const KEY_NOT_FOUND: &str = "The signature key was not found";
const INVALID_SIGNATURE: &str = "The signature is invalid";

fn described(description: &str) -> String {
    format!(r#"Bearer error="invalid_token", error_description="{description}""#)
}

#[track_caller]
fn assert_outcome(token: &str, expected: &str) {
    let jwt = bearer();
    let expected =
        if expected == "ok" || expected.starts_with("Bearer") { expected.into() } else { described(expected) };
    assert_eq!(outcome(&jwt, &authenticate(&jwt, token)), expected, "{token}");
}

fn forged(header: &str, payload: &str) -> String {
    signed(header, payload, Algorithm::HS256, &EncodingKey::from_secret(OTHER_SECRET.as_bytes()))
}

fn with_header(header: &str) -> String {
    signed(header, &payload(""), Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()))
}

#[test]
fn valid_token_is_accepted() {
    assert_outcome(&token(&payload("")), "ok");
}

#[test]
fn lifetime_has_five_minutes_of_clock_skew() {
    for (changes, expected) in [
        (&[("exp", "1799999701")][..], "ok"),
        (&[("exp", "1799999700")], "The token expired at '01/15/2027 07:55:00'"),
        (&[("exp", "1799999699")], "The token expired at '01/15/2027 07:54:59'"),
        (&[("nbf", "1800000300")], "ok"),
        (&[("nbf", "1800000301")], "The token is not valid before '01/15/2027 08:05:01'"),
        (&[("exp", "0")], "The token expired at '01/01/1970 00:00:00'"),
        (&[("exp", "-5")], "The token expired at '01/01/1970 00:00:00'"),
        (&[("exp", "")], "The token has no expiration"),
        (&[("nbf", "-5")], "ok"),
        (&[("nbf", "1800000100"), ("exp", "1800000100")], "ok"),
        (
            &[("nbf", "1800000200"), ("exp", "1800000100")],
            "The token lifetime is invalid; NotBefore: '01/15/2027 08:03:20', Expires: '01/15/2027 08:01:40'",
        ),
        (
            &[("nbf", "99999999999999")],
            "The token lifetime is invalid; NotBefore: '12/31/9999 23:59:59', Expires: '01/15/2027 09:00:00'",
        ),
    ] {
        assert_outcome(&token(&payload_with(changes)), expected);
    }
}

#[test]
fn lifetime_is_checked_with_fractions_of_a_second() {
    let at = |nanos: i64| bearer().clock(move || UNIX_EPOCH + Duration::from_nanos(nanos.unsigned_abs()));
    let expired = token(&payload_with(&[("exp", "1800000000")]));
    let end = 1_800_000_300_000_000_000;
    assert_eq!(outcome(&at(end), &authenticate(&at(end), &expired)), "ok");
    assert_ne!(outcome(&at(end + 1), &authenticate(&at(end + 1), &expired)), "ok");

    let future = token(&payload_with(&[("nbf", "1800000000")]));
    let begin = 1_799_999_700_000_000_000;
    assert_eq!(outcome(&at(begin), &authenticate(&at(begin), &future)), "ok");
    assert_ne!(outcome(&at(begin - 1), &authenticate(&at(begin - 1), &future)), "ok");
}

#[test]
fn registered_times_are_numbers_or_numeric_strings() {
    let next = (NOW + 99).to_string();
    for good in [&next, &format!("\"{next}\""), &format!("\" {next}\""), &format!("{next}.5"), &format!("\"{next}.5\"")]
    {
        assert_outcome(&token(&payload_with(&[("exp", good)])), "ok");
    }
    for good in ["1e11", "\"1e11\"", "9223372036854775807", "253402300799", "253402300800"] {
        assert_outcome(&token(&payload_with(&[("exp", good)])), "ok");
    }
    for bad in [
        "true",
        "\"x\"",
        "\"\"",
        "null",
        "[1]",
        "{}",
        "99999999999999999999",
        "9223372036854775808",
        "\"NaN\"",
        "1e400",
    ] {
        for claim in ["exp", "nbf", "iat"] {
            assert_outcome(&token(&payload_with(&[(claim, bad)])), MALFORMED);
        }
    }
    for good in ["1.5", "\"5\"", "-5", "99999999999999"] {
        assert_outcome(&token(&payload_with(&[("iat", good)])), "ok");
    }
}

#[test]
fn audiences_are_compared_exactly_except_for_a_trailing_slash() {
    for (audience, expected) in [
        (r#""signalr-tests/""#, "ok"),
        (r#"["x","signalr-tests"]"#, "ok"),
        (r#"["x","signalr-tests/"]"#, "ok"),
        (r#"[null,"signalr-tests"]"#, "ok"),
        (r#""other""#, "The audience '(null)' is invalid"),
        (r#""SIGNALR-TESTS""#, "The audience '(null)' is invalid"),
        (r#""signalr-tests//""#, "The audience '(null)' is invalid"),
        (r#"["a","b"]"#, "The audience '(null)' is invalid"),
        (r#""""#, "The audience '(null)' is invalid"),
        (r#"[""]"#, "The audience '(null)' is invalid"),
        ("", "The audience 'empty' is invalid"),
        ("[]", "The audience 'empty' is invalid"),
        ("[null]", "The audience 'empty' is invalid"),
        ("null", "The audience 'empty' is invalid"),
        ("5", MALFORMED),
        ("true", MALFORMED),
        ("{}", MALFORMED),
        (r#"["signalr-tests",5]"#, MALFORMED),
        (r#"[["signalr-tests"]]"#, MALFORMED),
    ] {
        assert_outcome(&token(&payload_with(&[("aud", audience)])), expected);
    }
    let slashed = bearer().audience("https://api.test/");
    assert_eq!(
        outcome(&slashed, &authenticate(&slashed, &token(&payload_with(&[("aud", "\"https://api.test\"")])))),
        "ok"
    );
}

#[test]
fn issuers_are_compared_exactly() {
    for (issuer, expected) in [
        (r#""https://other.test""#, "The issuer 'https://other.test' is invalid"),
        (r#""HTTPS://issuer.test""#, "The issuer 'HTTPS://issuer.test' is invalid"),
        (r#""https://issuer.test/""#, "The issuer 'https://issuer.test/' is invalid"),
        (r#""""#, "The issuer '' is invalid"),
        ("", "The issuer '' is invalid"),
        ("null", "The issuer '(null)' is invalid"),
        ("5", MALFORMED),
        ("true", MALFORMED),
        ("[]", MALFORMED),
        ("{}", MALFORMED),
        (r#"["https://issuer.test"]"#, MALFORMED),
    ] {
        assert_outcome(&token(&payload_with(&[("iss", issuer)])), expected);
    }
}

#[test]
fn issuer_cannot_break_the_challenge_header() {
    assert_outcome(
        &token(&payload_with(&[("iss", r#""a\"b\\c\r\nSet-Cookie: x=\u0001ü\u007f""#)])),
        "The issuer 'a?b?c??Set-Cookie: x=???' is invalid",
    );
    let long = format!("\"{}\"", "x".repeat(5000));
    let jwt = bearer();
    let outcome = outcome(&jwt, &authenticate(&jwt, &token(&payload_with(&[("iss", &long)]))));
    assert!(outcome.len() < 500 && outcome.ends_with('"'), "{outcome}");
}

#[test]
fn sub_jti_and_azp_of_wrong_types_are_malformed() {
    for bad in ["true", "[]", "{\"a\":1}", "[\"a\"]"] {
        for claim in ["sub", "jti", "azp"] {
            assert_outcome(&token(&payload_with(&[(claim, bad)])), MALFORMED);
        }
        assert_outcome(&token(&payload_with(&[("name", bad)])), "ok");
    }
    for number in ["5", "1.5"] {
        assert_outcome(&token(&payload_with(&[("sub", number)])), "ok");
        assert_outcome(&token(&payload_with(&[("jti", number)])), MALFORMED);
        assert_outcome(&token(&payload_with(&[("azp", number)])), MALFORMED);
    }
    for claim in ["sub", "jti", "azp"] {
        assert_outcome(&token(&payload_with(&[(claim, "null")])), "ok");
    }
}

#[test]
fn last_of_duplicate_claims_counts_and_all_must_be_well_formed() {
    let good = NOW + 99;
    assert_outcome(&token(&payload("\"exp\":5")), "The token expired at '01/01/1970 00:00:05'");
    assert_outcome(&token(&payload("\"aud\":\"x\"")), "The audience '(null)' is invalid");
    assert_outcome(&token(&payload_with(&[("exp", "5"), ("exp", &good.to_string())])), "ok");
    assert_outcome(&token(&payload_with(&[("exp", "true"), ("exp", &good.to_string())])), MALFORMED);
}

#[test]
fn checks_run_in_the_order_of_dotnet() {
    let all_wrong = [("exp", "5"), ("aud", "\"x\""), ("iss", "\"y\"")];
    assert_outcome(&forged("{\"alg\":\"HS256\"}", &payload_with(&all_wrong)), KEY_NOT_FOUND);
    assert_outcome(&token(&payload_with(&all_wrong)), "The token expired at '01/01/1970 00:00:05'");
    assert_outcome(&token(&payload_with(&all_wrong[1..])), "The audience '(null)' is invalid");
    assert_outcome(&token(&payload_with(&all_wrong[2..])), "The issuer 'y' is invalid");
    assert_outcome(&forged("{\"alg\":\"HS256\"}", &payload_with(&[("exp", "true")])), MALFORMED);
    assert_outcome(&forged("{\"alg\":\"HS256\"}", &payload_with(&[("aud", "5")])), MALFORMED);
}

#[test]
fn invalid_claims_are_reported_before_an_unknown_kid() {
    let unknown = r#"{"alg":"HS256","kid":"zz"}"#;
    for (changes, expected) in [
        (&[][..], KEY_NOT_FOUND),
        (&[("exp", "5")], "The token expired at '01/01/1970 00:00:05'"),
        (&[("exp", "")], "The token expired at '01/01/0001 00:00:00'"),
        (&[("aud", "\"x\""), ("iss", "\"y\"")], "The issuer 'y' is invalid"),
        (&[("aud", "\"x\"")], "The audience '(null)' is invalid"),
        (
            &[("nbf", "99999999999")],
            "The token lifetime is invalid; NotBefore: '11/16/5138 09:46:39', Expires: '01/15/2027 09:00:00'",
        ),
    ] {
        assert_outcome(&forged(unknown, &payload_with(changes)), expected);
    }
    assert_outcome(&with_header(unknown), "ok");
    assert_outcome(&forged(r#"{"alg":"HS256","kid":""}"#, &payload_with(&[("exp", "5")])), KEY_NOT_FOUND);
    assert_outcome(&forged(r#"{"alg":"HS256","x5t":"zz"}"#, &payload_with(&[("exp", "5")])), KEY_NOT_FOUND);
    assert_outcome(
        &forged(r#"{"alg":"RS256","kid":"zz"}"#, &payload_with(&[("exp", "5")])),
        "The token expired at '01/01/1970 00:00:05'",
    );
}

#[test]
fn unsigned_tokens_and_unexpected_algorithms_are_rejected() {
    let good = token(&payload(""));
    let unsigned = |header: &str| {
        let mut token = with_header(header);
        token.truncate(token.rfind('.').unwrap() + 1);
        token
    };
    for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS256"}"#, "{}", r#"{"alg":"HS256","kid":"zz"}"#] {
        assert_outcome(&unsigned(header), INVALID_SIGNATURE);
    }
    for algorithm in ["none", "hs256", "HS256 ", "", "RS256", "ES256", "PS512", "EdDSA", "HS384", "HS512", "XX"] {
        assert_outcome(&with_header(&format!(r#"{{"alg":"{algorithm}"}}"#)), KEY_NOT_FOUND);
    }
    assert_outcome(&with_header("{}"), KEY_NOT_FOUND);
    assert_outcome(&with_header(r#"{"alg":null}"#), KEY_NOT_FOUND);
    for damaged in [format!("{good}x"), format!("{good}!!!"), good[..good.rfind('.').unwrap() + 2].to_owned()] {
        assert_outcome(&damaged, KEY_NOT_FOUND);
    }
    assert_outcome(&format!("{good}="), "ok");
    assert_outcome(&token(&payload_with(&[("exp", "5")])), "The token expired at '01/01/1970 00:00:05'");
}

#[test]
fn wrongly_typed_and_critical_header_values_are_malformed() {
    for name in ["alg", "kid", "typ", "x5t", "cty", "zip"] {
        for bad in ["true", "5", "[]", "{}"] {
            assert_outcome(&with_header(&format!(r#"{{"typ":"JWT",{name:?}:{bad}}}"#)), MALFORMED);
        }
    }
    for (name, value) in
        [("kid", "null"), ("typ", "\"x\""), ("cty", "null"), ("zip", "\"x\""), ("enc", "5"), ("jku", "\"https://x\"")]
    {
        assert_outcome(&with_header(&format!(r#"{{"alg":"HS256",{name:?}:{value}}}"#)), "ok");
    }
    // ASP.NET Core ignores `crit`; RFC 7515 § 4.1.11 requires to reject the token.
    assert_outcome(&with_header(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#), MALFORMED);
    assert_outcome(&with_header(r#"{"alg":"none","alg":"HS256"}"#), "ok");
}

#[test]
fn malformed_tokens_get_no_description() {
    let good = token(&payload(""));
    for text in ["nonsense", "a.b.c", "..", "...", ".", "a.b", "é.é.é", "\u{0}"] {
        assert_malformed_raw(text);
    }
    for text in
        [format!("\"{good}\""), format!("x{good}"), format!("{good}.x.y"), format!("{good}.x"), "x".repeat(300_000)]
    {
        assert_malformed_raw(&text);
    }
    for header in
        ["x", "[]", "null", "\"\"", "{\"alg\":\"HS256\"", "{\"alg\":\"HS256\"/*x*/}", "\u{feff}{\"alg\":\"HS256\"}", ""]
    {
        assert_outcome(&with_header(header), MALFORMED);
    }
    for payload in ["[]", "null", "5", "{\"\\ud800\":1}", "{\"a\":01}", "{\"a\":1,}", "{,}", "{} {}"] {
        assert_outcome(&token(payload), MALFORMED);
    }
    assert_outcome(&token(""), "The token has no expiration");
    assert_outcome(&token("{}"), "The token has no expiration");
    assert_outcome(&token(&payload("\"a\":\"\\ud800\"")), MALFORMED);
    assert_outcome(&token(&payload("\"a\":[\"\\ud800\"]")), MALFORMED);
}

/// Sends the token in the query, since it may contain characters that no header allows.
#[track_caller]
fn assert_malformed_raw(text: &str) {
    let jwt = bearer();
    let headers = HeaderMap::new();
    let query =
        format!("access_token={}", percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC));
    let request = request("/x", Some(&query), &headers, RequestKind::WebSocket);
    assert_eq!(outcome(&jwt, &authenticate_request(&jwt, &request)), MALFORMED, "{text}");
}

#[test]
fn token_nesting_and_length_are_limited() {
    let nested = |depth: usize| format!("\"a\":{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_outcome(&token(&payload(&nested(63))), "ok");
    assert_outcome(&token(&payload(&nested(64))), MALFORMED);
    assert_outcome(&with_header(&format!("{{\"alg\":\"HS256\",{}}}", nested(63))), "ok");
    assert_outcome(&with_header(&format!("{{\"alg\":\"HS256\",{}}}", nested(64))), MALFORMED);
    assert_outcome(&token(&payload(&format!("\"a\":\"{}\\\"{}\"", "[".repeat(99), "[".repeat(99)))), "ok");

    let long = token(&payload(&format!("\"a\":\"{}\"", "x".repeat(20_000))));
    assert_outcome(&long, MALFORMED);
    let jwt = bearer().max_token_bytes(long.len());
    assert_eq!(outcome(&jwt, &authenticate(&jwt, &long)), "ok");
    let jwt = bearer().max_token_bytes(long.len() - 1);
    assert_eq!(outcome(&jwt, &authenticate(&jwt, &long)), MALFORMED);
}
