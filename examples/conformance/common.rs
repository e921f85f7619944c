//! Methods that all conformance hubs share.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use signalr::dotnet::Binary;
use signalr::hub::Methods;
use signalr::{Caller, Hub, HubError, HubResult};

/// Items of a connection by name, as C#'s `Context.Items`.
pub(crate) type Items = Mutex<HashMap<String, Option<String>>>;

/// Adds the shared methods.
pub(crate) fn methods<H: Hub<Items = Items>>(methods: &mut Methods<H>) {
    errors(methods);
    order(methods);
    groups(methods);
    recipients(methods);
    context(methods);
    methods.include(super::streams::methods);
    methods.include(super::values::methods);
}

fn errors<H: Hub>(methods: &mut Methods<H>) {
    methods.method("Throw", |_, _, (): ()| async { Err::<(), _>(secret()) });
    methods.method("ThrowLater", |_, _, (): ()| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err::<(), _>(secret())
    });
    methods.method("ThrowHub", |_, _, (): ()| async { Err::<(), _>(HubError::new("visible detail")) });
    methods.method("ThrowHubInner", |_, _, (): ()| async { Err::<(), _>(HubError::new("outer")) });
}

/// C#'s `throw new InvalidOperationException("secret detail")`.
pub(crate) fn secret() -> HubError {
    HubError::internal("secret detail").with_type_name("InvalidOperationException")
}

fn order<H: Hub>(methods: &mut Methods<H>) {
    methods.method("Slow", |_, _, (ms, value): (u64, i32)| async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(value)
    });
    methods.method("SlowThenNotify", |_, caller: Caller<H>, (ms, text): (u64, String)| async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        notify(&caller, text).await
    });
    methods.method("Notify", |_, caller: Caller<H>, (text,): (String,)| async move { notify(&caller, text).await });
    methods.method("NotifyThenReturn", |_, caller: Caller<H>, (text,): (String,)| async move {
        notify(&caller, text.clone()).await?;
        Ok(text)
    });
    methods.method("NotifyMany", |_, caller: Caller<H>, (count,): (u32,)| async move {
        for n in 0..count {
            notify(&caller, n).await?;
        }
        Ok(())
    });
    methods.method("NotifyNoArgs", |_, caller: Caller<H>, (): ()| async move {
        caller.client().send("NotifiedNone", ()).await?;
        Ok(())
    });
    methods.method("NotifyBytes", |_, caller: Caller<H>, (): ()| async move {
        caller.client().send("NotifiedBytes", (Binary::from(vec![1, 2, 255]),)).await?;
        Ok(())
    });
}

async fn notify<H: Hub>(caller: &Caller<H>, value: impl serde::Serialize + Send + Sync) -> HubResult {
    caller.client().send("Notified", (value,)).await?;
    Ok(())
}

fn groups<H: Hub>(methods: &mut Methods<H>) {
    methods.method("Join", |_, caller: Caller<H>, (group,): (Option<String>,)| async move {
        caller.join(not_null(group, "groupName")?).await?;
        Ok(())
    });
    methods.method("Leave", |_, caller: Caller<H>, (group,): (Option<String>,)| async move {
        caller.leave(not_null(group, "groupName")?).await?;
        Ok(())
    });
    methods.method("JoinOther", |_, caller: Caller<H>, (id, group): (Option<String>, Option<String>)| async move {
        caller.groups().add(not_null(id, "connectionId")?, not_null(group, "groupName")?).await?;
        Ok(())
    });
    methods.method("LeaveOther", |_, caller: Caller<H>, (id, group): (Option<String>, Option<String>)| async move {
        caller.groups().remove(not_null(id, "connectionId")?, not_null(group, "groupName")?).await?;
        Ok(())
    });
}

/// Returns .NET's error for a null argument.
fn not_null(value: Option<String>, parameter: &str) -> HubResult<String> {
    value.ok_or_else(|| {
        HubError::internal(format!("Value cannot be null. (Parameter '{parameter}')"))
            .with_type_name("ArgumentNullException")
    })
}

