//! The `json` hub protocol: each message is an object whose properties have any order
//! (`aspnet: JsonHubProtocol.cs`).

use std::borrow::Cow;
use std::str::FromStr;

use super::error::ProtocolError;
use super::format::{HubProtocol, HubProtocolKind};
use super::headers::Headers;
use super::message::{HubMessage, InvocationMessage};
use super::raw_arguments::{DeferredChecks, RawArguments};
use super::raw_value::{RawValue, Role};

pub(super) mod scanner;
use scanner::{InvalidJson, JsonScanner, JsonToken, NextToken};

mod serializer;

mod value;
use value::{ListCheck, validate_list};
pub(super) use value::{bind, is_complete, list_elements, list_len, read};

pub(super) mod write;

/// Parses one message.
pub(super) fn parse<'a>(
    protocol: HubProtocol,
    frame: &'a [u8],
    method_exists: &dyn Fn(&str) -> bool,
) -> Result<Option<HubMessage<'a>>, ProtocolError> {
    let mut envelope = Envelope::default();
    match envelope.read(&mut JsonScanner::new(frame), method_exists) {
        Ok(()) => envelope.take_message(protocol, method_exists),
        Err(error) => Err(error),
    }
    .map_err(|error| match envelope.validate_skipped() {
        Ok(()) => error,
        // The skipped value precedes the fault that was found, so ASP.NET Core reports the skipped
        // value.
        Err(broken) => broken.into(),
    })
}

/// Properties of a message that have been read so far.
#[derive(Default)]
struct Envelope<'a> {
    kind: Option<i32>,
    id: Option<Cow<'a, str>>,
    target: Option<Cow<'a, str>>,
    /// Whether the hub has the method `target`; `None` until the first lookup.
    target_exists: Option<bool>,
    arguments: Option<UnparsedArguments<'a>>,
    earlier: Vec<&'a [u8]>,
    stream_ids: Vec<Cow<'a, str>>,
    headers: &'a [u8],
    item: Option<UnparsedItem<'a>>,
    result: Option<&'a [u8]>,
    error: Option<Cow<'a, str>>,
    allow_reconnect: bool,
    sequence_id: Option<i64>,
}

#[derive(Clone, Copy)]
struct UnparsedArguments<'a> {
    /// Bytes of the frame before the list.
    before: &'a [u8],
    bytes: &'a [u8],
    /// Whether the list has been validated as JSON. If the method exists, binding validates it.
    validated: bool,
    /// Whether the list follows the name of an existing method. Only then a trailing comma is
    /// allowed.
    method_known: bool,
}

#[derive(Clone, Copy)]
struct UnparsedItem<'a> {
    bytes: &'a [u8],
    /// Whether the item precedes the id. Only then it has been validated as JSON.
    first: bool,
    /// Whether the end of the item was found.
    complete: bool,
}

impl<'a> Envelope<'a> {
    fn read(
        &mut self,
        scanner: &mut JsonScanner<'a>,
        method_exists: &dyn Fn(&str) -> bool,
    ) -> Result<(), ProtocolError> {
        expect_object(scanner)?;
        let mut first = true;
        while scanner.next(first, b'}')? == NextToken::Element {
            first = false;
            let name = match scanner.common_name() {
                Some(name) => Cow::Borrowed(name),
                None => scanner.name()?.bytes()?,
            };
            match &*name {
                b"type" => self.kind = Some(integer(scanner, "type")?.ok_or_else(|| expected("type", "Number"))?),
                b"invocationId" => self.id = Some(string(scanner, "invocationId")?),
                b"target" => (self.target, self.target_exists) = (Some(string(scanner, "target")?), None),
                b"arguments" => self.read_arguments(scanner, method_exists)?,
                b"streamIds" => self.stream_ids = stream_ids(scanner)?,
                b"headers" => self.headers = headers(scanner)?,
                b"item" => {
                    self.read_item(scanner)?;
                    if self.item.is_some_and(|item| !item.complete) {
                        self.kind = Some(STREAM_ITEM);
                        return Ok(());
                    }
                }
                b"result" => self.result = Some(value(scanner)?),
                b"error" => self.error = Some(string(scanner, "error")?),
                b"allowReconnect" => self.allow_reconnect = boolean(scanner, "allowReconnect")?,
                b"sequenceId" => self.sequence_id = integer(scanner, "sequenceId")?,
                _ => scanner.skip(MAX_PROPERTY_DEPTH)?,
            }
        }
        Ok(())
    }

