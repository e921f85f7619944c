//! Refreshes that the application accepts or rejects, and concurrent refreshes.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};
use signalr::hosting::AuthenticationRefresh;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::{Host, SOCKET, ann, assert_lifetime, error, now, post_refresh, token};
use signalr_test_support::within;

#[tokio::test]
async fn application_callback_accepts_or_rejects_a_refresh() {
    let (asked, mut asks) = mpsc::unbounded_channel();
    let decide = move |refresh: AuthenticationRefresh| {
        let asked = asked.clone();
        async move {
            let of = |user: &signalr::auth::User| user.claim("extra").unwrap_or_default().to_owned();
            let (previous, new) = (of(refresh.previous_user()), of(refresh.new_user()));
            let tenant = refresh.request().query("tenant").unwrap_or_default().into_owned();
            asked.send((refresh.connection_id(), previous, new.clone(), tenant)).unwrap();
            assert_ne!(new, "worse", "no answer");
            assert_eq!(refresh.new_user().expires_at(), refresh.new_expiration());
            new != "bad"
        }
    };
    let mut host = Host::new(|ward| ward.on_authentication_refresh(decide)).await;
    let mut connection = host.connect(SOCKET, &ann(600, "a")).await;
    for (extra, status) in [("bad", 403), ("worse", 500), ("good", 200), ("better", 200)] {
        let before = connection.invoke("Extra").await;
        let answer = host.refresh(&connection.id, &ann(900, extra)).await;
        assert_eq!(answer.0, status, "{answer:?}");
        if status == 403 {
            assert_eq!(answer.1, error("permission_change_rejected"));
        }
        let (_, previous, new, _) = within(asks.recv()).await.unwrap();
        assert_eq!((&json!(previous), new.as_str()), (&before, extra));
        let after = if status == 200 { extra } else { before.as_str().unwrap() };
        assert_eq!(connection.invoke("Extra").await, after);
    }
    assert_eq!([host.heard().await, host.heard().await], ["refreshed: good", "refreshed: better"]);
    // The callback is not called for another user or for unchanged credentials.
    let bob = token(&json!({ "sub": "bob", "exp": now() + 900 }));
    assert_eq!(host.refresh(&connection.id, &bob).await.1, error("user_changed"));
    let latest = ann(1200, "c");
    for _ in 0..3 {
        assert_lifetime(&host.refresh(&connection.id, &latest).await, 1200);
    }
    assert_eq!(within(asks.recv()).await.unwrap().2, "c");
    assert!(asks.is_empty());
    assert_eq!(host.heard().await, "refreshed: c");
    connection.invoke("Extra").await;
    assert!(host.heard.is_empty());
}

/// A host whose application decides on each refresh when its gate opens.
struct Slow {
    host: Host,
    asks: mpsc::UnboundedReceiver<String>,
    gates: Arc<HashMap<&'static str, Semaphore>>,
}

impl Slow {
    async fn new() -> Self {
        let gates = Arc::new(HashMap::from(["b", "c", "bad"].map(|extra| (extra, Semaphore::new(0)))));
        let ((asked, asks), gate) = (mpsc::unbounded_channel(), Arc::clone(&gates));
        let decide = move |refresh: AuthenticationRefresh| {
            let (asked, gate) = (asked.clone(), Arc::clone(&gate));
            async move {
                let extra = refresh.new_user().claim("extra").unwrap().to_owned();
                asked.send(extra.clone()).unwrap();
                gate[&*extra].acquire().await.unwrap().forget();
                extra != "bad"
            }
        };
        Self { host: Host::new(|ward| ward.on_authentication_refresh(decide)).await, asks, gates }
    }

    /// Sends a refresh, which then waits for its gate.
    async fn begin(&mut self, id: &str, token: String) -> JoinHandle<(u16, Value)> {
        let (addr, id) = (self.host.addr, id.to_owned());
        let refresh = tokio::spawn(async move { post_refresh(addr, &id, &token).await });
        within(self.asks.recv()).await.unwrap();
        refresh
    }

    async fn finish(&self, extra: &str, refresh: JoinHandle<(u16, Value)>) -> (u16, Value) {
        self.gates[extra].add_permits(1);
        within(refresh).await.unwrap()
    }
}

#[tokio::test]
async fn older_refresh_that_completes_last_is_ignored() {
    let mut slow = Slow::new().await;
    let mut connection = slow.host.connect(SOCKET, &ann(600, "a")).await;
    let older = slow.begin(&connection.id, ann(800, "b")).await;
    let newer = slow.begin(&connection.id, ann(900, "c")).await;
    assert_lifetime(&slow.finish("c", newer).await, 900);
    assert_lifetime(&slow.finish("b", older).await, 800);
    assert_eq!(connection.invoke("Extra").await, "c");
    assert_eq!(slow.host.heard().await, "refreshed: c");
    // An older refresh that arrives later is ignored too.
    assert_lifetime(&slow.host.refresh(&connection.id, &ann(700, "old")).await, 700);
    assert_eq!(connection.invoke("Extra").await, "c");
    assert!(slow.host.heard.is_empty());
}

#[tokio::test]
async fn refreshes_with_equal_expiration_keep_their_order() {
    let mut slow = Slow::new().await;
    let mut connection = slow.host.connect(SOCKET, &ann(600, "a")).await;
    let exp = now() + 900;
    let until = |extra: &str| token(&json!({ "sub": "ann", "extra": extra, "exp": exp }));
    let first = slow.begin(&connection.id, until("b")).await;
    let second = slow.begin(&connection.id, until("c")).await;
    assert_eq!(slow.finish("c", second).await.0, 200);
    assert_eq!(slow.finish("b", first).await.0, 200);
    assert_eq!(connection.invoke("Extra").await, "c");
    // A rejected refresh does not block an older one.
    let first = slow.begin(&connection.id, until("b")).await;
    let second = slow.begin(&connection.id, until("bad")).await;
    assert_eq!(slow.finish("bad", second).await.0, 403);
    assert_eq!(slow.finish("b", first).await.0, 200);
    assert_eq!(connection.invoke("Extra").await, "b");
    assert_eq!([slow.host.heard().await, slow.host.heard().await], ["refreshed: c", "refreshed: b"]);
}

#[tokio::test]
async fn refresh_with_the_later_expiration_wins() {
    let mut slow = Slow::new().await;
    let mut connection = slow.host.connect(SOCKET, &ann(600, "a")).await;
    let longer = slow.begin(&connection.id, ann(900, "b")).await;
    let shorter = slow.begin(&connection.id, ann(800, "c")).await;
    assert_eq!(slow.finish("c", shorter).await.0, 200);
    assert_eq!(connection.invoke("Extra").await, "c");
    assert_eq!(slow.finish("b", longer).await.0, 200);
    assert_eq!(connection.invoke("Extra").await, "b");
}
