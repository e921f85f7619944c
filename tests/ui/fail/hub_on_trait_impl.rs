#![allow(unused)]

use signalr::hub;

struct Chat;

#[hub]
impl Clone for Chat {
    fn clone(&self) -> Self {
        Self
    }
}

fn main() {}
