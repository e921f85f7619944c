#![allow(unused)]

use signalr::{HubResult, hub};

struct Chat;

#[hub]
impl Chat {
    fn send(&self, text: String) -> impl Future<Output = HubResult> + Send {
        async { Ok(()) }
    }
}

fn main() {}
