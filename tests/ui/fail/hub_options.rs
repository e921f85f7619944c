#![allow(unused)]

use signalr::hub;

struct A;
struct B;
struct C;
struct D;

#[hub(clients = X)]
impl A {}

#[hub(name = "Chat")]
impl B {}

#[hub(items = u8, items = u16)]
impl C {}

#[hub("Chat")]
impl D {}

fn main() {}
