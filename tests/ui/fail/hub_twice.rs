#![allow(unused)]

use signalr::hub;

struct Chat;

#[hub]
#[hub(items = u8)]
impl Chat {}

fn main() {}
