//! Shapes of JSON messages.

use super::{SIZE, Shape, fill};

const RECORD_SEPARATOR: char = '\u{1e}';

/// Returns all shapes, the ordinary message first.
pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes = vec![elements("a list of small numbers", "Echo", |at| (at % 10).to_string())];
    shapes.extend(names());
    shapes.extend(members());
    shapes.extend(values());
    shapes.extend(typed());
    shapes.extend(small_messages());
    shapes
}

fn names() -> [Shape; 5] {
    let lists = r#","arguments":[]"#.repeat(1_090);
    let unknown = |letter: &str| {
        let name = letter.repeat((SIZE - lists.len() - 30) / letter.len());
        format!(r#"{{"type":1,"target":"{name}"{lists}}}"#)
    };
    let long = "x".repeat(SIZE - 100);
    [
        one("a long unknown target and lists of arguments", unknown("x")),
        one("the same with letters of two bytes", unknown("ö")),
        one("an unknown target alone", format!(r#"{{"type":1,"invocationId":"1","target":"{long}","arguments":[]}}"#)),
        one("a long id", format!(r#"{{"type":1,"invocationId":"{long}","target":"Nothing","arguments":[]}}"#)),
        one("a long name of a member", format!(r#"{{"type":6,"{long}":1}}"#)),
    ]
}

/// Repeats each member of the envelope.
fn members() -> Vec<Shape> {
    let call = r#"{"type":1,"target":"Echo","arguments":[1]"#;
    let known = |name, member: &'static str| one(name, fill(call, |_| format!(",{member}"), "}"));
    vec![
        known("repeated lists of arguments of a known method", r#""arguments":[1]"#),
        known("repeated targets", r#""target":"Echo""#),
        known("repeated targets and lists of arguments", r#""target":"abcd","arguments":[]"#),
        known("repeated targets in another case and lists of arguments", r#""target":"eCHO","arguments":[1]"#),
        known("repeated ids", r#""invocationId":"1""#),
        known("repeated ids with escapes", r#""invocationId":"\u0031\n""#),
        known("repeated types", r#""type":1"#),
        known("repeated headers", r#""headers":{}"#),
        known("repeated lists of stream ids", r#""streamIds":[]"#),
        known("repeated results", r#""result":1"#),
        known("repeated items", r#""item":1"#),
        known("repeated errors", r#""error":"""#),
        known("unknown members", r#""":0"#),
        known("unknown members with escapes", r#""\u0074\u0061":0"#),
        one("many headers", fill(&format!(r#"{call},"headers":{{"a":"""#), |_| r#","a":"""#.into(), "}}")),
        one("many stream ids", fill(&format!(r#"{call},"streamIds":["""#), |_| r#","""#.into(), "]}")),
        one("many distinct stream ids", fill(&format!(r#"{call},"streamIds":["a""#), |at| format!(r#","{at}""#), "]}")),
        one("repeated items of a stream", fill(r#"{"type":2"#, |_| r#","item":[]"#.into(), r#","invocationId":"u"}"#)),
    ]
}

/// Arguments of a parameter of any type.
fn values() -> Vec<Shape> {
    let echo = |name, item: fn(usize) -> String| elements(name, "Echo", item);
    let nested = |_| format!("{}1{}", "[".repeat(60), "]".repeat(60));
    vec![
        echo("nested lists", nested),
        echo("nested objects", |_| format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60))),
        echo("empty lists", |_| "[]".into()),
        echo("lists of one", |_| "[1]".into()),
        echo("empty objects", |_| "{}".into()),
        echo("objects of one", |_| r#"{"a":1}"#.into()),
        echo("empty texts", |_| r#""""#.into()),
        echo("short texts", |_| r#""ab""#.into()),
        echo("short texts with escapes", |_| r#""\n""#.into()),
        echo("short texts with escapes of Unicode", |_| r#""\u00e9""#.into()),
        echo("nulls", |_| "null".into()),
        echo("negative zeros", |_| "-0".into()),
        echo("doubles", |_| "1.7976931348623157e308".into()),
        echo("short doubles", |_| "1e9".into()),
        echo("doubles between two others", |_| "9007199254740993.00000000000000000001".into()),
        echo("the smallest doubles", |_| "4.9406564584124654e-324".into()),
        echo("long doubles", |_| format!("0.{}", "123456789".repeat(80))),
        echo("one long number", |_| "1234567890".repeat(3_000)),
        echo("one long fraction", |_| format!("0.{}", "1234567890".repeat(3_000))),
        echo("one text of escapes", |_| format!("\"{}\"", r"\n".repeat(15_900))),
        one("one object of many members", object("Echo", |at| format!(r#""{at}":1"#))),
        one("one object of one member many times", object("Echo", |_| r#""a":1"#.into())),
        one("a map of many members", object("Map", |at| format!(r#""{at}":1"#))),
        one("a map of one member many times", object("Map", |_| r#""a":1"#.into())),
        one("spaces", fill(r#"{"type":1,"target":"Echo","arguments":[1"#, |_| " ".into(), "]}")),
    ]
}

/// Arguments of parameters with other types.
fn typed() -> Vec<Shape> {
    let text = |text: &str| format!("\"{text}\"");
    let long = "x".repeat(SIZE - 200);
    vec![
        elements("doubles of a list", "Doubles", |_| "1e-7".into()),
        elements("doubles of a list between two others", "Doubles", |_| "9007199254740993.00000000000000000001".into()),
        elements("decimals", "Decimals", |_| "1".into()),
        elements("long decimals", "Decimals", |_| "7922816251426433759354395033.5".into()),
        elements("one decimal of many digits", "Decimals", |_| format!("0.{}", "1234567890".repeat(3_000))),
        elements("a decimal with an exponent", "Decimals", |_| "1e28".into()),
        elements("identifiers", "Guids", move |_| text("3f2504e0-4f89-11d3-9a0c-0305e82c3301")),
        elements("a long text as identifier", "Guids", |_| format!("\"{}\"", "3".repeat(31_000))),
        elements("dates", "Dates", move |_| text("2025-01-01")),
        elements("dates with times", "Dates", move |_| text("2025-01-01T00:00:00.1234567+01:00")),
        elements("spans of time", "Spans", move |_| text("1")),
        one("members of a struct", object("Person", |_| r#""age":1"#.into())),
        one("members of a struct in another case", object("Person", |_| r#""AGE":1"#.into())),
        one("the last member of a struct in another case", object("Person", |_| r#""FRIEND":null"#.into())),
        one("unknown members of a struct", object("Person", |_| r#""":0"#.into())),
        one("unknown members of a struct like a known one", object("Person", |_| r#""favouriteColouR2":0"#.into())),
        one("unknown members of a struct in other letters", object("Person", |_| r#""ö":0"#.into())),
        one("a long unknown member of a struct", object("Person", move |_| format!(r#""{long}":0"#))),
        one(
            "nested structs",
            object("Person", |_| format!("{}null{}", r#""friend":{"friend":"#.repeat(25), "}".repeat(25))),
        ),
        one("a struct that does not fit", object("Person", |_| r#""tags":[1]"#.into())),
    ]
}

fn small_messages() -> Vec<Shape> {
    let wait = |at: usize| {
        format!(r#"{{"type":1,"invocationId":"{at}","target":"Wait","arguments":[],"streamIds":["{at}"]}}"#)
    };
    let waiting: String = (0..1_000).map(|at| wait(at) + "\u{1e}").collect();
    let cancel = |_| r#"{"type":5,"invocationId":"none"}"#.into();
    vec![
        many("pings", |_| r#"{"type":6}"#.into()),
        many("messages of an unknown type", |_| r#"{"type":99}"#.into()),
        many("calls", |_| r#"{"type":1,"target":"Echo","arguments":[1]}"#.into()),
        many("calls with results", |_| r#"{"type":1,"invocationId":"1","target":"Echo","arguments":[1]}"#.into()),
        many("calls of unknown methods", |_| r#"{"type":1,"target":"x","arguments":[]}"#.into()),
        many("calls of unknown methods with results", |_| {
            r#"{"type":1,"invocationId":"1","target":"x","arguments":[]}"#.into()
        }),
        many("calls that do not fit", |_| r#"{"type":1,"invocationId":"1","target":"Dates","arguments":[1]}"#.into()),
        many("items of unknown streams", |_| r#"{"type":2,"invocationId":"x","item":1}"#.into()),
        many("ends of unknown streams", |_| r#"{"type":3,"invocationId":"x"}"#.into()),
        many("cancellations", cancel),
        Shape { before: waiting.into_bytes(), ..many("cancellations beside 1,000 open calls", cancel) },
        many("acknowledgements", |_| r#"{"type":8,"sequenceId":1}"#.into()),
    ]
}

/// Invocation with an object as its argument.
fn object(target: &str, member: impl Fn(usize) -> String) -> String {
    let comma = |at| format!("{}{}", if at > 0 { "," } else { "" }, member(at));
    fill(&format!(r#"{{"type":1,"invocationId":"1","target":"{target}","arguments":[{{"#), comma, "}]}")
}

/// Invocation with a list as its argument.
fn elements(name: &'static str, target: &str, element: impl Fn(usize) -> String) -> Shape {
    let comma = |at| format!("{}{}", if at > 0 { "," } else { "" }, element(at));
    one(name, fill(&format!(r#"{{"type":1,"invocationId":"1","target":"{target}","arguments":[["#), comma, "]]}"))
}

fn many(name: &'static str, message: impl Fn(usize) -> String) -> Shape {
    let bytes = fill("", |at| message(at) + "\u{1e}", "").into_bytes();
    Shape { name, before: Vec::new(), bytes }
}

fn one(name: &'static str, mut message: String) -> Shape {
    message.push(RECORD_SEPARATOR);
    Shape { name, before: Vec::new(), bytes: message.into_bytes() }
}
