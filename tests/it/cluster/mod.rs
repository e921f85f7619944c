//! Several servers of one hub on a backplane.

mod faults;
mod groups;

use std::sync::Arc;
use std::time::Duration;

use signalr::auth::User;
use signalr::backplane::{Emitter, MemoryBus};
use signalr::hub::{InvokeError, SendError};
use signalr::testing::{TestClient, TestHost, user};
use signalr::{Caller, ConnectionId, HubContext, HubProtocolKind, HubResult, hub};

const JSON: HubProtocolKind = HubProtocolKind::Json;
const MESSAGEPACK: HubProtocolKind = HubProtocolKind::MessagePack;

struct Ward;

#[hub]
impl Ward {
    async fn join(&self, caller: &Caller<Self>, group: String) -> HubResult {
        Ok(caller.join(group).await?)
    }

    async fn leave(&self, caller: &Caller<Self>, group: String) -> HubResult {
        Ok(caller.leave(group).await?)
    }

    async fn tell_all(&self, caller: &Caller<Self>, text: String) -> HubResult {
        Ok(caller.clients().all().send("Told", (text,)).await?)
    }

    async fn ask(&self, caller: &Caller<Self>, id: String) -> HubResult<String> {
        Ok(caller.clients().client(id).invoke("Name", ()).await?)
    }
}

/// Two servers, each with a client of each hub protocol.
struct Fleet {
    bus: MemoryBus,
    north: TestHost<Ward>,
    south: TestHost<Ward>,
    clients: Vec<TestClient>,
}

fn server(bus: &MemoryBus) -> TestHost<Ward> {
    TestHost::builder(Ward).with(|builder| builder.backplane(bus.connect()).dotnet_namespace("Test")).build()
}

impl Fleet {
    /// The first two clients are Ada's, and connect to north; the last two are Ben's.
    async fn new() -> Self {
        let bus = MemoryBus::new();
        let (north, south) = (server(&bus), server(&bus));
        let mut clients = Vec::new();
        for (host, name) in [(&north, "ada"), (&south, "ben")] {
            for protocol in [JSON, MESSAGEPACK] {
                clients.push(host.connect(protocol, user(name)).await);
            }
        }
        Self { bus, north, south, clients }
    }

    fn context(&self) -> HubContext<Ward> {
        self.north.context()
    }

    fn ids(&self) -> Vec<ConnectionId> {
        self.clients.iter().map(TestClient::connection_id).collect()
    }

    /// Checks that these clients, and no others, receive a message once.
    async fn assert_received_by(&self, receivers: &[usize], text: &str) {
        for (index, client) in self.clients.iter().enumerate() {
            let expected = receivers.contains(&index).then(|| (text.to_owned(),));
            assert_eq!(client.try_receive::<(String,)>("Told").await, expected, "client {index}");
            assert_eq!(client.try_receive::<(String,)>("Told").await, None, "client {index}");
        }
    }

    /// Channels other than those that each server has.
    fn channels(&self) -> Vec<String> {
        self.bus.channels().into_iter().filter(|name| !name.contains(":internal:") && !name.ends_with(":all")).collect()
    }
}

#[tokio::test]
async fn messages_reach_the_clients_of_all_servers() {
    let fleet = Fleet::new().await;
    let ids = fleet.ids();
    let hub = fleet.context();
    let told = |text: &str| (text.to_owned(),);

    hub.clients().all().send("Told", told("all")).await.unwrap();
    fleet.assert_received_by(&[0, 1, 2, 3], "all").await;
    hub.clients().all_except([ids[0], ids[3]]).send("Told", told("except")).await.unwrap();
    fleet.assert_received_by(&[1, 2], "except").await;
    for (index, id) in ids.iter().enumerate() {
        hub.clients().client(id).send("Told", told("one")).await.unwrap();
        fleet.assert_received_by(&[index], "one").await;
    }
    hub.clients().clients([ids[1], ids[2], ids[2]]).send("Told", told("some")).await.unwrap();
    fleet.assert_received_by(&[1, 2], "some").await;
    hub.clients().user("ben").send("Told", told("user")).await.unwrap();
    fleet.assert_received_by(&[2, 3], "user").await;
    hub.clients().users(["ada", "ben", "nobody"]).send("Told", told("users")).await.unwrap();
    fleet.assert_received_by(&[0, 1, 2, 3], "users").await;
    hub.clients().client("no id").send("Told", told("unknown")).await.unwrap();
    hub.clients().client(ids[0].as_str().replace(|_: char| true, "A")).send("Told", told("x")).await.unwrap();
    fleet.assert_received_by(&[], "").await;

    fleet.clients[3].invoke::<()>("TellAll", ("hub method",)).await.unwrap();
    fleet.assert_received_by(&[0, 1, 2, 3], "hub method").await;
}

