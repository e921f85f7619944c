//! Valid and invalid requests, and what a hub sees of them.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use http::HeaderName;
use serde_json::Value;
use signalr::auth::{ApiKeys, JwtBearer, QueryToken, User};
use signalr::hosting::{Cors, Redirect};
use signalr::{Caller, HubProtocolKind, HubResult, SignalR, hub};
use tokio::net::TcpStream;

use super::{KEY, LOG, secrets, token};
use signalr_test_support::http2::Http2;
use signalr_test_support::log_capture::assert_no_secrets;
use signalr_test_support::{Client, http, negotiate, serve, until, upgrade, within};

struct Open;

#[hub]
impl Open {
    /// Returns all that a hub can read of its request, and its `Debug` output.
    fn request(&self, caller: &Caller<Self>) -> Vec<String> {
        let request = caller.request();
        let headers = request.headers().map(|(name, value)| format!("{name}: {value}"));
        let debug_text =
            [format!("{caller:?} {request:?}"), request.path().to_owned(), request.query_string().to_owned()];
        let asked = ["access_token", "ACCESS_TOKEN"].map(|name| format!("{:?}", request.query(name)));
        let header = format!("{:?}", request.header("authorization"));
        headers.chain(debug_text).chain(asked).chain([header]).collect()
    }

    async fn fail(&self, caller: &Caller<Self>) -> HubResult {
        Err(format!("{caller:?} {:?}", caller.user())).map_err(signalr::HubError::internal)
    }
}

/// A hub for authenticated users.
struct Closed;

#[hub(include = shared)]
#[signalr::authorize]
impl Closed {}

fn shared<H: signalr::Hub>(methods: &mut hub::Methods<H>) {
    methods.method("Whoami", |_, caller: Caller<H>, (): ()| async move { Ok(caller.user_id().map(str::to_owned)) });
}

/// Opens a WebSocket with this header; `None` if it is rejected.
async fn open(addr: SocketAddr, target: &str, authorization: Option<&str>) -> Option<Client> {
    let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
    let (ws, _) = upgrade(addr, target, &headers).await.ok()?;
    Some(Client::from_websocket(ws, HubProtocolKind::Json))
}

#[tokio::test]
async fn no_token_is_logged_or_visible_to_hubs() {
    LazyLock::force(&LOG);
    let bearer = JwtBearer::hmac(KEY)
        .allow_any_issuer()
        .allow_any_audience()
        .clock_skew(Duration::ZERO)
        .query_token(QueryToken::under("/"));
    let signalr = SignalR::builder()
        .authentication(bearer)
        .enable_detailed_errors(true)
        .hub("/open", Open)
        .hub("/closed", Closed)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;

    let good = token("ann", 3600, KEY);
    let tokens = [
        good.clone(),
        token("ann", -3600, KEY),
        token("ann", 3600, "another-key-that-is-long-enough-0123456789"),
        "garbage-token".into(),
    ];
    let mut secrets = secrets(&tokens);
    for token in &tokens {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("cookie", "session=hidden")];
        let query = format!("access_token={token}");
        for path in ["/open", "/closed", "/elsewhere"] {
            for part in ["/negotiate?negotiateVersion=1&", "?"] {
                let target = format!("{path}{part}");
                for (target, headers) in [(target.clone(), headers.as_slice()), (format!("{target}{query}"), &[])] {
                    http(addr, "POST", &target, headers).await;
                    http(addr, "GET", &target, headers).await;
                }
            }
            for id in ["", "id=unknown&"] {
                open(addr, &format!("{path}?{id}"), Some(&bearer)).await;
                open(addr, &format!("{path}?{id}{query}&tenant=green"), None).await;
            }
        }
        let connection = negotiate(addr, "/open").await;
        secrets.push(connection.clone());
        let target = format!("/open?id={connection}&tenant=green&{query}&ACCESS_TOKEN={token}");
        let mut client = open(addr, &target, Some(&bearer)).await.unwrap();
        client.handshake().await;
        client.call(Some("1"), "Request", &[]).await;
        let debug_text = client.next().await.unwrap()["result"].to_string();
        assert!(debug_text.contains("tenant=green") && debug_text.contains("None"), "{debug_text}");
        // The hub sees the query, including the connection token; only its `Debug` output is for
        // logs.
        let debug: Vec<String> = serde_json::from_str(&debug_text).unwrap();
        let debug = debug.iter().find(|text| text.starts_with("Caller")).unwrap();
        assert_no_secrets(debug, &secrets);
        assert_no_secrets(
            &debug_text,
            &secrets.iter().filter(|secret| **secret != connection).cloned().collect::<Vec<_>>(),
        );

        client.call(Some("2"), "Fail", &[]).await;
        let failed: Value = client.next().await.unwrap();
        assert_no_secrets(&failed.to_string(), &secrets);
        client.call(Some("3"), "Nowhere", &[good.as_str().into()]).await;
        client.next().await.unwrap();
        client.call(Some("4"), "Request", &[good.as_str().into()]).await;
        client.next().await.unwrap();
        client.send(format!("{{\"type\":1,\"target\":\"{good}\u{1e}")).await;
        client.last().await;
    }
    // Other transports, as the negotiating user and as another one.
    for token in ["", good.as_str()] {
        let query = format!("access_token={token}");
        let (status, negotiated) =
            http(addr, "POST", &format!("/open/negotiate?negotiateVersion=1&{query}"), &[]).await;
        assert_eq!(status, 200);
        let negotiated: Value = serde_json::from_str(&negotiated).unwrap();
        let connection = negotiated["connectionToken"].as_str().unwrap();
        secrets.push(connection.to_owned());
        let target = format!("/open?id={connection}&access_token=");
        for (method, token, expected) in [
            ("GET", if token.is_empty() { &good } else { "" }, 403),
            ("GET", token, 200),
            ("POST", token, 200),
            ("DELETE", token, 202),
        ] {
            assert_eq!(http(addr, method, &format!("{target}{token}"), &[]).await.0, expected, "{method}");
        }
        http(addr, "GET", &format!("{target}{token}"), &[("accept", "text/event-stream")]).await;
    }
    let mut client = open(addr, &format!("/closed?access_token={good}"), None).await.unwrap();
    client.handshake().await;
    client.call(Some("1"), "Whoami", &[]).await;
    assert_eq!(client.next().await.unwrap()["result"], "ann");
    client.close().await;
    assert!(open(addr, &format!("/closed?access_token={}", tokens[1]), None).await.is_none());
    until(|| signalr.context::<Closed>().connection_count() + signalr.context::<Open>().connection_count() == 0).await;

    let text = LOG.text();
    assert!(text.contains("disconnected") && text.contains("call failed") && text.contains("unknown method"), "{text}");
    assert!(text.contains("request user does not match connection user"), "{text}");
    secrets.push("session=hidden".into());
    assert_no_secrets(&text, &secrets);
}

