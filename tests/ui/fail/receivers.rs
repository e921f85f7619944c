#![allow(unused)]

use std::sync::Arc;

use signalr::{Caller, hub};

struct Chat;

#[hub]
impl Chat {
    fn new() -> Self {
        Self
    }

    async fn send(caller: &Caller<Self>, text: String) {
        let _ = (caller, text);
    }

    fn by_value(self) {}

    fn by_mutable_reference(&mut self) {}

    fn by_arc(self: Arc<Self>) {}
}

fn main() {}
