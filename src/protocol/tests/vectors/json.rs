//! Vectors of JSON.

use serde_json::Value;

use super::{CustomObject, assert_parses, list, relayed, text, unframed, vectors, write};
use crate::protocol::tests::{JSON, WRONG_TYPE, bind, call, mismatch, written};
use crate::protocol::values::Binary;
use crate::protocol::{HubMessage, HubProtocol, HubProtocolKind, Naming};

/// Returns the hub protocol with the naming of a vector, or `None` if the vector needs an option
/// that only .NET has.
fn json_protocol(vector: &Value) -> Option<HubProtocol> {
    let options = &vector["options"];
    let has_object = vector["message"].to_string().contains("CustomObject");
    let camel_case = options["camelCase"].as_bool().unwrap();
    let whole = !options["ignoreDefaultValues"].as_bool().unwrap();
    (!has_object || camel_case && whole).then_some(HubProtocol::new(HubProtocolKind::Json, Naming::DotNet))
}

#[test]
fn json_messages_are_written_and_parsed_as_in_aspnet() {
    let vectors = vectors();
    let mut count = 0;
    for key in ["write_and_parse", "write_and_parse_system_text_json"] {
        for vector in list(&vectors["json"][key]) {
            let Some(protocol) = json_protocol(vector) else {
                continue;
            };
            let (name, json) = (text(&vector["name"]), text(&vector["json"]));
            let framed = write(protocol, &vector["message"]);
            assert_eq!(String::from_utf8(unframed(HubProtocolKind::Json, &framed)).unwrap(), json, "{name}");
            assert_parses(protocol, json.as_bytes(), &vector["message"], name);
            count += 1;
        }
    }
    assert!(count >= 45, "{count}");
}

#[test]
fn json_properties_may_have_any_order() {
    for vector in list(&vectors()["json"]["parse_only_out_of_order"]) {
        let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet);
        assert_parses(protocol, text(&vector["json"]).as_bytes(), &vector["message"], text(&vector["name"]));
    }
}

#[test]
fn invalid_json_ends_the_connection_with_the_texts_of_aspnet() {
    let vectors = vectors();
    for key in ["invalid", "invalid_system_text_json"] {
        for case in list(&vectors["json"][key]["cases"]) {
            let input = text(&case["input"]);
            let error = JSON.parse(input.as_bytes(), |_| true).unwrap_err();
            assert_eq!(("InvalidDataException", error.message()), (error.type_name(), text(&case["error"])), "{input}");
        }
    }
}

#[test]
fn json_arguments_of_wrong_types_fail_only_the_invocation() {
    for case in list(&vectors()["json"]["argument_binding_errors"]["cases"]) {
        let input = text(&case["input"]);
        let call = call(JSON, input.as_bytes());
        assert_eq!((call.id.as_deref(), &*call.target), (Some("42"), "foo"), "{input}");
        let expected = mismatch("InvalidDataException", text(&case["error"]));
        assert_eq!(bind::<(i32, String)>(&call.arguments, 2), Err(expected), "{input}");
    }
}

#[test]
fn single_json_vectors_hold() {
    let vectors = vectors();
    let json = &vectors["json"];
    for input in list(&json["extra_fields_ignored"]["cases"]) {
        assert_eq!(bind(&call(JSON, text(input).as_bytes()).arguments, 0), Ok(()));
    }
    for case in list(&json["invalid_nesting_while_binding"]["cases"]) {
        let error = JSON.parse(text(&case["input"]).as_bytes(), |_| true).unwrap_err();
        assert_eq!((error.type_name(), error.message()), ("InvalidDataException", text(&case["error"])));
    }
    for input in list(&json["datetime_argument_keeps_utc"]) {
        let call = call(JSON, text(input).as_bytes());
        assert_eq!(bind(&call.arguments, 1), Ok(("2007-03-01T13:00:00Z".to_owned(),)));
    }
    for input in list(&json["datetime_result_keeps_utc"]) {
        let Ok(Some(HubMessage::Completion { result, .. })) = JSON.parse(text(input).as_bytes(), |_| true) else {
            panic!("{input} is not a completion");
        };
        assert_eq!(result.unwrap().read(), Ok("2007-03-01T13:00:00Z".to_owned()));
    }
    let bound = call(JSON, text(&json["binding_error_reads_to_end_of_arguments"]["input"]).as_bytes());
    assert_eq!(bound.target, "foo");
    assert_eq!(bind::<(String,)>(&bound.arguments, 1), Err(mismatch("InvalidDataException", WRONG_TYPE)));
    let empty = call(JSON, text(&json["empty_stream_ids"]["input"]).as_bytes());
    assert!(empty.stream_ids.is_empty());
}

#[test]
fn json_members_are_read_in_any_case_and_written_with_their_defaults() {
    let vectors = vectors();
    let protocol = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet);
    let frame = text(&vectors["json"]["case_insensitive_payload_properties"]["input"]).as_bytes();
    let Ok(Some(HubMessage::StreamItem { item, .. })) = protocol.parse(frame, |_| true) else {
        panic!("not a stream item")
    };
    let read: CustomObject<String> = item.read().unwrap();
    let expected = CustomObject {
        string_prop: "test".to_owned(),
        double_prop: "3.14159".parse().unwrap(),
        int_prop: 43,
        date_time_prop: "2019-06-03T22:00:00".to_owned(),
        null_prop: None,
        byte_arr_prop: Binary::from(vec![2, 4, 6]),
    };
    assert_eq!(read, expected);
    let defaults =
        CustomObject { double_prop: 1.1, int_prop: 0, date_time_prop: "0001-01-01T00:00:00".to_owned(), ..expected };
    let framed = written(|out| protocol.write_invocation(out, Some("123"), "Target", &(defaults,)).unwrap());
    let json = text(&vectors["json"]["default_values_written"]["json"]);
    assert_eq!(String::from_utf8(unframed(HubProtocolKind::Json, &framed)).unwrap(), json);
}

#[test]
fn client_results_are_relayed_unchanged() {
    let vectors = vectors();
    let json = HubProtocol::new(HubProtocolKind::Json, Naming::DotNet);
    for vector in list(&vectors["json"]["client_results"]) {
        let frame = text(&vector["input"]).as_bytes();
        match text(&vector["resultType"]) {
            "int" => {
                let expected = vector["result"].as_i64().map(|result| Ok(i32::try_from(result).unwrap()));
                assert_eq!(relayed::<i32>(json, frame), expected, "{vector}");
            }
            _ => {
                let result = relayed::<CustomObject<String>>(json, frame).unwrap().unwrap();
                assert_eq!(result.byte_arr_prop, Binary::from(vec![2, 4, 6]), "{vector}");
            }
        }
    }
    for (key, known) in [("unexpected_client_result", false), ("wrong_type_client_result", true)] {
        for input in list(&vectors["json"][key]["cases"]) {
            let result = relayed::<i32>(json, text(input).as_bytes()).unwrap();
            assert_eq!(result.is_err(), known, "{input}");
        }
    }
}
