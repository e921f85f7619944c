#![allow(unused)]

use futures_core::Stream;
use futures_util::stream;
use signalr::{HubResult, UploadStream, hub};

struct NotWire;

struct Chat;

#[hub]
impl Chat {
    fn out(&self) -> impl Stream<Item = NotWire> {
        stream::empty()
    }

    fn text_for_an_error(&self) -> impl Stream<Item = Result<u32, String>> {
        stream::empty()
    }

    async fn upload(&self, id: u32, samples: UploadStream<NotWire>) {}

    async fn many_uploads(&self, samples: Vec<UploadStream<u32>>) {}
}

fn main() {}