#[tokio::test]
async fn no_secret_is_logged_over_http2_or_for_redirected_and_unmapped_requests() {
    LazyLock::force(&LOG);
    let signalr = SignalR::builder()
        .authentication(JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience())
        .scheme(
            "ApiKey",
            ApiKeys::in_header(HeaderName::from_static("x-api-key")).key(KEY, User::builder().id("gateway")),
        )
        .cors(Cors::origins(["https://app.test"]))
        .allowed_origins(["https://app.test"])
        .hub("/open", Open)
        .minimum_protocol_version(1)
        .hub("/away", Open)
        .redirect_negotiate(|request, _| {
            let to = format!("https://u:h1dden@away.test/hub?access_token=h1dden&{}", request.query_string());
            Some(Redirect::to(to).access_token("h1dden"))
        })
        .hub("/closed", Closed)
        .enable_authentication_refresh(true)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let good = token("bob", 3600, KEY);
    let bearer = format!("Bearer {good}");
    let headers = [("authorization", bearer.as_str()), ("cookie", "session=h1dden"), ("origin", "https://evil.test")];
    let mut client = Http2::over(within(TcpStream::connect(addr)).await.unwrap()).await;
    let paths =
        ["/open", "/open/negotiate", "/closed", "/closed/negotiate", "/closed/refresh", "/away/negotiate", "/nowhere"];
    for path in paths {
        for method in ["GET", "POST", "DELETE", "PUT", "OPTIONS"] {
            for query in ["negotiateVersion=0", "negotiateVersion=1&id=h1dden", "negotiateVersion=h1dden"] {
                let target = format!("{path}?{query}&access_token={good}");
                client.request(method, &target, &headers, "h1dden").await;
                http(addr, method, &target, &headers).await;
            }
        }
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
        let key = [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        http(addr, "GET", &format!("{path}?access_token={good}"), &[&headers[..], &upgrade, &key].concat()).await;
    }
    assert_eq!(http(addr, "POST", "/closed/negotiate?negotiateVersion=1", &[("x-api-key", KEY)]).await.0, 200);
    // Requests that exceed the limits of HTTP or are malformed.
    let (long, host) = ("h1dden".repeat(2000), [("host", "h1dden"), ("authorization", bearer.as_str())]);
    http(addr, "GET", &format!("/open?access_token={long}"), &[]).await;
    http(addr, "GET", "/open", &host).await;
    http(addr, "GET", "/open", &[("authorization", &long)]).await;
    http(addr, "h1dden", "/open?id=h1dden", &headers).await;

    let text = LOG.text();
    assert!(text.contains("negotiate redirected") && text.contains("h2::"), "{text}");
    let mut secrets = secrets(&[good]);
    secrets.push("h1dden".into());
    assert_no_secrets(&text, &secrets);
}
