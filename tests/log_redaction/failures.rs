//! Failures in and around a hub: what is logged, and what clients receive.

use std::sync::LazyLock;

use serde_json::{Value, json};
use signalr::auth::{AuthRequest, Authentication, JwtBearer, Policy, User};
use signalr::hub::{AnyCaller, Reply};
use signalr::{
    Caller, DisconnectReason, Filter, HubError, HubProtocolKind, HubResult, InvocationContext, Next, SignalR, hub,
};

use super::{KEY, LOG, secrets, token};
use signalr_test_support::log_capture::assert_no_secrets;
use signalr_test_support::{Client, ClientKind, http, serve, until, upgrade_status};

/// A hub that logs its callers in full.
struct DebugLoggingHub;

#[hub]
impl DebugLoggingHub {
    fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        tracing::info!(?caller, user = ?caller.user(), request = ?caller.request(), "came");
        match caller.request().query("fail").as_deref() {
            Some("panic") => panic!("{caller:?}"),
            Some("error") => Err(HubError::internal(format!("{caller:?}"))),
            _ => Ok(()),
        }
    }

    fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
        tracing::info!(?caller, ?reason, "went");
    }

    fn panics(&self, caller: &Caller<Self>, _token: String) {
        panic!("{caller:?} {:?} {:?}", caller.user(), caller.request());
    }

    fn fails(&self, caller: &Caller<Self>, _token: String) -> HubResult {
        Err(HubError::internal(format!("{caller:?} {:?}", caller.user().all_claims().collect::<Vec<_>>())))
    }

    fn number(&self, number: u8) -> u8 {
        number
    }

    fn filtered(&self, token: String) -> String {
        token
    }

    #[authorize(policy = "Panics")]
    fn guarded(&self, _token: String) {}

    #[authorize(roles = "Nobody")]
    fn forbidden(&self, _token: String) {}
}

struct DebugLoggingFilter;

impl Filter for DebugLoggingFilter {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        tracing::info!(?call, "a call");
        let reply = next.run().await;
        tracing::info!(?reply, caller = ?call.caller(), "answered");
        assert_ne!(call.method(), "Filtered", "{call:?}");
        reply
    }

    async fn on_connected(&self, caller: &AnyCaller, next: Next<'_, ()>) -> HubResult {
        tracing::info!(?caller, "filtered");
        next.run().await
    }
}

async fn by_cookie(request: &AuthRequest<'_>) -> Authentication {
    tracing::info!(?request, "asked");
    match request.cookie("session").as_deref() {
        Some("panic-c00kie") => panic!("{request:?}"),
        Some("g00d-c00kie") => {
            let user = User::builder().claim("sub", "carl").claim("secretclaim", "very-private").build();
            Authentication::Authenticated(user)
        }
        _ => Authentication::Anonymous,
    }
}

