#![allow(unused)]

use std::pin::Pin;
use std::rc::Rc;

use futures_core::Stream;
use futures_util::stream::{self, BoxStream};
use signalr::{Caller, HubResult, UploadStream, hub};

struct NotWire;

struct Chat;

#[hub]
impl Chat {
    fn boxed(&self) -> Pin<Box<dyn Stream<Item = u32> + Send>> {
        Box::pin(stream::empty())
    }

    fn boxed_too(&self) -> HubResult<BoxStream<'_, u32>> {
        Ok(Box::pin(stream::empty()))
    }

    async fn upload(&self, id: u32, samples: &UploadStream<f32>) {}
}

fn main() {}
