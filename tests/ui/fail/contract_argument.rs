#![allow(unused)]

use signalr::hub_client;

struct Message;

#[hub_client]
trait ChatClient {
    fn receive(&self, message: &Message);
}

fn main() {}
