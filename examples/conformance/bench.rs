//! What load tests call.

use signalr::{Caller, HubResult, hub};

pub(crate) struct BenchHub;

#[hub]
impl BenchHub {
    fn echo(&self, message: String) -> String {
        message
    }

    async fn broadcast(&self, caller: &Caller<Self>, message: String) -> HubResult {
        caller.clients().all().send("Receive", (message,)).await?;
        Ok(())
    }

    async fn broadcast_group(&self, caller: &Caller<Self>, group: String, message: String) -> HubResult {
        caller.clients().group(group).send("Receive", (message,)).await?;
        Ok(())
    }

    async fn join(&self, caller: &Caller<Self>, group: String) -> HubResult {
        caller.join(group).await?;
        Ok(())
    }
}
