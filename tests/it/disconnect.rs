//! Connections that the application disconnects: messages to their clients, and notification of the
//! hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use signalr::hosting::Builder;
use signalr::hub::Disconnect;
use signalr::{Caller, DisconnectReason, HubContext, HubResult, SignalR, hub, hub_client};
use signalr_test_support::{Client, ClientKind, bearer, serve, token_query, until, within};
use tokio::sync::{Semaphore, mpsc};

#[hub_client]
trait Screen {
    fn told(&self, text: &str);
}

struct Ward {
    gate: Arc<Semaphore>,
    calls: Arc<AtomicUsize>,
    events_tx: mpsc::UnboundedSender<String>,
}

#[hub(client = Screen)]
impl Ward {
    /// Joins the group in the query, then waits at the gate if the query says so.
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        if let Some(group) = caller.request().query("group") {
            caller.join(group).await?;
        }
        if caller.request().query("waits").is_some() {
            self.gate.acquire().await?.forget();
        }
        Ok(())
    }

    fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) {
        // The connection is still in its groups, as at any other end.
        let groups = caller.groups().groups_of(caller.connection_id()).join(" ");
        let reason = reason.map_or_else(|| "no reason".to_owned(), ToString::to_string);
        self.events_tx.send(format!("{groups}: {reason}")).unwrap();
    }

    fn id(&self, caller: &Caller<Self>) -> String {
        caller.connection_id().to_string()
    }

    async fn wait(&self) {
        self.events_tx.send("waits".to_owned()).unwrap();
        self.gate.acquire().await.unwrap().forget();
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    async fn sign_out(&self, caller: &Caller<Self>) -> HubResult {
        caller.client().disconnect(Disconnect::new().reason("Goodbye.")).await?;
        Ok(())
    }
}

struct Host {
    signalr: SignalR,
    addr: SocketAddr,
    ward: HubContext<Ward>,
    gate: Arc<Semaphore>,
    calls: Arc<AtomicUsize>,
    events: mpsc::UnboundedReceiver<String>,
}

impl Host {
    async fn new(builder: Builder) -> Self {
        let (events_tx, events) = mpsc::unbounded_channel();
        let (gate, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let ward = Ward { gate: Arc::clone(&gate), calls: Arc::clone(&calls), events_tx };
        let signalr = builder.authentication(bearer()).hub("/ward", ward).build().unwrap();
        let (addr, ward) = (serve(&signalr).await, signalr.context());
        Self { signalr, addr, ward, gate, calls, events }
    }

    async fn next_event(&mut self) -> String {
        within(self.events.recv()).await.unwrap()
    }

    /// Checks that no connection is left, and that the hub has no further event.
    async fn assert_no_connections(&mut self) {
        until(|| self.signalr.connection_count() == 0).await;
        assert_eq!((self.ward.connection_count(), self.ward.user_count(), self.ward.groups().count()), (0, 0, 0));
        assert!(self.events.try_recv().is_err());
    }
}

fn reason(text: &str) -> Disconnect {
    Disconnect::new().reason(text)
}

#[tokio::test]
async fn close_message_has_the_reason_and_the_reconnect_flag() {
    let mut host = Host::new(SignalR::builder()).await;
    let aborted = "The connection was aborted by the application.";
    for kind in ClientKind::all() {
        for (disconnect, close, message) in [
            (Disconnect::new(), json!({ "type": 7 }), aborted),
            (Disconnect::new().allow_reconnect(), json!({ "type": 7, "allowReconnect": true }), aborted),
            (reason("You were \"out\"."), json!({ "type": 7, "error": "You were \"out\"." }), "You were \"out\"."),
            (
                reason("Be back.").allow_reconnect(),
                json!({ "type": 7, "error": "Be back.", "allowReconnect": true }),
                "Be back.",
            ),
        ] {
            let mut client = kind.connect_with(host.addr, "/ward", "group=green", &[]).await;
            let id = client.invoke("Id", &[]).await;
            host.ward.clients().client(id.as_str().unwrap()).disconnect(disconnect).await.unwrap();
            assert_eq!(host.next_event().await, format!("green: ConnectionAbortedException: {message}"), "{kind:?}");
            assert_eq!(client.next().await, Some(close), "{kind:?}");
            client.assert_closed().await;
            host.assert_no_connections().await;
        }
    }
}

#[tokio::test]
async fn disconnect_reaches_waiting_clients_at_once() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        let ward = host.ward.clone();
        let (next, ()) = tokio::join!(client.next(), async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            ward.clients().all().disconnect(reason("Closed.")).await.unwrap();
        });
        assert_eq!(next, Some(json!({ "type": 7, "error": "Closed." })), "{kind:?}");
        client.assert_closed().await;
        assert_eq!(host.next_event().await, ": ConnectionAbortedException: Closed.");
        host.assert_no_connections().await;
    }
}

