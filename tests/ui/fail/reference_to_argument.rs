#![allow(unused)]

use signalr::hub;

#[derive(serde::Deserialize)]
struct Message;

struct Chat;

#[hub]
impl Chat {
    async fn send(&self, message: &Message) {
        let _ = message;
    }
}

fn main() {}
