#![allow(unused)]

use signalr::hub_client;

#[hub_client]
struct ChatClient;

fn main() {}