fn debug_logging() -> SignalR {
    SignalR::builder()
        .authentication(JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience())
        .scheme("Cookies", by_cookie)
        .enable_detailed_errors(true)
        .filter(DebugLoggingFilter)
        .policy("Panics", Policy::require_invocation(|user, call| panic!("{user:?} {call:?}")))
        .policy("Talks", Policy::require_assertion(|user| panic!("{user:?}")))
        .hub("/debug_logging", DebugLoggingHub)
        .allow_stateful_reconnects(true)
        .hub("/guarded", DebugLoggingHub)
        .require_authorization("Talks")
        .connection_handler("/raw", async |mut connection: signalr::raw::RawConnection| {
            tracing::info!(?connection, request = ?connection.request(), user = ?connection.user(), "raw");
            connection.read().await;
            Err(format!("{connection:?}").into())
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn no_secret_is_in_debug_output_of_callers_and_calls() {
    LazyLock::force(&LOG);
    let signalr = debug_logging();
    let addr = serve(&signalr).await;
    let good = token("ann", 3600, KEY);
    let mut secrets = secrets(std::slice::from_ref(&good));
    let query = format!("access_token={good}");
    let answers: Value = json!(["panics", "fails", "number", "filtered", "guarded", "forbidden", "unknown"]);
    for kind in ClientKind::all() {
        let mut client = kind.connect_with(addr, "/debug_logging", &query, &[("cookie", "session=g00d-c00kie")]).await;
        for method in answers.as_array().unwrap() {
            client.call_all(&[("1", method.as_str().unwrap(), &[json!(good)])]).await;
            let answer = client.next().await.unwrap();
            assert!(answer["error"].is_string(), "{answer}");
            assert_no_secrets(&answer.to_string(), &secrets);
        }
        client.send_close_message().await;
    }
    for fail in ["panic", "error"] {
        let target = format!("/debug_logging?fail={fail}&{query}");
        let mut client = Client::open(addr, &target, HubProtocolKind::Json).await;
        client.handshake().await;
        let (close, _) = client.last().await;
        assert_no_secrets(&close.to_string(), &secrets);
    }
    // Malformed messages that contain a token.
    for garbage in [format!("{{\"type\":\"{good}\"}}"), format!("{{\"type\":1,\"target\":[\"{good}\"]}}"), good.clone()]
    {
        let mut client = Client::open(addr, &format!("/debug_logging?{query}"), HubProtocolKind::Json).await;
        client.handshake().await;
        client.send(format!("{garbage}\u{1e}").as_bytes()).await;
        let (close, _) = client.last().await;
        assert_no_secrets(&close.to_string(), &secrets);
    }
    let mut client = Client::open(addr, &format!("/debug_logging?{query}"), HubProtocolKind::Json).await;
    client.send(format!("{{\"protocol\":\"{good}\",\"version\":1}}\u{1e}").as_bytes()).await;
    client.next().await;

    for cookie in ["g00d-c00kie", "bad-c00kie", "panic-c00kie"] {
        let cookie = format!("session={cookie}");
        for path in ["/guarded/negotiate", "/debug_logging/negotiate", "/raw"] {
            http(addr, "POST", path, &[("cookie", &cookie)]).await;
        }
    }
    assert_eq!(http(addr, "POST", "/guarded/negotiate", &[("cookie", "session=g00d-c00kie")]).await.0, 500);

    let target = format!("/raw?id={}&{query}", signalr_test_support::negotiate(addr, "/raw").await);
    secrets.push(target.split(['=', '&']).nth(1).unwrap().to_owned());
    upgrade_status(addr, &target).await;
    let mut raw = Client::open(addr, &format!("/raw?{query}"), HubProtocolKind::Json).await;
    raw.send(b"x").await;
    raw.end().await;
    let mut events = ClientKind::SERVER_SENT_EVENTS.negotiate_and_open(addr, "/raw").await;
    secrets.push(events.target().split_once('=').unwrap().1.to_owned());
    events.post("x").await;
    events.next_bytes().await;

    resume(addr, &query, &mut secrets).await;
    let raw = || LOG.text().matches("connection handler failed").count() > 1;
    until(raw).await;
    let text = LOG.text();
    for said in
        ["panicked at", "call failed", "came", "went", "a call", "raw", "asked", "resumed", "call not authorized"]
    {
        assert!(text.contains(said), "{said}");
    }
    secrets.extend(["g00d-c00kie", "bad-c00kie", "panic-c00kie"].map(str::to_owned));
    assert_no_secrets(&text, &secrets);
}

/// Reconnects a connection as its user, after an attempt of another user.
async fn resume(addr: std::net::SocketAddr, query: &str, secrets: &mut Vec<String>) {
    let negotiate = format!("/debug_logging/negotiate?negotiateVersion=1&useStatefulReconnect=true&{query}");
    let negotiated: Value = serde_json::from_str(&http(addr, "POST", &negotiate, &[]).await.1).unwrap();
    let id = negotiated["connectionToken"].as_str().unwrap();
    secrets.push(id.to_owned());
    let shake = b"{\"protocol\":\"json\",\"version\":2}\x1e";
    let mut first = Client::open(addr, &format!("/debug_logging?id={id}&{query}"), HubProtocolKind::Json).await;
    first.send(shake).await;
    assert_eq!(first.next().await, Some(json!({})));
    drop(first);
    let other_user = token("mallory", 3600, KEY);
    secrets.extend(super::parts(&other_user));
    let target = format!("/debug_logging?id={id}&access_token={other_user}");
    assert_ne!(upgrade_status(addr, &target).await, 101);
    let fresh = token("ann", 7200, KEY);
    secrets.extend(super::parts(&fresh));
    let _second =
        Client::open(addr, &format!("/debug_logging?id={id}&access_token={fresh}"), HubProtocolKind::Json).await;
    until(|| LOG.text().contains("resumed")).await;
}
