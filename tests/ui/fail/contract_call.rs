#![allow(unused)]

use signalr::{Caller, HubResult, hub, hub_client};

#[hub_client]
trait ChatClient {
    fn receive(&self, text: &str);
}

struct Chat;

#[hub(client = ChatClient)]
impl Chat {
    async fn send(&self, caller: &Caller<Self>) -> HubResult {
        caller.others().recieve("text").await?;
        caller.others().send("Toast", "text").await?;
        Ok(())
    }
}

fn main() {}