#[tokio::test]
async fn messages_before_a_disconnect_arrive_and_later_ones_do_not() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.invoke("Id", &[]).await;
        let all = host.ward.clients().all();
        all.told("before").await.unwrap();
        all.disconnect(reason("Closed.")).await.unwrap();
        all.told("after").await.unwrap();
        assert_eq!(client.next().await, Some(json!({ "type": 1, "target": "Told", "arguments": ["before"] })));
        assert_eq!(client.next().await, Some(json!({ "type": 7, "error": "Closed." })), "{kind:?}");
        client.assert_closed().await;
        host.next_event().await;
        host.assert_no_connections().await;
    }
}

#[tokio::test]
async fn disconnect_selects_users_and_groups() {
    let mut host = Host::new(SignalR::builder()).await;
    let mut clients = Vec::new();
    for (n, kind) in ClientKind::all().iter().cycle().take(10).enumerate() {
        // The first five are Ada's, in two groups. The others are Ben's.
        let (user, group) = (if n < 5 { "ada" } else { "ben" }, if n % 2 == 0 { "even" } else { "odd" });
        let query = format!("group={group}&{}", token_query(user));
        let mut client = kind.connect_with(host.addr, "/ward", &query, &[]).await;
        client.invoke("Id", &[]).await;
        clients.push(Some(client));
    }
    let counts = |host: &Host| {
        let (ward, groups) = (&host.ward, host.ward.groups());
        let of = |user| ward.user_connections(user).len();
        [of("ada"), of("ben"), groups.member_count("even"), groups.member_count("odd")]
    };
    assert_eq!(counts(&host), [5, 5, 5, 5]);

    host.ward.clients().user("ada").disconnect(reason("Signed out.")).await.unwrap();
    for client in &mut clients[..5] {
        assert_disconnected(client.take().unwrap(), "Signed out.").await;
        host.next_event().await;
    }
    until(|| host.ward.connection_count() == 5).await;
    assert_eq!(counts(&host), [0, 5, 2, 3]);

    // Targets that are named twice are disconnected once, and unknown ones are ignored.
    host.ward.clients().groups(["even", "even", "nobody's"]).disconnect(reason("Moved.")).await.unwrap();
    host.ward.clients().users(["ada", "nobody"]).disconnect(reason("Never.")).await.unwrap();
    for n in [6, 8] {
        assert_disconnected(clients[n].take().unwrap(), "Moved.").await;
        assert_eq!(host.next_event().await, "even: ConnectionAbortedException: Moved.");
    }
    until(|| host.ward.connection_count() == 3).await;
    assert_eq!(counts(&host), [0, 3, 0, 3]);
    for mut client in clients.into_iter().flatten() {
        client.invoke("Id", &[]).await;
        client.send_close_message().await;
        assert_eq!(host.next_event().await, "odd: no reason");
    }
}

async fn assert_disconnected(mut client: Client, error: &str) {
    assert_eq!(client.next().await, Some(json!({ "type": 7, "error": error })));
    client.assert_closed().await;
}

#[tokio::test]
async fn first_of_several_disconnects_wins() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.invoke("Id", &[]).await;
        let all = host.ward.clients().all();
        // The connection task does not run in between.
        all.disconnect(reason("First.")).await.unwrap();
        all.disconnect(reason("Second.").allow_reconnect()).await.unwrap();
        assert_disconnected(client, "First.").await;
        assert_eq!(host.next_event().await, ": ConnectionAbortedException: First.", "{kind:?}");
        host.assert_no_connections().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_disconnects_end_the_connection_once() {
    let mut host = Host::new(SignalR::builder()).await;
    for _ in 0..20 {
        let mut client = ClientKind::WEB_SOCKETS.connect(host.addr, "/ward").await;
        client.invoke("Id", &[]).await;
        let ends = (0..4).map(|n| {
            let ward = host.ward.clone();
            tokio::spawn(async move { ward.clients().all().disconnect(reason(&format!("{n}"))).await.unwrap() })
        });
        let ends: Vec<_> = ends.collect();
        let close = client.next().await.unwrap();
        client.assert_closed().await;
        for end in ends {
            within(end).await.unwrap();
        }
        let told = close["error"].as_str().unwrap();
        assert_eq!(host.next_event().await, format!(": ConnectionAbortedException: {told}"));
        host.assert_no_connections().await;
    }
}

