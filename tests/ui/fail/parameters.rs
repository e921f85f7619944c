#![allow(unused)]

use std::borrow::Cow;

use signalr::{Caller, hub};

struct Chat;

#[hub]
impl Chat {
    fn text(&self, text: &str) {}

    fn number(&self, number: &u32) {}

    fn bytes(&self, bytes: &[u8]) {}

    fn optional(&self, text: Option<&str>) {}

    fn borrowed<'a>(&self, caller: &'a Caller<Self>, text: Cow<'a, str>) {}

    fn mutable(&self, caller: &mut Caller<Self>) {}

    fn pair(&self, (a, b): (u8, u8)) {}

    fn choice(&self, text: impl Into<String>) {}

    fn conditional(&self, #[cfg(windows)] text: String) {}
}

fn main() {}
