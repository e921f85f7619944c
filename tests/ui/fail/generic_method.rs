#![allow(unused)]

use signalr::hub;

struct Chat;

#[hub]
impl Chat {
    fn send<T>(&self, value: T) {}

    fn fill<const N: usize>(&self) {}

    unsafe fn poke(&self) {}

    extern "C" fn call(&self) {}
}

fn main() {}
