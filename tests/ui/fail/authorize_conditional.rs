// What a condition hides from `#[hub]` must not be lost in silence.
#![allow(unused)]

use signalr::{authorize, hub};

struct Chat;

#[hub]
impl Chat {
    #[cfg_attr(not(any()), authorize)]
    fn send(&self) {}
}

fn main() {}