    fn read_arguments(
        &mut self,
        scanner: &mut JsonScanner<'a>,
        method_exists: &dyn Fn(&str) -> bool,
    ) -> Result<(), ProtocolError> {
        if scanner.peek() != Some(b'[') {
            scanner.token()?;
            return Err(expected("arguments", "Array"));
        }
        let start = scanner.position();
        let target = self.target.as_deref().filter(|target| !target.is_empty());
        // Looked up once for each target: a message may repeat `arguments`, and a lookup may be
        // costly.
        let method_known =
            target.is_some_and(|target| *self.target_exists.get_or_insert_with(|| method_exists(target)));
        let validated = target.is_some() && !method_known;
        if validated {
            scanner.skip(MAX_PROPERTY_DEPTH)?;
        } else {
            scanner.skip_unchecked(MAX_PROPERTY_DEPTH)?;
        }
        let list =
            UnparsedArguments { before: scanner.before(start), bytes: scanner.since(start), validated, method_known };
        if let Some(earlier) = self.arguments.replace(list) {
            earlier.validate()?;
            self.earlier.push(earlier.bytes);
        }
        Ok(())
    }

    fn read_item(&mut self, scanner: &mut JsonScanner<'a>) -> Result<(), ProtocolError> {
        let first = self.id.as_deref().unwrap_or_default().is_empty();
        // ASP.NET Core deserializes an item that follows its id at once, so malformed JSON in it
        // fails only the stream.
        let unchecked = !first && matches!(self.kind, None | Some(STREAM_ITEM));
        let container = matches!(scanner.peek(), Some(b'[' | b'{'));
        let (start, remaining) = (scanner.position(), scanner.remaining());
        self.item = Some(if unchecked && container {
            let complete = scanner.skip_unchecked(MAX_PROPERTY_DEPTH).is_ok();
            let bytes = if complete { scanner.since(start) } else { remaining };
            UnparsedItem { bytes, first, complete }
        } else {
            scanner.skip(MAX_PROPERTY_DEPTH)?;
            UnparsedItem { bytes: scanner.since(start), first, complete: true }
        });
        Ok(())
    }

