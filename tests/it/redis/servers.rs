//! Two servers of one hub on a real Redis.

use signalr::auth::User;
use signalr::testing::{TestClient, TestHost};
use signalr::{Caller, HubProtocolKind, HubResult, hub};

use super::*;

struct Ward;

#[hub]
impl Ward {
    async fn join(&self, caller: &Caller<Self>, group: String) -> HubResult {
        Ok(caller.join(group).await?)
    }

    async fn ask(&self, caller: &Caller<Self>, id: String) -> HubResult<String> {
        Ok(caller.clients().client(id).invoke("Name", ()).await?)
    }
}

fn server(redis: &RedisServer) -> TestHost<Ward> {
    let backplane = RedisBackplane::new(redis.url()).unwrap().channel_prefix("tests:");
    TestHost::builder(Ward).with(|builder| builder.backplane(backplane).dotnet_namespace("Test")).build()
}

async fn texts(clients: &[&TestClient]) -> Vec<Option<(String,)>> {
    let mut texts = Vec::new();
    for client in clients {
        texts.push(client.try_receive::<(String,)>("Told").await);
    }
    texts
}

#[tokio::test]
async fn servers_on_one_redis_share_a_hub() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let (north, south) = (server(&redis), server(&redis));
    let near = north.connect(HubProtocolKind::Json, User::anonymous()).await;
    let far = south.connect(HubProtocolKind::MessagePack, User::anonymous()).await;
    for client in [&near, &far] {
        client.invoke::<()>("Join", ("room: *?[1]",)).await.unwrap();
    }
    let clients = north.context().clients();
    let told = |text: &str| Some((text.to_owned(),));

    clients.group("room: *?[1]").send("Told", ("both",)).await.unwrap();
    for client in [&near, &far] {
        assert_eq!(client.receive::<(String,)>("Told").await, ("both".to_owned(),));
    }
    clients.all_except([near.connection_id()]).send("Told", ("far",)).await.unwrap();
    assert_eq!(far.receive::<(String,)>("Told").await, ("far".to_owned(),));
    assert_eq!(texts(&[&near]).await, [None]);

    far.on("Name", async |(): ()| "far".to_owned());
    assert_eq!(near.invoke::<String>("Ask", (far.connection_id(),)).await.unwrap(), "far");
    north.context().groups().add(far.connection_id(), "other").await.unwrap();
    clients.group("other").send("Told", ("other",)).await.unwrap();
    assert_eq!(Some(far.receive::<(String,)>("Told").await), told("other"));
    let members = north.context().cluster().members("room: *?[1]").await.unwrap();
    assert_eq!((members.value.len(), members.servers), (2, 2));

    // The channels of groups and connections end with them; three of the hub and two of each
    // server remain.
    near.close().await;
    far.close().await;
    let channels = || redis.run(&["PUBSUB", "CHANNELS"]).lines().filter(|name| name.starts_with("tests:")).count();
    eventually(|| channels() == 7).await;
    north.signalr().shutdown(Duration::ZERO).await;
    south.signalr().shutdown(Duration::ZERO).await;
    eventually(|| channels() == 0).await;
}
