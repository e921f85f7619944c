#![allow(unused)]

use signalr::hub;

struct Chat;

macro_rules! methods {
    () => {};
}

#[hub]
impl Chat {
    const LIMIT: usize = 10;

    methods!();

    fn send(&self) {}
}

fn main() {}
