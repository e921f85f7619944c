//! Shapes of MessagePack messages.

use serde_json::json;

use super::{SIZE, Shape};

/// Returns all shapes, the ordinary message first.
pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = vec![elements("a list of small numbers", "Echo", &[1])];
    shapes.extend(names());
    shapes.extend(values());
    shapes.extend(typed());
    shapes.extend(small_messages());
    shapes
}

fn names() -> [Shape; 6] {
    let long = |letter: &str| text(&letter.repeat((SIZE - 100) / letter.len()));
    let header = [text("a"), text("b")].concat();
    let distinct: Vec<u8> = (0..3_000).flat_map(|at| [text(&at.to_string()), text("b")].concat()).collect();
    let ids = [list(10_000), text("1").repeat(10_000)].concat();
    [
        one("an unknown target", &call(&[0x80], &text("1"), &long("x"), &[0x90], &[0x90])),
        one("an unknown target with letters of two bytes", &call(&[0x80], &text("1"), &long("ö"), &[0x90], &[0x90])),
        one("a long id", &call(&[0x80], &long("x"), &text("Nothing"), &[0x90], &[0x90])),
        one(
            "the same header many times",
            &call(&[map(7_900), header.repeat(7_900)].concat(), &[0xc0], &text("Nothing"), &[0x90], &[0x90]),
        ),
        one("many headers", &call(&[map(3_000), distinct].concat(), &[0xc0], &text("Nothing"), &[0x90], &[0x90])),
        one("many stream ids", &call(&[0x80], &text("1"), &text("Nothing"), &[0x90], &ids)),
    ]
}

fn values() -> Vec<Shape> {
    let nested = [vec![0x91; 60], vec![1]].concat();
    let nested_maps = [[0x81, 0xa1, b'a'].repeat(60), vec![1]].concat();
    vec![
        elements("nested lists", "Echo", &nested),
        elements("nested maps", "Echo", &nested_maps),
        elements("empty lists", "Echo", &[0x90]),
        elements("lists of one", "Echo", &[0x91, 1]),
        elements("empty maps", "Echo", &[0x80]),
        elements("maps of one", "Echo", &[0x81, 0xa1, b'a', 1]),
        elements("empty texts", "Echo", &[0xa0]),
        elements("short texts", "Echo", &text("a")),
        elements("doubles", "Echo", &[0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]),
        elements("large numbers", "Echo", &[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        elements("nils", "Echo", &[0xc0]),
        one("a map of one member many times", &object("Echo", &[0xa1, b'a', 1])),
        one("a map of numbers of one member many times", &object("Map", &[0xa1, b'a', 1])),
    ]
}

fn typed() -> Vec<Shape> {
    let null = |name| [text(name), vec![0xc0]].concat();
    vec![
        elements("doubles of a list", "Doubles", &[0xca, 0, 0, 0, 1]),
        elements("decimals", "Decimals", &text("1")),
        elements("long decimals", "Decimals", &text("7922816251426433759354395033.5")),
        elements("identifiers", "Guids", &text("3f2504e0-4f89-11d3-9a0c-0305e82c3301")),
        elements("dates", "Dates", &[0xd6, 0xff, 0, 0, 0, 1]),
        elements("spans of time", "Spans", &[1]),
        one("members of a struct", &object("Person", &[text("Age"), vec![1]].concat())),
        one("members of a struct in serde's case", &object("Person", &[text("age"), vec![1]].concat())),
        one("unknown members of a struct", &object("Person", &[0xa1, b'x', 1])),
        one("unknown members of a struct like a known one", &object("Person", &null("FavouriteColouR"))),
    ]
}

fn small_messages() -> Vec<Shape> {
    let message = |value: serde_json::Value| rmp_serde::to_vec(&value).expect("the value can be encoded");
    let calls = |target: &str, id: Option<&str>| message(json!([1, {}, id, target, [], []]));
    vec![
        many("pings", &[0x91, 6]),
        many("messages of an unknown type", &[0x91, 99]),
        many("calls", &calls("Nothing", None)),
        many("calls with results", &calls("Nothing", Some("1"))),
        many("calls of unknown methods", &calls("x", None)),
        many("calls of unknown methods with results", &calls("x", Some("1"))),
        many("calls that do not fit", &calls("Echo", Some("1"))),
        many("items of unknown streams", &message(json!([2, {}, "x", 1]))),
        many("ends of unknown streams", &message(json!([3, {}, "x", 2]))),
        many("cancellations", &message(json!([5, {}, "x"]))),
        many("acknowledgements", &message(json!([8, 1]))),
    ]
}

fn call(headers: &[u8], id: &[u8], target: &[u8], arguments: &[u8], ids: &[u8]) -> Vec<u8> {
    [&[0x96, 1], headers, id, target, arguments, ids].concat()
}

/// Invocation with a map as its argument.
fn object(target: &str, member: &[u8]) -> Vec<u8> {
    let count = (SIZE - 100) / member.len();
    let arguments = [vec![0x91], map(count), member.repeat(count)].concat();
    call(&[0x80], &text("1"), &text(target), &arguments, &[0x90])
}

/// Invocation with a list as its argument.
fn elements(name: &'static str, target: &str, element: &[u8]) -> Shape {
    let count = (SIZE - 100) / element.len();
    let arguments = [vec![0x91], list(count), element.repeat(count)].concat();
    one(name, &call(&[0x80], &text("1"), &text(target), &arguments, &[0x90]))
}

fn many(name: &'static str, message: &[u8]) -> Shape {
    let framed = framed(message);
    Shape { name, before: Vec::new(), bytes: framed.repeat(SIZE / framed.len()) }
}

fn one(name: &'static str, message: &[u8]) -> Shape {
    assert!(message.len() <= SIZE, "{name}");
    Shape { name, before: Vec::new(), bytes: framed(message) }
}

/// Adds the length prefix to a message.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    let mut length = message.len();
    while length >= 0x80 {
        framed.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
        length >>= 7;
    }
    framed.push(u8::try_from(length).expect("seven bits"));
    framed.extend(message);
    framed
}

fn text(text: &str) -> Vec<u8> {
    rmp_serde::to_vec(text).expect("a text can be encoded")
}

fn list(count: usize) -> Vec<u8> {
    head(0xdc, count)
}

fn map(count: usize) -> Vec<u8> {
    head(0xde, count)
}

fn head(code: u8, count: usize) -> Vec<u8> {
    [&[code][..], &u16::try_from(count).expect("below 32 KiB").to_be_bytes()].concat()
}
