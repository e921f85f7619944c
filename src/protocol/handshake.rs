//! Handshake: the first message in each direction, always JSON (`HubProtocol.md § Overview`).

use std::borrow::Cow;

use super::error::ProtocolError;
use super::frame::RECORD_SEPARATOR;
use super::json::scanner::{InvalidJson, JsonScanner, NextToken};
use super::json::write::push_json_string;
use super::json::{MAX_PROPERTY_DEPTH, expect_object, integer, string};
use super::raw_value::Position;

/// First message of a client, which selects the hub protocol.
///
/// ```
/// use signalr::protocol::handshake;
///
/// let request = handshake::parse_request(br#"{"protocol":"json","version":1}"#).unwrap();
/// assert_eq!((&*request.protocol, request.version), ("json", 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeRequest<'a> {
    /// Name of the hub protocol as the client spells it.
    pub protocol: Cow<'a, str>,
    /// Version of the hub protocol. Version 2 supports stateful reconnect.
    pub version: i32,
}

/// Result of looking for the handshake message in the bytes received so far.
///
/// ```
/// use signalr::protocol::handshake::{self, Progress};
///
/// let arrived = b"{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":6}\x1e";
/// assert!(matches!(handshake::find(arrived, None), Progress::Whole { rest, .. } if rest == b"{\"type\":6}\x1e"));
/// assert!(matches!(handshake::find(&arrived[..9], None), Progress::Partial));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The message is complete. The bytes after it are in the hub protocol that the message
    /// selects.
    Whole {
        /// Message without its framing.
        message: &'a [u8],
        /// Bytes after the message.
        rest: &'a [u8],
    },
    /// The end of the message has not been received yet.
    Partial,
    /// The message exceeds the limit.
    TooLarge,
}

/// Looks for the end of the handshake message (`aspnet: HubConnectionContext.HandshakeAsync`).
///
/// `limit` is the maximum size of the message in bytes, including its framing.
pub fn find(arrived: &[u8], limit: Option<usize>) -> Progress<'_> {
    let window = &arrived[..arrived.len().min(limit.unwrap_or(usize::MAX))];
    match memchr::memchr(RECORD_SEPARATOR, window) {
        Some(end) => Progress::Whole { message: &arrived[..end], rest: &arrived[end + 1..] },
        None if window.len() < arrived.len() => Progress::TooLarge,
        None => Progress::Partial,
    }
}

/// Parses the handshake request of a client; `message` is the message without its framing.
///
/// Bytes after the closing brace are ignored.
///
/// # Errors
///
/// Returns an error if the message is not a handshake request.
pub fn parse_request(message: &[u8]) -> Result<HandshakeRequest<'_>, ProtocolError> {
    let (mut protocol, mut version) = (None, None);
    read(message, |name, scanner| {
        match name {
            b"protocol" => protocol = Some(string(scanner, "protocol")?),
            b"version" => version = integer(scanner, "version")?,
            _ => scanner.skip(MAX_PROPERTY_DEPTH)?,
        }
        Ok(())
    })?;
    let missing = |name| {
        let content = String::from_utf8_lossy(message);
        ProtocolError::invalid_data(format!("Missing required property '{name}'. Message content: {content}"))
    };
    let protocol = protocol.ok_or_else(|| missing("protocol"))?;
    let version = version.ok_or_else(|| missing("version"))?;
    Ok(HandshakeRequest { protocol, version })
}

/// Parses the handshake response of a server and returns its error, if it has one.
///
/// # Errors
///
/// Returns an error if the message is not a handshake response.
pub fn parse_response(message: &[u8]) -> Result<Option<Cow<'_, str>>, ProtocolError> {
    let mut error = None;
    read(message, |name, scanner| {
        match name {
            b"type" => {
                return Err(ProtocolError::invalid_data("Expected a handshake response from the server."));
            }
            b"error" => error = Some(string(scanner, "error")?),
            _ => scanner.skip(MAX_PROPERTY_DEPTH)?,
        }
        Ok(())
    })?;
    Ok(error)
}

/// Appends the handshake request of a client.
pub fn write_request(out: &mut Vec<u8>, protocol: &str, version: i32) {
    out.extend_from_slice(b"{\"protocol\":");
    push_string(out, protocol);
    out.extend_from_slice(format!(",\"version\":{version}}}").as_bytes());
    out.push(RECORD_SEPARATOR);
}

/// Appends the successful handshake response of a server.
pub fn write_success(out: &mut Vec<u8>) {
    out.extend_from_slice(b"{}");
    out.push(RECORD_SEPARATOR);
}

/// Appends the handshake response of a server with an error. An empty error is written as success
/// (`aspnet: HandshakeProtocol.cs`).
pub fn write_error(out: &mut Vec<u8>, error: &str) {
    if error.is_empty() {
        return write_success(out);
    }
    out.extend_from_slice(b"{\"error\":");
    push_string(out, error);
    out.extend_from_slice(&[b'}', RECORD_SEPARATOR]);
}

fn push_string(out: &mut Vec<u8>, value: &str) {
    push_json_string(out, value.as_bytes()).expect("writing to a Vec does not fail");
}

/// Reads an object; `property` reads the value of each property.
fn read<'a>(
    message: &'a [u8],
    mut property: impl FnMut(&[u8], &mut JsonScanner<'a>) -> Result<(), ProtocolError>,
) -> Result<(), ProtocolError> {
    let mut scanner = JsonScanner::new(message);
    let mut read = || {
        expect_object(&mut scanner)?;
        let mut first = true;
        while scanner.next(first, b'}')? == NextToken::Element {
            first = false;
            let name = scanner.name()?.bytes()?;
            property(&name, &mut scanner)?;
        }
        Ok(())
    };
    let read = read();
    read.map_err(|error| if error == InvalidJson.into() { reader_error(&mut scanner) } else { error })
}

/// Returns the text of .NET's JSON reader, which ASP.NET Core replaces in all messages but the
/// handshake.
fn reader_error(scanner: &mut JsonScanner<'_>) -> ProtocolError {
    let read = scanner.before(scanner.position());
    let text = match scanner.peek() {
        None if read.iter().all(u8::is_ascii_whitespace) => {
            "The input does not contain any JSON tokens. Expected the input to start with a valid JSON token, when isFinalBlock is true.".into()
        }
        None => "Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed.".into(),
        Some(byte) if read.is_empty() => format!("'{}' is an invalid start of a value.", char::from(byte)),
        Some(byte) => format!("'{}' is invalid after a value. Expected either ',', '}}', or ']'.", char::from(byte)),
    };
    let at = Position::end_of(scanner.before(scanner.position()));
    ProtocolError::new("JsonReaderException", format!("{text} {at}"))
}
