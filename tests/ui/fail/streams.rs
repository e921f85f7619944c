#![allow(unused)]

use std::pin::Pin;

use futures_core::Stream;
use signalr::{Caller, HubResult, hub};

struct UploadStream<T>(T);

struct Chat;

#[hub]
impl Chat {
    fn watch(&self, caller: &Caller<Self>) -> impl Stream<Item = HubResult<u32>> {
        futures_util::stream::empty()
    }

    async fn tried(&self) -> HubResult<impl Stream<Item = u32>> {
        Ok(futures_util::stream::empty())
    }

    fn boxed(&self) -> Pin<Box<dyn Stream<Item = u32> + Send>> {
        Box::pin(futures_util::stream::empty())
    }

    async fn upload(&self, id: u32, samples: UploadStream<f32>) {}
}

fn main() {}
