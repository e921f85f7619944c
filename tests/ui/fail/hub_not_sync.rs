#![allow(unused)]

use std::cell::Cell;

use signalr::hub;

struct Chat {
    sent: Cell<u32>,
}

#[hub]
impl Chat {
    fn sent(&self) -> u32 {
        self.sent.get()
    }
}

fn main() {}