#[tokio::test]
async fn running_calls_continue_after_a_disconnect_and_held_calls_do_not_run() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.call_all(&[("1", "Wait", &[]), ("2", "Count", &[])]).await;
        assert_eq!(host.next_event().await, "waits");
        host.ward.clients().all().disconnect(reason("Closed.")).await.unwrap();
        assert_disconnected(client, "Closed.").await;
        assert_eq!(host.next_event().await, ": ConnectionAbortedException: Closed.");
        host.assert_no_connections().await;
        assert_eq!(host.calls.swap(0, Ordering::SeqCst), 0);
        host.gate.add_permits(1);
        until(|| host.calls.load(Ordering::SeqCst) == 1).await;
        host.calls.store(0, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn caller_can_disconnect_itself() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.call_all(&[("1", "SignOut", &[]), ("2", "Count", &[])]).await;
        assert_disconnected(client, "Goodbye.").await;
        assert_eq!(host.next_event().await, ": ConnectionAbortedException: Goodbye.");
        host.assert_no_connections().await;
    }
    assert_eq!(host.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn disconnect_during_on_connected_takes_effect_after_it() {
    let mut host = Host::new(SignalR::builder()).await;
    for kind in ClientKind::all() {
        let client = kind.connect_with(host.addr, "/ward", "group=green&waits", &[]).await;
        until(|| host.ward.groups().member_count("green") == 1).await;
        host.ward.clients().group("green").disconnect(reason("Closed.")).await.unwrap();
        assert!(host.events.try_recv().is_err());
        host.gate.add_permits(1);
        assert_disconnected(client, "Closed.").await;
        assert_eq!(host.next_event().await, "green: ConnectionAbortedException: Closed.");
        host.assert_no_connections().await;
    }
}

/// Waiting senders are woken and the hub is notified at once. Queued messages still arrive when the
/// client reads.
#[tokio::test]
async fn disconnect_wakes_senders_of_a_client_that_does_not_read() {
    let patience = Duration::from_secs(3600);
    let builder = SignalR::builder().transport_send_timeout(patience).web_socket_close_timeout(patience);
    let mut host = Host::new(builder).await;
    for kind in ClientKind::all() {
        let mut client = kind.connect(host.addr, "/ward").await;
        client.invoke("Id", &[]).await;
        let ward = host.ward.clone();
        let sender = tokio::spawn(async move {
            let (text, mut sent) = ("x".repeat(100_000), 0);
            while ward.connection_count() == 1 {
                ward.clients().all().told(&text).await.unwrap();
                sent += 1;
                tokio::task::yield_now().await;
            }
            sent
        });
        until_queues_are_full(&host.signalr).await;
        assert!(!sender.is_finished());

        host.ward.clients().all().disconnect(reason("Too slow.")).await.unwrap();
        assert_eq!(host.next_event().await, ": ConnectionAbortedException: Too slow.", "{kind:?}");
        let sent: usize = within(sender).await.unwrap();
        let mut arrived = 0;
        let close = loop {
            match client.next().await.unwrap() {
                message if message["type"] == 1 => arrived += 1,
                close => break close,
            }
        };
        assert_eq!(close, json!({ "type": 7, "error": "Too slow." }), "{kind:?}");
        // All but the messages that were sent after the disconnect.
        assert!((1..=sent).contains(&arrived), "{arrived} of {sent}");
        client.assert_closed().await;
        host.assert_no_connections().await;
    }
}

/// Waits until the queues are full and no sender proceeds.
async fn until_queues_are_full(signalr: &SignalR) {
    let (mut before, mut still) = (0, 0);
    while still < 1000 {
        tokio::task::yield_now().await;
        let now = signalr.stats().queued_bytes;
        still = if now > 0 && now == before { still + 1 } else { 0 };
        before = now;
    }
}

#[tokio::test]
async fn disconnect_ignores_targets_without_connections() {
    let mut host = Host::new(SignalR::builder()).await;
    let mut client = ClientKind::WEB_SOCKETS.connect(host.addr, "/ward").await;
    let id = client.invoke("Id", &[]).await;
    let id: &str = id.as_str().unwrap();
    let clients = host.ward.clients();
    for nobody in [
        clients.all_except([id]),
        clients.clients(["x", "AAAAAAAAAAAAAAAAAAAAAA"]),
        clients.group(id),
        clients.group_except("green", [id]),
        clients.groups(["green", ""]),
        clients.user(""),
        clients.users([""; 0]),
    ] {
        nobody.disconnect(reason("Never.")).await.unwrap();
    }
    clients.client("x").disconnect(reason("Never.")).await.unwrap();
    assert_eq!(client.invoke("Id", &[]).await, Value::from(id));
    clients.clients([id, id]).disconnect(reason("Now.")).await.unwrap();
    assert_disconnected(client, "Now.").await;
    // The connection has ended, and a second disconnect has no effect.
    host.next_event().await;
    host.ward.clients().client(id).disconnect(reason("Again.")).await.unwrap();
    host.assert_no_connections().await;
}
