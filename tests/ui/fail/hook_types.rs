#![allow(unused)]

use signalr::{Caller, HubResult, hub};

struct Chat;

#[hub]
impl Chat {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult<u32> {
        let _ = caller;
        Ok(1)
    }

    async fn on_disconnected(&self, caller: &Caller<Self>, error: String) {
        let _ = (caller, error);
    }
}

fn main() {}
