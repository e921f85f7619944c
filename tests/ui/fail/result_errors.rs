#![allow(unused)]

use signalr::hub;

struct Chat;

#[hub]
impl Chat {
    async fn count(&self) -> Result<u32, String> {
        Err("none".to_owned())
    }

    fn last(&self) -> Result<u32, ()> {
        Err(())
    }
}

fn main() {}
