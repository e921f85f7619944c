//! The hub of the load tests.

use futures_util::stream::{self, Stream};
use signalr::{Caller, HubResult, UploadStream, hub};

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

    fn stream(&self, count: i32) -> impl Stream<Item = i32> {
        stream::iter(0..count)
    }

    async fn upload(&self, mut items: UploadStream<i32>) -> HubResult<i32> {
        let mut count = 0;
        while let Some(item) = items.next().await {
            item?;
            count += 1;
        }
        Ok(count)
    }
}
