//! Handling of JSON messages as observed on an ASP.NET Core server.

use super::{JSON, WRONG_TYPE, bind, call, fatal, malformed, mismatch};
use crate::protocol::{HubMessage, HubProtocol, Naming, ReadError};

const BROKEN: &str = "InvalidDataException: Error reading JSON.";

/// Returns an invocation of `Add` with these arguments.
fn add(arguments: &str) -> String {
    format!(r#"{{"type":1,"invocationId":"1","target":"Add","arguments":{arguments}}}"#)
}

fn sum(frame: &str) -> Result<i32, ReadError> {
    bind::<(i32, i32)>(&call(JSON, frame.as_bytes()).arguments, 2).map(|(a, b)| a + b)
}

#[test]
fn malformed_json_messages_have_the_texts_of_aspnet() {
    let format = "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an";
    for (frame, expected) in [
        ("nonsense", BROKEN.to_owned()),
        ("\u{feff}{\"type\":6}", BROKEN.to_owned()),
        ("{\"type\":6,/* c */\"a\":1}", BROKEN.to_owned()),
        ("{\"type\":6,}", BROKEN.to_owned()),
        ("{'type':6}", BROKEN.to_owned()),
        ("{type:6}", BROKEN.to_owned()),
        ("{\"type\":06}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":tru}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":-}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":1.}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":.5}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":\"\\x\"}", BROKEN.to_owned()),
        ("{\"type\":6,\"x\":\"\t\"}", BROKEN.to_owned()),
        ("{\"type\":1,\"target\":5x}", BROKEN.to_owned()),
        ("{\"type\":1.0}", format!("{format} Int32.")),
        ("{\"type\":99999999999}", format!("{format} Int32.")),
        ("{\"type\":8,\"sequenceId\":1.5}", format!("{format} Int64.")),
        ("{\"type\":null}", "InvalidDataException: Expected 'type' to be of type Number.".to_owned()),
        (
            "{\"type\":9,\"sequenceId\":null}",
            "InvalidDataException: Missing required property 'sequenceId'.".to_owned(),
        ),
        ("{\"type\":7,\"error\":null}", "InvalidDataException: Expected 'error' to be of type String.".to_owned()),
        (
            "{\"type\":7,\"allowReconnect\":1}",
            "InvalidDataException: Expected 'allowReconnect' to be true or false.".to_owned(),
        ),
        (
            "{\"type\":5,\"invocationId\":\"\"}",
            "InvalidDataException: Missing required property 'invocationId'.".to_owned(),
        ),
        ("{\"type\":1,\"target\":\"\"}", "InvalidDataException: Missing required property 'target'.".to_owned()),
        (
            "{\"type\":1,\"target\":\"A\",\"arguments\":null}",
            "InvalidDataException: Expected 'arguments' to be of type Array.".to_owned(),
        ),
        (
            "{\"type\":2,\"invocationId\":\"\"}",
            "InvalidDataException: Missing required property 'invocationId'.".to_owned(),
        ),
        (
            "{\"type\":2,\"invocationId\":\"\",\"item\":1}",
            "KeyNotFoundException: No stream with id '' could be found.".to_owned(),
        ),
        ("{\"type\":3,\"invocationId\":\"1\",\"result\":[1,]}", BROKEN.to_owned()),
        ("{\"type\":2,\"invocationId\":\"u\",\"item\":nope}", BROKEN.to_owned()),
        ("{\"type\":99,\"item\":[}", BROKEN.to_owned()),
        (
            "{\"type\":1,\"headers\":null}",
            "InvalidDataException: Expected 'headers' to be of type StartObject.".to_owned(),
        ),
        (
            "{\"type\":1,\"headers\":{\"a\":{}}}",
            "InvalidDataException: Expected header 'a' to be of type String.".to_owned(),
        ),
    ] {
        assert_eq!(fatal(JSON, frame.as_bytes(), true), expected, "{frame}");
    }
}

