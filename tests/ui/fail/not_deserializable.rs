#![allow(unused)]

use signalr::{Caller, hub};

struct Message;

struct Chat;

#[hub]
impl Chat {
    async fn send(&self, to: String, message: Message) {
        let _ = (to, message);
    }

    async fn caller_by_value(&self, caller: Caller<Self>) {
        let _ = caller;
    }
}

fn main() {}
