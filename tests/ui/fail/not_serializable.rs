#![allow(unused)]

use signalr::{HubResult, hub};

struct Message;

struct Chat;

#[hub]
impl Chat {
    async fn last(&self) -> Message {
        Message
    }

    async fn first(&self) -> HubResult<Message> {
        Ok(Message)
    }
}

fn main() {}
