#![allow(unused)]

use signalr::{HubResult, authorize, hub_client};

#[hub_client(prefix = "x")]
trait ChatClient<T>: Send
where
    T: Send,
{
    const LIMIT: usize;

    type Message;

    fn receive();

    fn by_value(self, text: String);

    fn generic<V>(&self, value: V);

    fn choice(&self, value: impl Send);

    fn ask(&self, question: &str) -> HubResult<bool>;

    fn borrowed(&self) -> &str;

    fn body(&self) {}

    fn nameless(&self, _: u8);

    fn receive_text(&self);

    #[hub(name = "receivetext")]
    fn receive_texts(&self);

    #[hub(rename = "X")]
    fn renamed(&self);

    #[authorize]
    fn restricted(&self);

    #[rustfmt::skip]
    fn thirteen(
        &self,
        a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8,
    );
}

fn main() {}
