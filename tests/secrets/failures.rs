//! What goes wrong in a hub and around it, told to whom it may concern.

use std::sync::LazyLock;

use serde_json::{Value, json};
use signalr::auth::{AuthRequest, Authentication, JwtBearer, Policy, User};
use signalr::hub::{AnyCaller, Reply};
use signalr::{
    Caller, DisconnectReason, Filter, HubError, HubProtocolKind, HubResult, InvocationContext, Next, SignalR, hub,
};
use tokio::net::TcpStream;

use super::any::WAYS;
use super::log::assert_silent;
use super::plain::Plain;
use super::support::{Client, http, serve, until, within};
use super::{KEY, LOG, secrets, token};

/// Whatever it can say of somebody.
struct Talkative;

#[hub]
impl Talkative {
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

struct Told;

impl Filter for Told {
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

fn talkative() -> SignalR {
    SignalR::builder()
        .authentication(JwtBearer::hmac(KEY).allow_any_issuer().allow_any_audience())
        .scheme("Cookies", by_cookie)
        .enable_detailed_errors(true)
        .filter(Told)
        .policy("Panics", Policy::require_invocation(|user, call| panic!("{user:?} {call:?}")))
        .policy("Talks", Policy::require_assertion(|user| panic!("{user:?}")))
        .hub("/talkative", Talkative)
        .allow_stateful_reconnects(true)
        .hub("/guarded", Talkative)
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
async fn no_secret_is_in_what_a_hub_says_of_its_callers() {
    LazyLock::force(&LOG);
    let signalr = talkative();
    let addr = serve(&signalr).await;
    let good = token("ann", 3600, KEY);
    let mut secrets = secrets(std::slice::from_ref(&good));
    let query = format!("access_token={good}");
    let answers: Value = json!(["panics", "fails", "number", "filtered", "guarded", "forbidden", "unknown"]);
    for way in WAYS {
        let mut client = way.connect_with(addr, "/talkative", &query, &[("cookie", "session=g00d-c00kie")]).await;
        for method in answers.as_array().unwrap() {
            client.call(&[("1", method.as_str().unwrap(), &[json!(good)])]).await;
            let answer = client.next().await.unwrap();
            assert!(answer["error"].is_string(), "{answer}");
            assert_silent(&answer.to_string(), &secrets);
        }
        client.leave().await;
    }
    for fail in ["panic", "error"] {
        let target = format!("/talkative?fail={fail}&{query}");
        let mut client = Client::open(addr, &target, HubProtocolKind::Json).await;
        client.shake_hands().await;
        let (close, _) = client.last().await;
        assert_silent(&close.to_string(), &secrets);
    }
    // Messages against the protocol, with a token in them.
    for garbage in [format!("{{\"type\":\"{good}\"}}"), format!("{{\"type\":1,\"target\":[\"{good}\"]}}"), good.clone()]
    {
        let mut client = Client::open(addr, &format!("/talkative?{query}"), HubProtocolKind::Json).await;
        client.shake_hands().await;
        client.send_frame(format!("{garbage}\u{1e}").as_bytes()).await;
        let (close, _) = client.last().await;
        assert_silent(&close.to_string(), &secrets);
    }
    let mut client = Client::open(addr, &format!("/talkative?{query}"), HubProtocolKind::Json).await;
    client.send_frame(format!("{{\"protocol\":\"{good}\",\"version\":1}}\u{1e}").as_bytes()).await;
    client.next().await;

    for cookie in ["g00d-c00kie", "bad-c00kie", "panic-c00kie"] {
        let cookie = format!("session={cookie}");
        for path in ["/guarded/negotiate", "/talkative/negotiate", "/raw"] {
            http(addr, "POST", path, &[("cookie", &cookie)]).await;
        }
    }
    assert_eq!(http(addr, "POST", "/guarded/negotiate", &[("cookie", "session=g00d-c00kie")]).await.0, 500);

    let target = format!("/raw?id={}&{query}", super::support::negotiate(addr, "/raw").await);
    secrets.push(target.split(['=', '&']).nth(1).unwrap().to_owned());
    let refused = within(TcpStream::connect(addr)).await.unwrap();
    let _ = within(tokio_tungstenite::client_async(format!("ws://test{target}"), refused)).await;
    let mut raw = Client::open(addr, &format!("/raw?{query}"), HubProtocolKind::Json).await;
    raw.send_frame(b"x").await;
    raw.end().await;
    let mut polled =
        Plain::open(addr, format!("/raw?id={}", super::support::negotiate(addr, "/raw").await), true).await;
    secrets.push(polled.target.split_once('=').unwrap().1.to_owned());
    polled.post("x").await;
    polled.next_bytes().await;

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
    assert_silent(&text, &secrets);
}

/// A connection that goes on with another socket, of its user and of somebody else.
async fn resume(addr: std::net::SocketAddr, query: &str, secrets: &mut Vec<String>) {
    let negotiate = format!("/talkative/negotiate?negotiateVersion=1&useStatefulReconnect=true&{query}");
    let negotiated: Value = serde_json::from_str(&http(addr, "POST", &negotiate, &[]).await.1).unwrap();
    let id = negotiated["connectionToken"].as_str().unwrap();
    secrets.push(id.to_owned());
    let shake = b"{\"protocol\":\"json\",\"version\":2}\x1e";
    let mut first = Client::open(addr, &format!("/talkative?id={id}&{query}"), HubProtocolKind::Json).await;
    first.send_frame(shake).await;
    assert_eq!(first.next().await, Some(json!({})));
    drop(first);
    let stranger = token("mallory", 3600, KEY);
    secrets.extend(super::parts(&stranger));
    let refused = within(TcpStream::connect(addr)).await.unwrap();
    let target = format!("ws://test/talkative?id={id}&access_token={stranger}");
    assert!(within(tokio_tungstenite::client_async(target, refused)).await.is_err());
    let fresh = token("ann", 7200, KEY);
    secrets.extend(super::parts(&fresh));
    let _second = Client::open(addr, &format!("/talkative?id={id}&access_token={fresh}"), HubProtocolKind::Json).await;
    until(|| LOG.text().contains("resumed")).await;
}
