//! Properties of a caller, on every transport.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use serde_json::{Value, json};
use signalr::{Caller, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, ClientKind, bearer, http, serve, token_query, until, within};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A request extension of the host that the server keeps.
#[derive(Clone, Debug)]
struct Tenant(String);

/// A request extension that the server does not keep.
#[derive(Clone, Debug)]
struct Other;

struct CallerHub {
    events_tx: mpsc::UnboundedSender<String>,
    calls: AtomicUsize,
}

#[hub(items = Mutex<Vec<String>>)]
impl CallerHub {
    fn on_connected(&self, caller: &Caller<Self>) {
        caller.items().lock().unwrap().push("came".to_owned());
    }

    fn on_disconnected(&self, caller: &Caller<Self>) {
        let items = caller.items().lock().unwrap().join(" ");
        self.events_tx.send(format!("went: {items}")).unwrap();
    }

    fn transport(&self, caller: &Caller<Self>) -> String {
        caller.transport().to_string()
    }

    fn request(&self, caller: &Caller<Self>) -> Value {
        let request = caller.request();
        json!({
            "path": request.path(),
            "header": request.header("X-Desk"),
            "cookie": request.cookie("theme"),
            "query": request.query("Desk"),
            "peer": request.peer_addr().map(|addr| addr.ip().to_string()),
            "tenant": request.extension::<Tenant>().map(|tenant| tenant.0.clone()),
            "unasked": request.extension::<Other>().is_some(),
        })
    }

    fn user(&self, caller: &Caller<Self>) -> Value {
        let user = caller.user();
        json!([caller.user_id(), user.is_authenticated(), user.is_in_role("Doctor"), user.name()])
    }

    fn remember(&self, caller: &Caller<Self>, text: String) -> usize {
        let mut items = caller.items().lock().unwrap();
        items.push(text);
        items.len()
    }

    /// Reports the end of the connection.
    async fn watch(&self, caller: &Caller<Self>) {
        let (caller, events_tx) = (caller.clone(), self.events_tx.clone());
        tokio::spawn(async move {
            caller.aborted().await;
            events_tx.send("aborted".to_owned()).unwrap();
        });
    }

