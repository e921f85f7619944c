#![allow(unused)]

use signalr::hub;

struct Chat;

#[hub]
impl Chat {
    fn send_message(&self) {}

    #[hub(name = "sendmessage")]
    fn send(&self) {}

    fn sendMessage(&self) {}

    #[hub(name = "")]
    fn nameless(&self) {}

    fn __(&self) {}

    #[hub("Toast")]
    fn toast(&self) {}

    #[hub]
    fn bare(&self) {}
}

fn main() {}
