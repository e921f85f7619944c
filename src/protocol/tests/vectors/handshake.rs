//! Vectors of the handshake and of the framing that it shares with JSON.

use serde_json::Value;

use super::{list, text, vectors};
use crate::protocol::handshake::{self, Progress};
use crate::protocol::tests::written;
use crate::protocol::{Framer, HubProtocolKind};

#[test]
fn handshake_requests_are_read_as_in_aspnet() {
    let vectors = vectors();
    let message = |vector: &Value| match handshake::find(text(&vector["input"]).as_bytes(), None) {
        Progress::Whole { message, rest: [] } => message.to_vec(),
        other => panic!("{vector} yields {other:?}"),
    };
    for vector in list(&vectors["handshake"]["request_valid"]) {
        let message = message(vector);
        let request = handshake::parse_request(&message).unwrap();
        assert_eq!(request.protocol, text(&vector["protocol"]));
        assert_eq!(Some(i64::from(request.version)), vector["version"].as_i64());
    }
    for vector in list(&vectors["handshake"]["request_invalid"]) {
        let error = handshake::parse_request(&message(vector)).unwrap_err();
        assert_eq!((error.type_name(), error.message()), ("InvalidDataException", text(&vector["error"])));
    }
    for input in list(&vectors["handshake"]["request_incomplete"]) {
        assert_eq!(handshake::find(text(input).as_bytes(), None), Progress::Partial);
    }
    for vector in list(&vectors["handshake"]["response_valid"]) {
        let message = message(vector);
        assert_eq!(handshake::parse_response(&message).unwrap().as_deref(), vector["error"].as_str());
    }
    for vector in list(&vectors["handshake"]["response_invalid"]) {
        let error = handshake::parse_response(&message(vector)).unwrap_err();
        assert_eq!((error.type_name(), error.message()), ("InvalidDataException", text(&vector["error"])));
    }
}

#[test]
fn handshake_responses_are_those_of_aspnet() {
    let responses = &vectors()["handshake"]["server_responses"];
    assert_eq!(written(handshake::write_success), text(&responses["success"]).as_bytes());
    for framed in responses["errors"].as_object().unwrap().values() {
        let framed = text(framed).as_bytes();
        let message = &framed[..framed.len() - 1];
        let error = handshake::parse_response(message).unwrap().unwrap();
        assert_eq!(written(|out| handshake::write_error(out, &error)), framed);
    }
}

#[test]
fn text_messages_are_framed_as_in_aspnet() {
    for vector in list(&vectors()["framing"]["text"]) {
        let mut input = text(&vector["input"]).as_bytes();
        let mut framer = Framer::new(HubProtocolKind::Json, None);
        for payload in list(&vector["payloads"]) {
            assert_eq!(framer.next(&mut input).unwrap().unwrap(), text(payload).as_bytes());
        }
        assert_eq!(framer.next(&mut input), Ok(None));
        assert_eq!(framer.is_empty(), text(&vector["rest"]).is_empty());
    }
}