    /// Builds the message from its properties, with the checks in ASP.NET Core's order.
    fn take_message(
        &mut self,
        protocol: HubProtocol,
        method_exists: &dyn Fn(&str) -> bool,
    ) -> Result<Option<HubMessage<'a>>, ProtocolError> {
        let kind = self.kind.ok_or_else(|| missing("type"))?;
        if !matches!(kind, INVOCATION | STREAM_INVOCATION) {
            self.validate_arguments()?;
        }
        if kind != STREAM_ITEM {
            self.validate_item()?;
        }
        Ok(Some(match kind {
            INVOCATION | STREAM_INVOCATION => HubMessage::Invocation(self.take_invocation(protocol, method_exists)?),
            STREAM_ITEM => self.take_item(protocol)?,
            COMPLETION => self.take_completion(protocol)?,
            CANCEL_INVOCATION => HubMessage::CancelInvocation { id: self.take_id()? },
            PING => HubMessage::Ping,
            CLOSE => HubMessage::Close { error: self.error.take(), allow_reconnect: self.allow_reconnect },
            ACK => HubMessage::Ack { sequence_id: self.sequence_id.ok_or_else(|| missing("sequenceId"))? },
            SEQUENCE => HubMessage::Sequence { sequence_id: self.sequence_id.ok_or_else(|| missing("sequenceId"))? },
            _ => return Ok(None),
        }))
    }

    fn take_invocation(
        &mut self,
        protocol: HubProtocol,
        method_exists: &dyn Fn(&str) -> bool,
    ) -> Result<InvocationMessage<'a>, ProtocolError> {
        let streaming = self.kind == Some(STREAM_INVOCATION);
        let target = self.target.take().ok_or_else(|| missing("target"))?;
        let id = self.id.take().filter(|id| !id.is_empty());
        let Some(list) = self.arguments else {
            return Err(match (streaming, &id) {
                (true, None) => missing("invocationId"),
                (false, _) if target.is_empty() => missing("target"),
                _ => missing("arguments"),
            });
        };
        let target_exists = *self.target_exists.get_or_insert_with(|| method_exists(&target));
        if !target_exists {
            list.validate()?;
        }
        let UnparsedArguments { before, bytes, method_known, .. } = list;
        let mut arguments = RawArguments {
            protocol,
            before,
            bytes,
            trailing_comma_allowed: method_known,
            complete: true,
            deferred: None,
        };
        // An invocation of an unknown method fails before this check. Without an id, it has no
        // completion.
        let error = (streaming && id.is_none() && target_exists).then(|| missing("invocationId"));
        if error.is_some() || !self.earlier.is_empty() {
            arguments.deferred = Some(Box::new(DeferredChecks { earlier: std::mem::take(&mut self.earlier), error }));
        }
        let stream_ids = std::mem::take(&mut self.stream_ids);
        let headers = Headers::new(HubProtocolKind::Json, self.headers);
        Ok(InvocationMessage { id, target, arguments, stream_ids, streaming, headers })
    }

    fn take_item(&mut self, protocol: HubProtocol) -> Result<HubMessage<'a>, ProtocolError> {
        let id = self.id.take().ok_or_else(|| missing("invocationId"))?;
        match self.item {
            Some(_) if id.is_empty() => Err(ProtocolError::unknown_stream("")),
            None if id.is_empty() => Err(missing("invocationId")),
            None => Err(missing("item")),
            Some(UnparsedItem { bytes, first, complete }) => {
                let item = RawValue::new(protocol, Role::Item, bytes, complete);
                Ok(HubMessage::StreamItem { id, item, item_first: first })
            }
        }
    }

    fn take_completion(&mut self, protocol: HubProtocol) -> Result<HubMessage<'a>, ProtocolError> {
        let id = self.take_id()?;
        let error = self.error.take();
        let result = self.result.map(|bytes| RawValue::new(protocol, Role::Result, bytes, true));
        if error.is_some() && result.is_some() {
            return Err(ProtocolError::invalid_data("The 'error' and 'result' properties are mutually exclusive."));
        }
        Ok(HubMessage::Completion { id, result, error })
    }

    fn take_id(&mut self) -> Result<Cow<'a, str>, ProtocolError> {
        self.id.take().filter(|id| !id.is_empty()).ok_or_else(|| missing("invocationId"))
    }

    /// Validates values that were skipped unchecked and are not going to be deserialized.
    fn validate_skipped(&self) -> Result<(), InvalidJson> {
        self.validate_arguments()?;
        self.validate_item()
    }

    fn validate_arguments(&self) -> Result<(), InvalidJson> {
        self.arguments.map_or(Ok(()), UnparsedArguments::validate)
    }

    fn validate_item(&self) -> Result<(), InvalidJson> {
        match self.item {
            Some(item) if !item.first && item.complete => JsonScanner::new(item.bytes).skip(MAX_PROPERTY_DEPTH),
            _ => Ok(()),
        }
    }
}

impl UnparsedArguments<'_> {
    fn validate(self) -> Result<(), InvalidJson> {
        if self.validated {
            return Ok(());
        }
        match validate_list(self.bytes) {
            ListCheck::Valid { .. } => Ok(()),
            ListCheck::TrailingComma { .. } if self.method_known => Ok(()),
            _ => Err(InvalidJson),
        }
    }
}

pub(super) fn expect_object(scanner: &mut JsonScanner<'_>) -> Result<(), ProtocolError> {
    match scanner.token()? {
        JsonToken::Object => Ok(()),
        other => {
            let kind = other.name();
            Err(ProtocolError::invalid_data(format!("Unexpected JSON Token Type '{kind}'. Expected a JSON Object.")))
        }
    }
}

pub(super) fn string<'a>(scanner: &mut JsonScanner<'a>, name: &str) -> Result<Cow<'a, str>, ProtocolError> {
    if scanner.peek() == Some(b'"') {
        return scanner.string()?.decode();
    }
    scanner.token()?;
    Err(expected(name, "String"))
}

fn boolean(scanner: &mut JsonScanner<'_>, name: &str) -> Result<bool, ProtocolError> {
    match scanner.token()? {
        JsonToken::True => Ok(true),
        JsonToken::False => Ok(false),
        _ => Err(ProtocolError::invalid_data(format!("Expected '{name}' to be true or false."))),
    }
}

