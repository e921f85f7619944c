//! Every shape of a method with streams.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;

use futures_core::Stream;
use futures_util::stream::{self, StreamExt};
use signalr::hub::InvokeError;
use signalr::{Caller, HubError, HubResult, UploadStream, hub, hub_client};

#[hub_client]
pub trait Nurse {
    fn tell(&self, text: &str);
    fn ask(&self, text: &str) -> bool;
    #[hub(name = "WAIT")]
    fn wait(&self) -> ();
}

type Items = Vec<u32>;

struct Shapes {
    seen: Mutex<Items>,
    text: String,
}

#[hub(client = Nurse)]
impl Shapes {
    fn values(&self) -> impl Stream<Item = u32> {
        stream::iter(self.seen.lock().unwrap().clone())
    }

    fn borrows_the_hub(&self) -> impl Stream<Item = &str> {
        stream::iter(self.text.split(' '))
    }

    fn borrows_the_caller(&self, caller: &Caller<Self>) -> impl Stream<Item = String> {
        stream::iter(0..3).then(async |n| format!("{n} {}", caller.connection_id()))
    }

    fn results(&self) -> impl Stream<Item = HubResult<u32>> {
        stream::iter([Ok(1), Err(HubError::new("no more"))])
    }

    fn other_errors(&self) -> impl Stream<Item = io::Result<u32>> {
        stream::iter([Ok(1), Err(io::Error::other("disk"))])
    }

    async fn later(&self) -> impl Stream<Item = u32> {
        stream::iter([1_u32])
    }

    async fn tried(&self, from: u32) -> HubResult<impl Stream<Item = u32>> {
        if from > 9 {
            return Err(HubError::new("too far"));
        }
        Ok(stream::iter(from..10))
    }

    fn tried_at_once(&self) -> Result<impl Stream<Item = HubResult<u32>>, io::Error> {
        Ok(stream::iter([Ok(1)]))
    }

    fn none(&self) -> Option<impl Stream<Item = u32>> {
        None::<stream::Empty<u32>>
    }

    async fn maybe(&self) -> HubResult<Option<impl Stream<Item = u32>>> {
        Ok(Some(stream::iter([1_u32])))
    }

    fn boxed_inside(&self) -> impl Stream<Item = u32> {
        Box::pin(stream::iter([1_u32])) as Pin<Box<dyn Stream<Item = u32> + Send>>
    }

    fn upload(&self, _samples: UploadStream<f32>) {}

    async fn uploads(&self, a: UploadStream<u8>, name: String, mut b: UploadStream<String>) -> HubResult<String> {
        drop(a);
        Ok(format!("{name} {:?}", b.next().await.transpose()?))
    }

    fn duplex(&self, items: UploadStream<String>) -> impl Stream<Item = HubResult<String>> {
        items.map(|item| Ok(item?.to_uppercase()))
    }

    async fn asks(&self, caller: &Caller<Self>) -> HubResult<bool> {
        caller.client().wait().await?;
        caller.others().tell("asking").await?;
        Ok(caller.client().ask("well?").await?)
    }

    async fn asks_by_name(&self, caller: &Caller<Self>) -> Result<u32, InvokeError> {
        caller.client().invoke("Count", ()).await
    }
}

fn main() {}
