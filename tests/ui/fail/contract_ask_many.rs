#![allow(unused)]

use signalr::{Caller, HubResult, hub, hub_client};

#[hub_client]
trait Nurse {
    fn acknowledge(&self, alarm: &str) -> bool;
}

struct Ward;

#[hub(client = Nurse)]
impl Ward {
    async fn alarm(&self, caller: &Caller<Self>) -> HubResult<bool> {
        Ok(caller.clients().group("nurses").acknowledge("bed 4").await?)
    }
}

fn main() {}