/// Reads an integer; `None` is null.
pub(super) fn integer<N: Integer>(scanner: &mut JsonScanner<'_>, name: &str) -> Result<Option<N>, ProtocolError> {
    // Fast path for message types, which have one digit.
    if let Some(digit) = scanner.digit() {
        return Ok(Some(digit.into()));
    }
    match scanner.token()? {
        JsonToken::Null => Ok(None),
        JsonToken::Number(digits) => {
            let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            number.map(Some).ok_or_else(|| {
                let text = format!(
                    "Either the JSON value is not in a supported format, or is out of bounds for an {}.",
                    N::NAME
                );
                ProtocolError::new("FormatException", text)
            })
        }
        _ => Err(expected(name, "Number")),
    }
}

pub(super) trait Integer: FromStr + From<u8> {
    const NAME: &'static str;
}

impl Integer for i32 {
    const NAME: &'static str = "Int32";
}

impl Integer for i64 {
    const NAME: &'static str = "Int64";
}

fn stream_ids<'a>(scanner: &mut JsonScanner<'a>) -> Result<Vec<Cow<'a, str>>, ProtocolError> {
    if scanner.token()? != JsonToken::Array {
        return Err(expected("streamIds", "Array"));
    }
    let mut ids = Vec::new();
    while scanner.next(ids.is_empty(), b']')? == NextToken::Element {
        ids.push(match scanner.token()? {
            JsonToken::String(id) => id.decode()?,
            JsonToken::Null => return Err(ProtocolError::invalid_data("Null value for 'streamIds' is not valid.")),
            other => {
                let kind = match other {
                    JsonToken::Array => "StartArray",
                    JsonToken::Object => "StartObject",
                    other => other.name(),
                };
                let text = format!("Cannot get the value of a token type '{kind}' as a string.");
                return Err(ProtocolError::new("InvalidOperationException", text));
            }
        });
    }
    Ok(ids)
}

/// Validates headers and returns their bytes.
fn headers<'a>(scanner: &mut JsonScanner<'a>) -> Result<&'a [u8], ProtocolError> {
    scanner.peek();
    let start = scanner.position();
    if scanner.token()? != JsonToken::Object {
        return Err(expected("headers", "StartObject"));
    }
    let mut headers = JsonHeaderReader { scanner: scanner.clone(), first: true };
    while headers.read()?.is_some() {}
    *scanner = headers.scanner;
    Ok(scanner.since(start))
}

/// Validates a value and returns its bytes.
fn value<'a>(scanner: &mut JsonScanner<'a>) -> Result<&'a [u8], InvalidJson> {
    scanner.peek();
    let start = scanner.position();
    scanner.skip(MAX_PROPERTY_DEPTH)?;
    Ok(scanner.since(start))
}

fn expected(name: &str, kind: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Expected '{name}' to be of type {kind}."))
}

fn missing(name: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Missing required property '{name}'."))
}

/// Iterator over headers that were validated when the message was parsed.
#[derive(Clone, Debug)]
pub(super) struct JsonHeaderReader<'a> {
    scanner: JsonScanner<'a>,
    first: bool,
}

impl<'a> JsonHeaderReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut scanner = JsonScanner::new(bytes);
        let _ = scanner.token();
        Self { scanner, first: true }
    }

    fn read(&mut self) -> Result<Option<<Self as Iterator>::Item>, ProtocolError> {
        if self.scanner.next(self.first, b'}')? == NextToken::End {
            return Ok(None);
        }
        self.first = false;
        let name = self.scanner.name()?.decode()?;
        match self.scanner.token()? {
            JsonToken::String(value) => Ok(Some((name, value.decode()?))),
            _ => Err(ProtocolError::invalid_data(format!("Expected header '{name}' to be of type String."))),
        }
    }
}

impl<'a> Iterator for JsonHeaderReader<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        // The parser has validated the headers.
        self.read().ok().flatten()
    }
}

/// Maximum nesting depth of the value of a property. .NET reads 64 levels, the first of which is
/// the message (`aspnet: JsonReaderOptions.MaxDepth`).
pub(super) const MAX_PROPERTY_DEPTH: u32 = 63;

/// Message types (`aspnet: HubProtocolConstants.cs`).
const INVOCATION: i32 = 1;
const STREAM_ITEM: i32 = 2;
const COMPLETION: i32 = 3;
const STREAM_INVOCATION: i32 = 4;
const CANCEL_INVOCATION: i32 = 5;
const PING: i32 = 6;
const CLOSE: i32 = 7;
const ACK: i32 = 8;
const SEQUENCE: i32 = 9;
