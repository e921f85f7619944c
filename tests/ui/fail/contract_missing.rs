#![allow(unused)]

use signalr::hub;

trait ChatClient {
    fn receive(&self, text: &str);
}

struct Chat;

#[hub(client = ChatClient)]
impl Chat {}

struct Other;

#[hub(client = u8)]
impl Other {}

fn main() {}