    fn abort(&self, caller: &Caller<Self>) {
        caller.abort();
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

fn caller_hub() -> (CallerHub, mpsc::UnboundedReceiver<String>) {
    let (events_tx, received) = mpsc::unbounded_channel();
    (CallerHub { events_tx, calls: AtomicUsize::new(0) }, received)
}

/// A host that adds the tenant in the query to the extensions of each request.
async fn serve_under_axum(signalr: &SignalR) -> SocketAddr {
    let app =
        axum::Router::new().fallback_service(signalr.service()).layer(map_request(async |mut request: Request| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            if let Some((_, tenant)) = query.split_once("tenant=") {
                request.extensions_mut().insert(Tenant(tenant.to_owned()));
            }
            request.extensions_mut().insert(Other);
            request
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future());
    addr
}

#[tokio::test]
async fn caller_exposes_its_request() {
    let signalr = SignalR::builder()
        .peer_addr(|extensions| extensions.get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| *addr))
        .keep_extension::<Tenant>()
        .hub("/caller", caller_hub().0)
        .build()
        .unwrap();
    let addr = serve_under_axum(&signalr).await;
    for kind in ClientKind::all() {
        let headers = &[("x-desk", "seven"), ("cookie", "a=1; theme=dark%20blue")];
        let mut client = kind.connect_with(addr, "/caller", "desk=by+the+door&tenant=north", headers).await;
        let expected = json!({
            "path": "/caller",
            "header": "seven",
            "cookie": "dark blue",
            "query": "by the door",
            "peer": "127.0.0.1",
            "tenant": "north",
            "unasked": false,
        });
        assert_eq!(client.invoke("Request", &[]).await, expected, "{kind:?}");
        assert_eq!(client.invoke("Transport", &[]).await, kind.transport.as_str(), "{kind:?}");

        let mut client = kind.connect(addr, "/caller").await;
        let seen = client.invoke("Request", &[]).await;
        assert_eq!((&seen["tenant"], &seen["header"], &seen["cookie"]), (&Value::Null, &Value::Null, &Value::Null));
    }
}

/// After a stateful reconnect, the extensions are those of the newest request.
#[tokio::test]
async fn request_extensions_are_replaced_by_a_reconnect() {
    let signalr = SignalR::builder()
        .keep_extension::<Tenant>()
        .hub("/caller", caller_hub().0)
        .allow_stateful_reconnects(true)
        .build()
        .unwrap();
    let addr = serve_under_axum(&signalr).await;
    let negotiate = "/caller/negotiate?negotiateVersion=1&useStatefulReconnect=true";
    let negotiated: Value = serde_json::from_str(&http(addr, "POST", negotiate, &[]).await.1).unwrap();
    let token = negotiated["connectionToken"].as_str().unwrap();
    for tenant in ["north", "south"] {
        let mut client =
            Client::open(addr, &format!("/caller?id={token}&tenant={tenant}"), HubProtocolKind::Json).await;
        if tenant == "north" {
            client.send(b"{\"protocol\":\"json\",\"version\":2}\x1e").await;
            assert_eq!(client.next().await.unwrap(), json!({}));
        } else {
            assert_eq!(client.next().await.unwrap(), json!({ "type": 9, "sequenceId": 1 }));
            // Messages without an acknowledgement are sent again.
            assert_eq!(client.next().await.unwrap()["result"]["tenant"], "north");
            client.send(b"{\"type\":9,\"sequenceId\":2}\x1e").await;
        }
        client.call(Some(tenant), "Request", &[]).await;
        assert_eq!(client.next().await.unwrap()["result"]["tenant"], tenant);
    }
}

#[tokio::test]
async fn caller_exposes_its_user() {
    let signalr = SignalR::builder().authentication(bearer()).hub("/caller", caller_hub().0).build().unwrap();
    let addr = serve(&signalr).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect_with(addr, "/caller", &token_query("ada"), &[]).await;
        assert_eq!(client.invoke("User", &[]).await, json!(["ada", true, true, "ada"]), "{kind:?}");
        let mut client = kind.connect(addr, "/caller").await;
        assert_eq!(client.invoke("User", &[]).await, json!([null, false, false, null]), "{kind:?}");
    }
}

#[tokio::test]
async fn items_belong_to_one_connection_and_last_until_on_disconnected() {
    let (hub, mut received) = caller_hub();
    let signalr = SignalR::builder().hub("/caller", hub).build().unwrap();
    let addr = serve(&signalr).await;
    for kind in ClientKind::all() {
        let (mut client, mut other) = (kind.connect(addr, "/caller").await, kind.connect(addr, "/caller").await);
        assert_eq!(client.invoke("Remember", &["a".into()]).await, 2);
        assert_eq!(client.invoke("Remember", &["b".into()]).await, 3);
        assert_eq!(other.invoke("Remember", &["c".into()]).await, 2);
        client.call_all(&[("2", "Abort", &[])]).await;
        assert_eq!(within(received.recv()).await.unwrap(), "went: came a b");
        other.call_all(&[("2", "Abort", &[])]).await;
        assert_eq!(within(received.recv()).await.unwrap(), "went: came c");
    }
}

#[tokio::test]
async fn abort_ends_the_connection_and_resolves_the_aborted_future() {
    for kind in ClientKind::all() {
        let (hub, mut received) = caller_hub();
        let hub = std::sync::Arc::new(hub);
        let signalr = SignalR::builder().hub("/caller", std::sync::Arc::clone(&hub)).build().unwrap();
        let addr = serve(&signalr).await;
        let mut client = kind.connect(addr, "/caller").await;
        client.invoke("Watch", &[]).await;
        // Calls behind it do not run, even if they arrive in the same message.
        client.call_all(&[("2", "Abort", &[]), ("3", "Count", &[])]).await;
        let mut events = [within(received.recv()).await.unwrap(), within(received.recv()).await.unwrap()];
        events.sort();
        assert_eq!(events, ["aborted", "went: came"]);
        assert_eq!(client.next().await, Some(json!({ "type": 7 })), "{kind:?}");
        client.assert_closed().await;
        until(|| signalr.connection_count() == 0).await;
        assert_eq!(hub.calls.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn aborted_future_resolves_when_the_client_disconnects() {
    let (hub, mut received) = caller_hub();
    let signalr = SignalR::builder().hub("/caller", hub).build().unwrap();
    let addr = serve(&signalr).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(addr, "/caller").await;
        client.invoke("Watch", &[]).await;
        client.send_close_message().await;
        let mut events = [within(received.recv()).await.unwrap(), within(received.recv()).await.unwrap()];
        events.sort();
        assert_eq!(events, ["aborted", "went: came"], "{kind:?}");
    }
}
