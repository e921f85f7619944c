//! User ids: their origin, and sends to users.

use std::time::Duration;

use signalr::auth::User;
use signalr::hosting::Builder;
use signalr::testing::{ConnectError, TestClient, TestHost, user};
use signalr::{Caller, HubProtocolKind, HubResult, hub};

#[derive(Clone, Copy)]
struct Mailbox;

#[hub]
impl Mailbox {
    async fn id(&self, caller: &Caller<Self>) -> Option<String> {
        caller.user_id().map(str::to_owned)
    }

    async fn write(&self, caller: &Caller<Self>, to: String) -> HubResult {
        Ok(caller.clients().user(&to).send("Letter", (to.as_str(),)).await?)
    }

    async fn join(&self, caller: &Caller<Self>, group: String) -> HubResult {
        caller.groups().add(caller.connection_id(), &group).await?;
        Ok(())
    }

    async fn shout(&self, caller: &Caller<Self>, group: String) -> HubResult {
        Ok(caller.clients().group(&group).send("Shout", ()).await?)
    }
}

fn host(configure: impl FnOnce(Builder) -> Builder) -> TestHost<Mailbox> {
    TestHost::builder(Mailbox).with(configure).build()
}

async fn connect(host: &TestHost<Mailbox>, user: impl Into<User>) -> TestClient {
    host.connect(HubProtocolKind::Json, user).await
}

async fn id(client: &TestClient) -> Option<String> {
    client.invoke("Id", ()).await.unwrap()
}

#[tokio::test]
async fn user_id_is_the_first_name_identifier_claim() {
    let host = host(|builder| builder);
    assert_eq!(id(&connect(&host, user("ada")).await).await.as_deref(), Some("ada"));
    assert_eq!(id(&connect(&host, user("ada").id("eve")).await).await.as_deref(), Some("ada"));
    assert_eq!(id(&connect(&host, user("")).await).await.as_deref(), Some(""));
    assert_eq!(id(&connect(&host, User::builder().name("ada").claim("sub", "ada")).await).await, None);
    assert_eq!(id(&connect(&host, User::anonymous()).await).await, None);
}

#[tokio::test]
async fn user_id_callback_selects_the_receivers_of_sends() {
    let host = host(|builder| builder.user_id(|user| Some(format!("{}|{}", user.claim("tenant")?, user.id()?))));
    let (first, second) = (
        connect(&host, user("ada").claim("tenant", "a")).await,
        connect(&host, user("ada").claim("tenant", "a")).await,
    );
    let other = connect(&host, user("ada").claim("tenant", "b")).await;
    let anonymous = connect(&host, User::anonymous()).await;
    assert_eq!(id(&second).await.as_deref(), Some("a|ada"));
    assert_eq!(id(&anonymous).await, None);

    anonymous.invoke::<()>("Write", ("a|ada",)).await.unwrap();
    for client in [&first, &second] {
        assert_eq!(client.receive::<(String,)>("Letter").await, ("a|ada".to_owned(),));
    }
    anonymous.invoke::<()>("Write", ("ada",)).await.unwrap();
    anonymous.invoke::<()>("Write", ("A|ADA",)).await.unwrap();
    let mut known = host.context().user_connections("a|ada");
    known.sort();
    let mut expected = [first.connection_id(), second.connection_id()];
    expected.sort();
    assert_eq!(known, expected);

    // A group with one connection of a user does not include the others.
    first.invoke::<()>("Join", ("ward",)).await.unwrap();
    anonymous.invoke::<()>("Shout", ("ward",)).await.unwrap();
    first.receive::<()>("Shout").await;
    for client in [&first, &second, &other, &anonymous] {
        client.expect_nothing(Duration::ZERO).await;
    }

    // After one connection has ended, the other one still receives messages.
    first.close().await;
    anonymous.invoke::<()>("Write", ("a|ada",)).await.unwrap();
    second.receive::<(String,)>("Letter").await;
}

#[tokio::test]
async fn panic_in_the_user_id_callback_ends_only_its_connection() {
    let host = host(|builder| {
        builder.user_id(|user| {
            assert_ne!(user.id(), Some("panics"), "the function");
            user.id().map(str::to_owned)
        })
    });
    let other = connect(&host, user("ada")).await;
    for _ in 0..2 {
        let client = host.open(HubProtocolKind::Json, user("panics")).await.unwrap();
        let text = "An unexpected error occurred during connection handshake.".to_owned();
        assert_eq!(client.handshake().await, Err(ConnectError::Handshake(text)));
    }
    assert_eq!(id(&other).await.as_deref(), Some("ada"));
    assert_eq!(host.signalr().stats().hub_connections, 1);
}