#[test]
fn invalid_unicode_in_message_fields_ends_the_connection() {
    let kind = "InvalidOperationException";
    for (frame, expected) in [
        (&b"{\"type\":1,\"target\":\"Ec\xffho\"}"[..], "Cannot transcode invalid UTF-8 JSON text to UTF-16 string."),
        (br#"{"target":"\ud800"}"#, "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate."),
        (
            br#"{"invocationId":"\ud800x"}"#,
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ),
        (
            br#"{"target":"\ud800\u0041"}"#,
            "Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x41'.",
        ),
        (
            br#"{"target":"\udc00"}"#,
            "Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0xDC00'.",
        ),
        (br#"{"\ud800ype":1}"#, "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate."),
        (
            br#"{"headers":{"\ud800":"1"}}"#,
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ),
    ] {
        assert_eq!(fatal(JSON, frame, true), format!("{kind}: {expected}"), "{}", frame.escape_ascii());
    }
    // Names of unknown properties and values that are not read need not be valid Unicode.
    assert!(JSON.parse(b"{\"t\xffype\":1,\"x\":\"\xff\\ud800\",\"type\":6}", |_| true).is_ok());
}

#[test]
fn stream_ids_are_an_array_of_strings() {
    let with = |ids: &str| format!(r#"{{"type":1,"target":"Sum","arguments":[],"streamIds":{ids}}}"#);
    assert_eq!(call(JSON, with(r#"["a","\u0062"]"#).as_bytes()).stream_ids, ["a", "b"]);
    for (ids, expected) in [
        ("null", "InvalidDataException: Expected 'streamIds' to be of type Array."),
        ("[null]", "InvalidDataException: Null value for 'streamIds' is not valid."),
        ("[1]", "InvalidOperationException: Cannot get the value of a token type 'Number' as a string."),
        ("[[\"u\"]]", "InvalidOperationException: Cannot get the value of a token type 'StartArray' as a string."),
        ("[{}]", "InvalidOperationException: Cannot get the value of a token type 'StartObject' as a string."),
        ("[\"a\",]", BROKEN),
    ] {
        assert_eq!(fatal(JSON, with(ids).as_bytes(), false), expected, "{ids}");
    }
}

#[test]
fn integer_arguments_reject_other_json_values() {
    for (arguments, expected) in [("[2147483646,1]", i32::MAX), ("[-0,0]", 0), ("[ 1 ,\t2\n]", 3), ("[5,-0]", 5)] {
        assert_eq!(sum(&add(arguments)), Ok(expected), "{arguments}");
    }
    for arguments in ["[1.0,1]", "[1e2,1]", "[2147483648,0]", "[\"1\",1]", "[true,1]", "[null,1]", "[[1],1]", "[1,{}]"]
    {
        assert_eq!(sum(&add(arguments)), Err(mismatch("InvalidDataException", WRONG_TYPE)), "{arguments}");
    }
    assert_eq!(bind(&call(JSON, add("[\"-0\",-0]").as_bytes()).arguments, 2), Ok(("-0".to_owned(), 0)));
}

#[test]
fn wrong_argument_types_are_reported_before_a_wrong_number() {
    let provides = |given| format!("Invocation provides {given} argument(s) but target expects 2.");
    for (arguments, expected) in [
        ("[]", provides(0)),
        ("[1]", provides(1)),
        ("[1,2,3]", provides(3)),
        ("[1,2,[{}],\"\"]", provides(4)),
        ("[\"x\"]", WRONG_TYPE.to_owned()),
        ("[1,\"x\",3]", WRONG_TYPE.to_owned()),
    ] {
        assert_eq!(sum(&add(arguments)), Err(mismatch("InvalidDataException", &expected)), "{arguments}");
    }
}

#[test]
fn trailing_commas_fail_only_the_invocation_if_the_arguments_bind() {
    let invocation_fails = |at| {
        let text = "The JSON array contains a trailing comma at the end which is not supported in this mode. Change the reader options.";
        Err(mismatch("JsonReaderException", &format!("{text} LineNumber: 0 | BytePositionInLine: {at}.")))
    };
    let broken = Err(malformed("InvalidDataException", "Error reading JSON."));
    assert_eq!(sum(&add("[1,2,]")), invocation_fails(61));
    assert_eq!(sum(&add("[1,]")), invocation_fails(59));
    assert_eq!(sum(&add("[1,2,3,]")), invocation_fails(63));
    assert_eq!(sum(&add("[\"x\",]")), broken);
    assert_eq!(sum(&add("[1,[1,]]")), broken);
    // Arguments before the target are validated as JSON, where a trailing comma is an error.
    assert_eq!(sum(r#"{"arguments":[1,2,],"type":1,"target":"Add"}"#), broken);
    assert_eq!(fatal(JSON, add("[1,2,]").as_bytes(), false), BROKEN);
}

#[test]
fn malformed_arguments_end_the_connection() {
    for arguments in ["[1 2]", "[NaN,1]", "[1,2/**/]", "[1,tru]", "[01,1]", "[\"a\tb\",1]", "[1,{\"a\"}]"] {
        let frame = add(arguments);
        assert_eq!(sum(&frame), Err(malformed("InvalidDataException", "Error reading JSON.")), "{arguments}");
        assert_eq!(fatal(JSON, frame.as_bytes(), false), BROKEN, "{arguments}");
    }
    for arguments in ["[1,2", "[\"a", "[", "[[}]", "[1}"] {
        assert_eq!(fatal(JSON, add(arguments).as_bytes(), true), BROKEN, "{arguments}");
    }
    // The malformed list precedes the missing target.
    assert_eq!(fatal(JSON, br#"{"type":1,"arguments":[1 2]}"#, true), BROKEN);
    assert_eq!(fatal(JSON, br#"{"type":6,"arguments":[1 2]}"#, true), BROKEN);
}

#[test]
fn invalid_unicode_in_arguments_fails_only_the_invocation() {
    for text in [r"\ud800", r"\ude00x", r"\ud800\u0041"] {
        let frame = add(&format!("[\"{text}\"]"));
        let bound = bind::<(String,)>(&call(JSON, frame.as_bytes()).arguments, 1);
        assert_eq!(bound, Err(mismatch("InvalidDataException", WRONG_TYPE)), "{text}");
    }
    let frame = b"{\"type\":1,\"target\":\"Echo\",\"arguments\":[\"a\xff\xc3(\"]}";
    let bound = bind::<(String,)>(&call(JSON, frame).arguments, 1);
    assert_eq!(bound, Err(mismatch("InvalidDataException", WRONG_TYPE)));
}

#[test]
fn last_of_duplicate_properties_wins_but_earlier_arguments_must_bind() {
    let frame = r#"{"type":6,"type":1,"invocationId":"0","invocationId":"1","target":"Nope","target":"Add","arguments":[1,2],"arguments":[3,4]}"#;
    assert_eq!(call(JSON, frame.as_bytes()).id.as_deref(), Some("1"));
    assert_eq!(sum(frame), Ok(7));
    let provides = "Invocation provides 1 argument(s) but target expects 2.";
    let twice = |lists: &str| sum(&format!(r#"{{"type":1,"target":"Add",{lists}}}"#));
    assert_eq!(twice(r#""arguments":["x"],"arguments":[1,2]"#), Err(mismatch("InvalidDataException", provides)));
    assert_eq!(twice(r#""arguments":[1,2],"arguments":[1]"#), Err(mismatch("InvalidDataException", provides)));
    assert_eq!(fatal(JSON, br#"{"type":1,"target":"Add","arguments":[NaN],"arguments":[1,2]}"#, true), BROKEN);
}

#[test]
fn property_names_may_be_escaped_and_are_case_sensitive() {
    let frame =
        r#"{"TYPE":6,"\u0074ype":1,"Target":"Nope","t\u0061rget":"\u0041dd","\u0061rguments":[1,2],"ARGUMENTS":[]}"#;
    assert_eq!(call(JSON, frame.as_bytes()).target, "Add");
    assert_eq!(sum(frame), Ok(3));
}

#[test]
fn stream_invocations_without_id_end_the_connection_only_if_they_bind() {
    let missing = "Missing required property 'invocationId'.";
    let frame = br#"{"type":4,"target":"Counter","arguments":[1]}"#;
    let unknown = JSON.parse(frame, |_| false).unwrap();
    assert!(matches!(unknown, Some(HubMessage::Invocation(call)) if call.id.is_none() && call.streaming));
    let known = call(JSON, frame).arguments;
    assert_eq!(bind::<(i32,)>(&known, 1), Err(malformed("InvalidDataException", missing)));
    assert!(matches!(bind::<(String,)>(&known, 1), Err(ReadError::Mismatch(_))));
    let without = br#"{"type":4,"target":"Counter"}"#;
    assert_eq!(fatal(JSON, without, false), format!("InvalidDataException: {missing}"));
}

#[test]
fn bytes_after_a_json_message_are_ignored() {
    for frame in ["{\"type\":6}trash", "{\"type\":6} ,", "\n {\"type\":6}\n"] {
        assert_eq!(JSON.parse(frame.as_bytes(), |_| true), Ok(Some(HubMessage::Ping)), "{frame}");
    }
}

#[test]
fn messages_of_unknown_types_are_ignored() {
    assert_eq!(JSON.parse(br#"{"type":99,"arguments":[],"item":[1]}"#, |_| true), Ok(None));
    assert_eq!(JSON.parse(br#"{"type":-1}"#, |_| true), Ok(None));
}

#[test]
fn items_in_invocations_are_ignored() {
    let frame = br#"{"type":1,"invocationId":"1","item":[1],"target":"X","arguments":[]}"#;
    match JSON.parse(frame, |_| true) {
        Ok(Some(HubMessage::Invocation(call))) => assert_eq!((&*call.target, call.arguments.len()), ("X", 0)),
        other => panic!("{other:?}"),
    }
}

fn item(frame: &[u8]) -> (Result<i32, ReadError>, bool) {
    match JSON.parse(frame, |_| true) {
        Ok(Some(HubMessage::StreamItem { item, item_first, .. })) => (item.read(), item_first),
        other => panic!("{} is not a stream item: {other:?}", frame.escape_ascii()),
    }
}

#[test]
fn malformed_items_after_their_id_end_only_the_stream() {
    assert_eq!(item(br#"{"type":2,"invocationId":"u","item":7}"#), (Ok(7), false));
    assert_eq!(item(br#"{"item":7,"type":2,"invocationId":"u"}"#), (Ok(7), true));
    let text =
        "The JSON value could not be converted to System.Int32. Path: $ | LineNumber: 0 | BytePositionInLine: 3.";
    let wrong = Err(mismatch("JsonException", text));
    assert_eq!(item(br#"{"type":2,"invocationId":"u","item":"x"}"#), (wrong, false));
    for broken in ["[}", "[1 2]", "{\"a\":}", "[1"] {
        let frame = format!(r#"{{"type":2,"invocationId":"u","item":{broken}"#);
        assert!(matches!(item(format!("{frame}}}").as_bytes()), (Err(ReadError::Mismatch(_)), false)), "{broken}");
        let first = format!(r#"{{"type":2,"item":{broken},"invocationId":"u"}}"#);
        assert_eq!(fatal(JSON, first.as_bytes(), true), BROKEN, "{broken}");
        let other = format!(r#"{{"type":3,"invocationId":"u","item":{broken}}}"#);
        assert_eq!(fatal(JSON, other.as_bytes(), true), BROKEN, "{broken}");
    }
    let late = br#"{"invocationId":"u","item":[1 2],"type":5}"#;
    assert_eq!(fatal(JSON, late, true), BROKEN);
}

#[test]
fn null_results_are_results() {
    let completion = |result: &str| {
        let frame = format!(r#"{{"type":3,"invocationId":"1"{result}}}"#);
        match JSON.parse(frame.as_bytes(), |_| true) {
            Ok(Some(HubMessage::Completion { result, .. })) => result.map(|result| result.as_bytes().to_vec()),
            other => panic!("{frame} is not a completion: {other:?}"),
        }
    };
    assert_eq!(completion(""), None);
    assert_eq!(completion(r#","result":null"#).as_deref(), Some(&b"null"[..]));
}

#[test]
fn json_nesting_is_limited_as_in_aspnet() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for known in [true, false] {
        let (fine, deep) = (nested(63), nested(64));
        let name = if known { "Known" } else { "Nope" };
        let with = |list: &str| format!(r#"{{"type":1,"target":"{name}","arguments":{list}}}"#);
        let first = |list: &str| format!(r#"{{"arguments":{list},"type":1,"target":"{name}"}}"#);
        for frame in [with(&fine), first(&fine)] {
            assert!(JSON.parse(frame.as_bytes(), |_| known).is_ok(), "{frame}");
        }
        for frame in [with(&deep), first(&deep), format!(r#"{{"type":6,"x":{deep}}}"#)] {
            assert_eq!(fatal(JSON, frame.as_bytes(), known), BROKEN, "{frame}");
        }
    }
}

#[test]
fn headers_are_decoded_on_demand() {
    let frame =
        br#"{"type":1,"headers":{"traceparent":"00-1","a":"b","\u0061":"c\n","":""},"target":"A","arguments":[]}"#;
    let headers = call(JSON, frame).headers;
    assert_eq!(headers.get("traceparent").as_deref(), Some("00-1"));
    assert_eq!(headers.get("a").as_deref(), Some("c\n"));
    assert_eq!((headers.get("A"), headers.iter().count()), (None, 4));
    assert!(call(JSON, br#"{"type":1,"target":"A","arguments":[]}"#).headers.is_empty());
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let frame = br#"{"type":1,"invocationId":"1","target":"Add","arguments":[1,2],"streamIds":["u"]}"#;
    let call = call(JSON, frame);
    let borrowed = |text: &std::borrow::Cow<'_, str>| matches!(text, std::borrow::Cow::Borrowed(_));
    assert!(call.id.iter().chain([&call.target]).chain(&call.stream_ids).all(borrowed));
}

#[test]
fn last_of_duplicate_members_wins_with_dotnet_naming() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Person {
        full_name: String,
        age: i32,
    }
    let protocol = HubProtocol::new(crate::protocol::HubProtocolKind::Json, Naming::DotNet);
    let frame = br#"{"type":1,"target":"A","arguments":[{"fullName":"a","AGE":-0,"FULLNAME":"b"},[1]]}"#;
    let bound = bind::<(Person, Vec<i32>)>(&call(protocol, frame).arguments, 2);
    assert_eq!(bound, Ok((Person { full_name: "b".to_owned(), age: 0 }, vec![1])));
}
