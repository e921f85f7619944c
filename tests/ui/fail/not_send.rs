#![allow(unused)]

use std::rc::Rc;

use signalr::hub;

struct Chat;

#[hub]
impl Chat {
    async fn last(&self) -> u32 {
        let last = Rc::new(1);
        std::future::ready(()).await;
        *last
    }
}

fn main() {}