#[tokio::test]
async fn messages_of_one_sender_keep_their_order() {
    let fleet = Fleet::new().await;
    let hub = fleet.context();
    for number in 0..500 {
        hub.clients().all().send("Number", (number,)).await.unwrap();
    }
    for client in &fleet.clients {
        for number in 0..500 {
            assert_eq!(client.receive::<(i32,)>("Number").await, (number,));
        }
    }
}

#[tokio::test]
async fn hubs_with_other_names_receive_nothing() {
    let bus = MemoryBus::new();
    let named = |name: &str| {
        let builder = signalr::SignalR::builder().backplane(bus.connect()).hub("/ward", Ward);
        TestHost::from_builder(builder.dotnet_name(name))
    };
    let (ward, other) = (named("A.Ward"), named("B.Ward"));
    let here = ward.connect(JSON, User::anonymous()).await;
    let there = other.connect(JSON, User::anonymous()).await;
    ward.context().clients().all().send("Told", ("a",)).await.unwrap();
    assert_eq!(here.receive::<(String,)>("Told").await, ("a".to_owned(),));
    assert_eq!(there.try_receive::<(String,)>("Told").await, None);
    assert!(bus.channels().contains(&"B.Ward:all".to_owned()), "{:?}", bus.channels());
}

#[tokio::test]
async fn client_results_come_from_the_clients_of_all_servers() {
    let fleet = Fleet::new().await;
    for (index, client) in fleet.clients.iter().enumerate() {
        client.on("Name", move |(): ()| async move { format!("client {index}") });
    }
    for caller in &fleet.clients {
        for (index, id) in fleet.ids().iter().enumerate() {
            assert_eq!(caller.invoke::<String>("Ask", (id,)).await.unwrap(), format!("client {index}"));
        }
    }
    let hub = fleet.context();
    let requests = fleet.ids().into_iter().cycle().take(100).map(|id| {
        let client = hub.clients().client(id);
        async move { client.invoke::<String>("Name", ()).await.unwrap() }
    });
    let names = futures_util::future::join_all(requests).await;
    assert!(names.iter().enumerate().all(|(index, name)| *name == format!("client {}", index % 4)));
    assert_eq!(fleet.north.signalr().stats().pending_client_results, 0);
    assert_eq!(fleet.south.signalr().stats().pending_client_results, 0);
}

#[tokio::test]
async fn failed_client_results_of_other_servers_are_errors() {
    let mut fleet = Fleet::new().await;
    let hub = fleet.context();
    let far = fleet.ids()[2];
    fleet.clients[2].refuse("Name", "not today");
    let refused = hub.clients().client(far).invoke::<String>("Name", ()).await;
    assert_eq!(refused, Err(InvokeError::Client("not today".to_owned())));

    let mistyped = fleet.ids()[3];
    fleet.clients[3].on("Name", async |(): ()| 7);
    let result = hub.clients().client(mistyped).invoke::<String>("Name", ()).await;
    assert!(matches!(result, Err(InvokeError::Mismatch { .. })), "{result:?}");

    let unknown = far.as_str().replace(|_: char| true, "A");
    let result = hub.clients().client(&unknown).invoke::<String>("Name", ()).await;
    assert_eq!(result, Err(InvokeError::NoConnection(unknown)));

    // The client ends while its result is awaited.
    fleet.clients[2].on("Wait", async |(): ()| std::future::pending::<u8>().await);
    let waiting = tokio::spawn({
        let hub = hub.clone();
        async move { hub.clients().client(far).invoke::<u8>("Wait", ()).await }
    });
    signalr_test_support::until(|| fleet.south.signalr().stats().pending_client_results == 1).await;
    fleet.clients.remove(2).close().await;
    assert_eq!(waiting.await.unwrap(), Err(InvokeError::Client("Connection disconnected.".to_owned())));
    assert_eq!(fleet.north.signalr().stats().pending_client_results, 0);
}

