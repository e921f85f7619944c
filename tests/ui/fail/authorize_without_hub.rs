#![allow(unused)]

use signalr::{allow_anonymous, authorize};

#[authorize]
struct Chat;

#[authorize(policy = "Staff")]
impl Chat {
    #[authorize]
    fn send(&self) {}

    #[allow_anonymous]
    fn look(&self) {}
}

#[allow_anonymous]
impl Chat {}

fn main() {}