/// Methods that send `Message(text)` to clients, groups or users.
fn recipients<H: Hub>(methods: &mut Methods<H>) {
    macro_rules! to {
        ($($name:literal, |$caller:ident, $($parameter:ident: $type:ty),*| $proxy:expr;)*) => {
            $(methods.method($name, |_, $caller: Caller<H>, ($($parameter,)* text): ($($type,)* Option<String>)| async move {
                $proxy.send("Message", (text,)).await?;
                Ok(())
            });)*
        };
    }
    to! {
        "ToAllExcept", |caller, ids: Vec<String>| caller.clients().all_except(ids);
        "ToGroup", |caller, group: Option<String>| caller.clients().group(not_null(group, "groupName")?);
        "ToGroups", |caller, groups: Vec<Option<String>>| caller.clients().groups(groups.into_iter().map(Option::unwrap_or_default));
        "ToGroupExcept", |caller, group: String, ids: Vec<String>| caller.clients().group_except(group, ids);
        "ToOthersInGroup", |caller, group: String| caller.others_in_group(group);
        "ToClient", |caller, id: Option<String>| caller.clients().client(not_null(id, "connectionId")?);
        "ToClients", |caller, ids: Vec<String>| caller.clients().clients(ids);
        "ToUser", |caller, user: Option<String>| caller.clients().user(not_null(user, "userId")?);
        "ToUsers", |caller, users: Vec<String>| caller.clients().users(users);
    }
    methods.method("ToAll", |_, caller: Caller<H>, (text,): (Option<String>,)| async move {
        caller.clients().all().send("Message", (text,)).await?;
        Ok(())
    });
    methods.method("ToCaller", |_, caller: Caller<H>, (text,): (Option<String>,)| async move {
        caller.client().send("Message", (text,)).await?;
        Ok(())
    });
    methods.method("ToOthers", |_, caller: Caller<H>, (text,): (Option<String>,)| async move {
        caller.others().send("Message", (text,)).await?;
        Ok(())
    });
}

/// Methods that return properties of the caller.
fn context<H: Hub<Items = Items>>(methods: &mut Methods<H>) {
    methods.method("ConnectionId", |_, caller: Caller<H>, (): ()| async move { Ok(caller.connection_id()) });
    methods.method(
        "UserIdentifier",
        |_, caller: Caller<H>, (): ()| async move { Ok(caller.user_id().map(str::to_owned)) },
    );
    methods
        .method("IsAuthenticated", |_, caller: Caller<H>, (): ()| async move { Ok(caller.user().is_authenticated()) });
    methods
        .method("UserName", |_, caller: Caller<H>, (): ()| async move { Ok(caller.user().name().map(str::to_owned)) });
    methods.method("Claims", |_, caller: Caller<H>, (kind,): (String,)| async move {
        Ok(caller.user().claims(&kind).map(str::to_owned).collect::<Vec<_>>())
    });
    methods.method(
        "InRole",
        |_, caller: Caller<H>, (role,): (String,)| async move { Ok(caller.user().is_in_role(&role)) },
    );
    methods.method("Header", |_, caller: Caller<H>, (name,): (String,)| async move {
        Ok(caller.request().header(&name).unwrap_or_default().into_owned())
    });
    methods.method("Query", |_, caller: Caller<H>, (name,): (String,)| async move {
        Ok(caller.request().query(&name).unwrap_or_default().into_owned())
    });
    methods.method("Transport", |_, caller: Caller<H>, (): ()| async move { Ok(caller.transport().to_string()) });
    methods.method("SetItem", |_, caller: Caller<H>, (key, value): (String, Option<String>)| async move {
        caller.items().lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        Ok(())
    });
    methods.method("GetItem", |_, caller: Caller<H>, (key,): (String,)| async move {
        Ok(caller.items().lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().flatten())
    });
    methods.method("WithToken", |_, _, (text, CancellationToken): (String, CancellationToken)| async move { Ok(text) });
    methods.method("AbortMe", |_, caller: Caller<H>, (): ()| async move {
        caller.abort();
        Ok(())
    });
}

/// C#'s `CancellationToken` as a parameter: it counts as one, and no client can send a value for
/// it.
struct CancellationToken;

impl<'de> serde::Deserialize<'de> for CancellationToken {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("a CancellationToken cannot be deserialized"))
    }
}
