#![allow(unused)]

use signalr::authorize;

#[authorize]
struct Chat;

#[authorize(policy = "Staff")]
impl Chat {
    #[authorize]
    fn send(&self) {}
}

fn main() {}
