//! Filters around `on_connected` and `on_disconnected`.

use std::sync::atomic::{AtomicBool, Ordering};

use signalr::Hub;
use signalr::hosting::TransportType;
use signalr::hub::{AnyClient, Methods};
use signalr::testing::user;

use super::*;

/// A hub that rejects connections and whose `on_disconnected` fails.
struct Closed;

#[hub]
impl Closed {
    async fn on_connected(&self) -> HubResult {
        Err(HubError::new("We are closed."))
    }

    async fn on_disconnected(&self) -> HubResult {
        Err(HubError::new("Failed on purpose."))
    }

    async fn ping(&self) -> &'static str {
        "pong"
    }
}

/// How the filter handles `on_connected`.
enum ConnectPolicy {
    /// Ignores the error of the hub.
    Swallow,
    /// Does not run the hub.
    Skip,
    Refuse,
    Panic,
}

impl Filter for ConnectPolicy {
    async fn on_connected(&self, _: &AnyCaller, next: Next<'_, ()>) -> HubResult {
        match self {
            Self::Swallow => {
                let refused = next.run().await;
                assert_eq!(refused.unwrap_err().to_string(), "We are closed.");
                Ok(())
            }
            Self::Skip => Ok(()),
            Self::Refuse => Err(HubError::new("Full.")),
            Self::Panic => panic!("on purpose"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn filter_accepts_a_connection_that_the_hub_rejects() -> Outcome {
    for door in [ConnectPolicy::Swallow, ConnectPolicy::Skip] {
        let host = TestHost::from_builder(SignalR::builder().hub("/closed", Closed).filter(door));
        let client = host.connect(HubProtocolKind::Json, User::anonymous()).await;
        assert_eq!(client.invoke::<String>("Ping", ()).await?, "pong");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn filter_rejects_a_connection_that_the_hub_accepts() {
    for (door, expected) in [(ConnectPolicy::Refuse, " HubException: Full."), (ConnectPolicy::Panic, "")] {
        let log = Log::default();
        let trace = Trace("1", log.clone());
        let host =
            TestHost::from_builder(server().filter(trace).hub("/calculator", Calculator(log.clone())).filter(door));
        let client = host.connect(HubProtocolKind::Json, User::anonymous()).await;
        let closed = client.closed().await;
        assert_eq!(closed.error.unwrap(), format!("Connection closed with an error.{expected}"));
        assert!(!closed.allow_reconnect);
        let [begin, end] = &log.take()[..] else { panic!("more events than those of the connect") };
        assert_eq!(begin, "1 > connected");
        assert!(end.starts_with("1 < connected: "), "{end}");
    }
}

/// Records the reason of each disconnect and whether the hub failed.
#[derive(Default)]
struct DisconnectRecorder(Log, AtomicBool);

impl Filter for DisconnectRecorder {
    async fn on_connected(&self, caller: &AnyCaller, _: Next<'_, ()>) -> HubResult {
        caller.groups().add(caller.connection_id(), "guests").await?;
        caller.clients().client(caller.connection_id()).send("Welcome", (caller.user_id(),)).await?;
        Ok(())
    }

    async fn on_disconnected(
        &self,
        caller: &AnyCaller,
        reason: Option<&DisconnectReason>,
        next: Next<'_, ()>,
    ) -> HubResult {
        caller.aborted().await;
        caller.clients().group("guests").send("Left", (caller.user_id(),)).await?;
        let failed = next.run().await.is_err();
        self.1.store(failed, Ordering::SeqCst);
        self.0.add(reason.map_or("left", |reason| reason.message()));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn filter_sees_the_caller_and_the_reason_of_a_disconnect() -> Outcome {
    let recorder = Arc::new(DisconnectRecorder::default());
    let host = TestHost::from_builder(SignalR::builder().hub("/closed", Closed).filter(Arc::clone(&recorder)));
    let stays = host.connect(HubProtocolKind::Json, user("stays")).await;
    let leaves = host.connect(HubProtocolKind::Json, user("leaves")).await;
    assert_eq!(leaves.receive::<(String,)>("Welcome").await, ("leaves".to_owned(),));
    leaves.close().await;
    assert_eq!(stays.receive::<(String,)>("Left").await, ("leaves".to_owned(),));
    assert_eq!(recorder.0.take(), ["left"]);
    assert!(recorder.1.load(Ordering::SeqCst), "the filter saw the error of the hub");

    stays.ping().await;
    sleep(Duration::from_secs(40)).await;
    stays.closed().await;
    assert_eq!(recorder.0.take(), ["Client hasn't sent a message/ping within the configured ClientTimeoutInterval."]);
    Ok(())
}

/// Panics before it returns its future.
struct PanicsBeforeFuture;

impl Hub for PanicsBeforeFuture {
    type Client = AnyClient;
    type Items = ();

    fn methods(_: &mut Methods<Self>) {}

    fn on_connected(&self, caller: &Caller<Self>) -> impl Future<Output = HubResult> + Send {
        assert_ne!(caller.transport(), TransportType::WebSockets);
        async { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn panic_while_on_connected_creates_its_future_closes_the_connection() {
    let host = TestHost::builder(PanicsBeforeFuture).build();
    let client = host.connect(HubProtocolKind::Json, User::anonymous()).await;
    let closed = client.closed().await;
    assert_eq!((closed.error.as_deref(), closed.code), (Some("Connection closed with an error."), Some(1000)));
}