#[tokio::test]
async fn subscriptions_end_with_the_last_connection_that_needs_them() {
    let mut fleet = Fleet::new().await;
    fleet.clients[0].invoke::<()>("Join", ("room: 1",)).await.unwrap();
    fleet.clients[3].invoke::<()>("Join", ("room: 1",)).await.unwrap();
    let channels = fleet.channels();
    assert_eq!(channels.len(), 7, "{channels:?}");
    for expected in ["Test.Ward:group:room: 1", "Test.Ward:user:ada", "Test.Ward:user:ben"] {
        assert!(channels.iter().any(|name| name == expected), "{channels:?}");
    }
    fleet.clients.remove(3).close().await;
    signalr_test_support::until(|| fleet.channels().len() == 6).await;
    for client in fleet.clients.drain(..) {
        client.close().await;
    }
    signalr_test_support::until(|| fleet.channels().is_empty()).await;
    // Fixed channels: three of the hub, and two of each server.
    assert_eq!(fleet.bus.channels().len(), 7, "{:?}", fleet.bus.channels());
    fleet.north.signalr().shutdown(Duration::ZERO).await;
    fleet.south.signalr().shutdown(Duration::ZERO).await;
    assert!(fleet.bus.channels().is_empty(), "{:?}", fleet.bus.channels());
}

#[tokio::test]
async fn emitters_reach_clients_without_serving_a_hub() {
    let fleet = Fleet::new().await;
    let emitter = Emitter::new(fleet.bus.connect(), ["Test.Ward"]);
    let ward = emitter.hub("Test.Ward").unwrap();
    assert!(emitter.hub("Test.Other").is_none());
    ward.clients().all().send("Told", ("emitted",)).await.unwrap();
    fleet.assert_received_by(&[0, 1, 2, 3], "emitted").await;
    ward.groups().add(fleet.ids()[2], "g").await.unwrap();
    ward.clients().group("g").send("Told", ("to the group",)).await.unwrap();
    fleet.assert_received_by(&[2], "to the group").await;
    fleet.clients[1].on("Name", async |(): ()| "emitter's question".to_owned());
    let name: String = ward.clients().client(fleet.ids()[1]).invoke("Name", ()).await.unwrap();
    assert_eq!(name, "emitter's question");
    fleet.bus.set_interrupted(true);
    let lost = ward.clients().all().send("Told", ("lost",)).await;
    assert!(matches!(lost, Err(SendError::Backplane(_))), "{lost:?}");
}

#[tokio::test]
async fn hubs_of_one_name_are_an_error() {
    struct First;
    #[hub]
    impl First {}

    let builder = signalr::SignalR::builder().backplane(MemoryBus::new().connect());
    let duplicate = builder.hub("/a", Ward).dotnet_name("Ward").hub("/b", First).dotnet_name("Ward").build();
    assert!(matches!(duplicate, Err(signalr::hosting::BuildError::DuplicateHubName(_))));
    let builder = signalr::SignalR::builder().backplane(MemoryBus::new().connect());
    let invalid = builder.hub("/a", Ward).dotnet_name("a:b").build();
    assert!(matches!(invalid, Err(signalr::hosting::BuildError::InvalidHubName(_))));
    // Without a backplane, names have no effect.
    let builder = signalr::SignalR::builder().hub("/a", Arc::new(Ward)).dotnet_name("Ward");
    builder.hub("/b", First).dotnet_name("Ward").build().unwrap();
}
