//! Hubs with code for new and closed connections.

use signalr::{Caller, DisconnectReason, HubError, HubResult, hub};

use super::common::{self, Items, secret};

/// Notifies the other connections when a client connects or disconnects.
pub(crate) struct LifecycleHub;

#[hub(items = Items, include = common::methods)]
impl LifecycleHub {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        caller.others().send("Came", (caller.connection_id(),)).await?;
        caller.client().send("Welcome", ()).await?;
        Ok(())
    }

    async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        let (name, message) = (reason.map(DisconnectReason::type_name), reason.map(DisconnectReason::message));
        caller.others().send("Went", (caller.connection_id(), name, message)).await?;
        Ok(())
    }
}

pub(crate) struct ThrowOnConnectHub;

#[hub(items = Items, include = common::methods)]
impl ThrowOnConnectHub {
    async fn on_connected(&self, _: &Caller<Self>) -> HubResult {
        Err(secret())
    }
}

pub(crate) struct ThrowHubOnConnectHub;

#[hub(items = Items, include = common::methods)]
impl ThrowHubOnConnectHub {
    async fn on_connected(&self, _: &Caller<Self>) -> HubResult {
        Err(HubError::new("visible detail"))
    }
}

pub(crate) struct AbortOnConnectHub;

#[hub(items = Items, include = common::methods)]
impl AbortOnConnectHub {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        caller.abort();
        Ok(())
    }
}

/// Requires no authorization; logs each connection and aborts unauthenticated ones.
pub(crate) struct LoggedHub;

#[hub(items = Items, include = common::methods)]
impl LoggedHub {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        let user = caller.user();
        let (id, role) = (user.id().unwrap_or("anonymous"), user.roles().next().unwrap_or("none"));
        tracing::info!("SignalR connected: {id} (Role: {role}) ConnectionId: {}", caller.connection_id());
        if !user.is_authenticated() {
            tracing::warn!("Unauthenticated SignalR connection: {}", caller.connection_id());
            caller.abort();
        }
        Ok(())
    }
}
