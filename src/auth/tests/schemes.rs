//! Custom authentication schemes, and users of several schemes.

use futures_util::FutureExt;

use super::*;
use crate::auth::{ApiKeys, AuthError, AuthRejection, Authenticator, Schemes};

/// Authenticates a request; panics if the future is pending.
fn authenticate_with(authenticator: &impl Authenticator, headers: &HeaderMap) -> Authentication {
    let request = request("/hubs/x", Some("a=b+c&access_token=secret"), headers, RequestKind::Poll);
    Authenticator::authenticate(authenticator, &request).now_or_never().unwrap()
}

#[test]
fn functions_and_closures_are_schemes() {
    async fn function(request: &AuthRequest<'_>) -> Authentication {
        Authentication::Authenticated(User::builder().id(request.query("A").unwrap()).build())
    }
    let closure =
        async |request: &AuthRequest<'_>| Authentication::Authenticated(User::builder().id(request.path()).build());
    let name = Arc::new(String::from("kept"));
    let boxed = move |_: &AuthRequest<'_>| {
        let name = Arc::clone(&name);
        async move { Authentication::Authenticated(User::builder().id(name.as_str()).build()) }
    };
    let none = HeaderMap::new();
    let id = |authentication: Authentication| authentication.user().id().unwrap().to_owned();
    assert_eq!(id(authenticate_with(&function, &none)), "b c");
    assert_eq!(id(authenticate_with(&closure, &none)), "/hubs/x");
    assert_eq!(id(authenticate_with(&boxed, &none)), "kept");
    assert_eq!(id(authenticate_with(&Arc::new(boxed), &none)), "kept");
}

#[test]
fn merged_users_keep_separate_identities() {
    let nurse = User::builder().name("Ann").role("Nurse").claim("team", "not a role").expires_at(now()).build();
    let badge = User::builder().name_claim("nick").role_claim("team").id("b1").role("er").claim("nick", "An").build();
    let both = badge.clone().and(&nurse);
    assert_eq!((both.name(), both.id(), both.expires_at()), (Some("An"), Some("b1"), Some(now())));
    assert_eq!(both.roles().collect::<Vec<_>>(), ["er", "Nurse"]);
    assert_eq!(both.claims("team").collect::<Vec<_>>(), ["er", "not a role"]);
    assert!(!both.is_in_role("not a role"));
    assert_eq!(both.identity_names().collect::<Vec<_>>(), [Some("An"), Some("Ann")]);
    let three = User::builder().role("Third").expires_at(now() + Duration::from_secs(1)).build().and(&both);
    assert_eq!(three.roles().collect::<Vec<_>>(), ["Third", "er", "Nurse"]);
    assert_eq!((three.name(), three.expires_at()), (None, Some(now())));
    assert_eq!(User::anonymous().and(&badge).id(), Some("b1"));
    assert_eq!(badge.and(&User::anonymous()).id(), Some("b1"));
    assert!(!User::anonymous().and(&User::anonymous()).is_authenticated());
}

#[test]
fn api_keys_are_compared_exactly_and_never_printed() {
    const KEY: &str = "0123456789abcdef";
    let name = http::HeaderName::from_static("x-key");
    let keys = ApiKeys::in_header(name.clone()).key("another key, longer than sixteen", User::anonymous());
    let keys = keys.key(KEY, User::builder().id("pump").build());
    assert_eq!(keys.validate(), Ok(()));
    let sent =
        |values: &[&str]| -> HeaderMap { values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect() };
    assert!(matches!(authenticate_with(&keys, &sent(&[])), Authentication::Anonymous));
    assert_eq!(authenticate_with(&keys, &sent(&[KEY])).user().id(), Some("pump"));
    for values in [&["0123456789abcde"][..], &["0123456789abcdeF"], &[""], &[KEY, KEY], &[KEY, ""]] {
        assert!(authenticate_with(&keys, &sent(values)).failure().is_some(), "{values:?}");
    }
    let headers = sent(&[KEY]);
    let mut schemes = Schemes::default();
    schemes.add("Keys", keys.clone());
    let printed = format!(
        "{keys:?} {schemes:?} {:?} {:?}",
        request("/hubs/x", Some("key=0123456789abcdef"), &headers, RequestKind::Send),
        authenticate_with(&keys, &sent(&["0123456789abcdef "])),
    );
    assert!(!printed.contains("0123456789"), "{printed}");
    assert!(keys.key("fifteen bytes..", User::anonymous()).validate().is_err());
}

#[test]
fn error_texts_are_hidden_from_clients() {
    let own = AuthError::new("session 17 of ann");
    assert_eq!((own.to_string().as_str(), own.description()), ("session 17 of ann", None));
    let described = own.with_description("gone");
    assert_eq!(
        (described.to_string().as_str(), described.description().as_deref()),
        ("session 17 of ann", Some("gone"))
    );
    let refused = authenticate(&bearer(), "nonsense");
    let described = refused.failure().unwrap().clone().with_description("gone");
    assert_eq!(
        (described.to_string().as_str(), described.description().as_deref()),
        ("The token is malformed", Some("gone"))
    );
}

#[test]
fn requests_expose_query_cookies_and_extensions() {
    let parts = http::Request::get("/hubs/a%20b?X=1&x=a+b&access_token=t")
        .header("cookie", "a=1; b=2")
        .header("cookie", "A=x%20y");
    let mut parts = parts.body(()).unwrap().into_parts().0;
    parts.extensions.insert(7_u8);
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 80));
    let request = AuthRequest::new(&parts, RequestKind::WebSocket).with_peer_addr(Some(peer));
    assert_eq!((request.method().as_str(), request.path()), ("GET", "/hubs/a%20b"));
    assert_eq!((request.query("x").as_deref(), request.query("access_token").as_deref()), (Some("1,a b"), Some("t")));
    assert_eq!((request.cookie("a").as_deref(), request.cookie("B").as_deref()), (Some("x y"), Some("2")));
    assert_eq!((request.cookie("c"), request.query("y")), (None, None));
    assert_eq!((request.extension::<u8>(), request.extension::<u16>()), (Some(&7), None));
    assert_eq!((request.peer_addr(), request.kind()), (Some(peer), RequestKind::WebSocket));
    let printed = format!("{request:?}");
    assert!(!printed.contains("a+b") && !printed.contains("x%20y"), "{printed}");
}

#[test]
fn combined_rejections_keep_all_headers() {
    let basic = http::HeaderValue::from_static("Basic");
    let first = AuthRejection::redirect(http::HeaderValue::from_static("/login")).www_authenticate(basic.clone());
    let both = first.and(&AuthRejection::unauthorized().www_authenticate(basic));
    assert_eq!(both.status, 401);
    assert_eq!(both.headers.get_all("www-authenticate").iter().count(), 2);
    assert_eq!(both.headers["location"], "/login");
}
