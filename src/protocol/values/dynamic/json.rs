//! Parses a [`Value`] from JSON text, without recursion and without serde, which would round
//! numbers.

use crate::protocol::json::scanner::{JsonScanner, JsonToken, NextToken};

use super::{MAX_DEPTH, Number, Value};

/// Parses a value. Returns `None` if a string in it is not valid Unicode or if it is nested too
/// deeply.
pub(super) fn parse(json: &str) -> Option<Value> {
    let mut scanner = JsonScanner::new(json.as_bytes());
    // Elements of all open containers, those of the innermost last. Names of properties are
    // elements as well.
    let mut elements = Vec::new();
    let mut open: Vec<Container> = Vec::new();
    loop {
        let mut complete = match scanner.token().ok()? {
            token @ (JsonToken::Array | JsonToken::Object) => {
                if open.len() == MAX_DEPTH {
                    return None;
                }
                open.push(Container { object: token == JsonToken::Object, start: elements.len() });
                None
            }
            JsonToken::String(text) => Some(Value::String(text.decode().ok()?.into_owned())),
            JsonToken::Number(digits) => Some(Value::Number(Number::from_json(str::from_utf8(digits).ok()?))),
            JsonToken::True => Some(Value::Bool(true)),
            JsonToken::False => Some(Value::Bool(false)),
            JsonToken::Null => Some(Value::Null),
        };
        // Moves to the next value and closes the containers that end before it.
        loop {
            let Some(container) = open.last() else { return complete };
            elements.extend(complete.take());
            let end = if container.object { b'}' } else { b']' };
            match scanner.next(elements.len() == container.start, end).ok()? {
                NextToken::Element if container.object => {
                    elements.push(Value::String(scanner.name().ok()?.decode().ok()?.into_owned()));
                    break;
                }
                NextToken::Element => break,
                NextToken::End => complete = open.pop().map(|container| container.close(&mut elements)),
            }
        }
    }
}

/// Array or object that is being parsed.
struct Container {
    object: bool,
    /// Index of its first element.
    start: usize,
}

impl Container {
    /// Moves the elements into a value without spare capacity.
    fn close(self, elements: &mut Vec<Value>) -> Value {
        let mut elements = elements.drain(self.start..);
        if !self.object {
            return Value::List(elements.collect());
        }
        let mut map = Vec::with_capacity(elements.len() / 2);
        while let (Some(name), Some(value)) = (elements.next(), elements.next()) {
            map.push((name, value));
        }
        Value::Map(map)
    }
}
