//! Cases of the handshake that the vectors do not cover.

use super::written;
use crate::protocol::handshake::{self, Progress, find, parse_request};

#[test]
fn bytes_after_the_handshake_request_are_kept() {
    let arrived = b"{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e";
    let Progress::Whole { message, rest } = find(arrived, Some(1000)) else { panic!("incomplete message") };
    assert_eq!(parse_request(message).unwrap().protocol, "json");
    assert_eq!(rest, b"{\"type\":6}\x1e");
}

#[test]
fn handshake_requests_must_end_within_the_limit() {
    let request = written(|out| handshake::write_request(out, "json", 1));
    assert!(matches!(find(&request, Some(request.len())), Progress::Whole { .. }));
    assert_eq!(find(&request, Some(request.len() - 1)), Progress::TooLarge);
    assert_eq!(find(&request[..request.len() - 1], Some(request.len() - 1)), Progress::Partial);
}

#[test]
fn handshake_requests_round_trip() {
    let request = written(|out| handshake::write_request(out, "a\"b", -3));
    let read = parse_request(&request[..request.len() - 1]).unwrap();
    assert_eq!((&*read.protocol, read.version), ("a\"b", -3));
}

#[test]
fn handshake_errors_have_only_necessary_escapes() {
    let error = written(|out| handshake::write_error(out, "The protocol 'a\"b\n<é>' is not supported."));
    assert_eq!(
        String::from_utf8(error).unwrap(),
        "{\"error\":\"The protocol 'a\\\"b\\n<é>' is not supported.\"}\u{1e}"
    );
    assert_eq!(written(|out| handshake::write_error(out, "")), b"{}\x1e");
}

#[test]
fn malformed_handshake_requests_have_the_texts_of_dotnet() {
    let broken = |message: &[u8]| {
        let error = parse_request(message).unwrap_err();
        format!("{}: {error}", error.type_name())
    };
    for (message, expected) in [
        ("hello", "JsonReaderException: 'h' is an invalid start of a value. LineNumber: 0 | BytePositionInLine: 0."),
        (
            "",
            "JsonReaderException: The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when isFinalBlock is true. LineNumber: 0 | BytePositionInLine: 0.",
        ),
        (
            "{\"protocol\":\"json\"",
            "JsonReaderException: Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed. LineNumber: 0 | BytePositionInLine: 18.",
        ),
        (
            "{\"protocol\":\"json\" \"version\":1}",
            "JsonReaderException: '\"' is invalid after a value. Expected either ',', '}', or ']'. LineNumber: 0 | BytePositionInLine: 19.",
        ),
        (
            "{\"protocol\":\"json\",\"version\":1.5}",
            "FormatException: Either the JSON value is not in a supported format, or is out of bounds for an Int32.",
        ),
        (
            "{\"protocol\":\"js\\ud800\",\"version\":1}",
            "InvalidOperationException: Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ),
        (
            "{\"protocol\":\"json\",\"version\":null}",
            "InvalidDataException: Missing required property 'version'. Message content: {\"protocol\":\"json\",\"version\":null}",
        ),
    ] {
        assert_eq!(broken(message.as_bytes()), expected, "{message}");
    }
    for end in 0..30 {
        assert!(parse_request(&b"{\"protocol\":\"json\",\"version\":1}"[..end]).is_err(), "{end}");
    }
}
