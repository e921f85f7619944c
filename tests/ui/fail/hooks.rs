#![allow(unused)]

use signalr::{Caller, DisconnectReason, HubResult, hub};

struct Chat;

#[hub]
impl Chat {
    #[authorize]
    async fn on_connected(&self, caller: &Caller<Self>, text: String) -> HubResult {
        Ok(())
    }

    async fn on_authentication_refreshed(&mut self) -> HubResult {
        Ok(())
    }

    #[hub(name = "Left")]
    async fn on_disconnected(caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        Ok(())
    }
}

fn main() {}
