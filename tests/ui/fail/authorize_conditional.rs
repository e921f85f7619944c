// An attribute that a condition hides from `#[hub]` is an error.
#![allow(unused)]

use signalr::{authorize, hub};

struct Chat;

#[hub]
impl Chat {
    #[cfg_attr(not(any()), authorize)]
    fn send(&self) {}
}

fn main() {}
