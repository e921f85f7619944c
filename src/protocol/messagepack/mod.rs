//! The `messagepack` hub protocol: each message is an array
//! (`aspnet: MessagePackHubProtocolWorker.cs`).

use std::borrow::Cow;
use std::collections::HashSet;

use super::error::ProtocolError;
use super::format::{HubProtocol, HubProtocolKind};
use super::headers::Headers;
use super::message::{HubMessage, InvocationMessage};
use super::raw_arguments::{DeferredChecks, RawArguments};
use super::raw_value::{RawValue, Role};

mod deserializer;
#[cfg(test)]
pub(super) use deserializer::Deserializer;

mod reader;
pub(super) use reader::MessagePackHeaderReader;
use reader::MessagePackReader;

mod scan;

mod value;
pub(super) use value::{bind, is_complete, list_elements, list_len, read};

pub(super) mod write;

/// Parses one message.
pub(super) fn parse<'a>(
    protocol: HubProtocol,
    frame: &'a [u8],
    method_exists: &dyn Fn(&str) -> bool,
) -> Result<Option<HubMessage<'a>>, ProtocolError> {
    let mut reader = MessagePackReader::new(frame);
    let items = reader.array_len()?;
    let kind = int32(&mut reader, "messageType")?;
    Ok(Some(match kind {
        1 | 4 => HubMessage::Invocation(invocation(protocol, &mut reader, items, kind == 4, method_exists)?),
        2 => {
            let (_, id) = headers_and_id(&mut reader, "StreamItem")?;
            let (bytes, complete) = reader.value_or_remaining();
            let item = RawValue::new(protocol, Role::Item, bytes, complete);
            HubMessage::StreamItem { id, item, item_first: false }
        }
        3 => completion(protocol, &mut reader)?,
        5 => HubMessage::CancelInvocation { id: headers_and_id(&mut reader, "CancelInvocation")?.1 },
        6 => HubMessage::Ping,
        7 => {
            let error = string(&mut reader, "error")?;
            let allow_reconnect = items > 2 && boolean(&mut reader, "allowReconnect")?;
            HubMessage::Close { error, allow_reconnect }
        }
        8 => HubMessage::Ack { sequence_id: int64(&mut reader, "sequenceId")? },
        9 => HubMessage::Sequence { sequence_id: int64(&mut reader, "sequenceId")? },
        _ => return Ok(None),
    }))
}

fn invocation<'a>(
    protocol: HubProtocol,
    reader: &mut MessagePackReader<'a>,
    items: usize,
    streaming: bool,
    method_exists: &dyn Fn(&str) -> bool,
) -> Result<InvocationMessage<'a>, ProtocolError> {
    let kind = if streaming { "StreamInvocation" } else { "Invocation" };
    let headers = headers(reader)?;
    let id = string(reader, "invocationId")?.filter(|id| !id.is_empty());
    if streaming && id.is_none() {
        return Err(missing_id(kind));
    }
    let target = string(reader, "target")?
        .filter(|target| !target.is_empty())
        .ok_or_else(|| null_or_empty(&format!("target for {kind} message")))?;
    let method_known = method_exists(&target);
    let (bytes, complete) = reader.value_or_remaining();
    let mut arguments =
        RawArguments { protocol, before: &[], bytes, trailing_comma_allowed: false, complete, deferred: None };
    let mut ids = Vec::new();
    // ASP.NET Core reads stream ids only after binding succeeded, so their error is deferred.
    if items > 5 && complete && method_known {
        match stream_ids(reader) {
            Ok(ids_read) => ids = ids_read,
            Err(error) => {
                arguments.deferred = Some(Box::new(DeferredChecks { earlier: Vec::new(), error: Some(error) }))
            }
        }
    }
    Ok(InvocationMessage { id, target, arguments, stream_ids: ids, streaming, headers })
}

fn completion<'a>(protocol: HubProtocol, reader: &mut MessagePackReader<'a>) -> Result<HubMessage<'a>, ProtocolError> {
    let (_, id) = headers_and_id(reader, "Completion")?;
    let (result, error) = match int32(reader, "resultKind")? {
        1 => (None, string(reader, "error")?),
        2 => (None, None),
        3 => (Some(RawValue::new(protocol, Role::Result, reader.value()?, true)), None),
        _ => return Err(ProtocolError::invalid_data("Invalid invocation result kind.")),
    };
    Ok(HubMessage::Completion { id, result, error })
}

fn headers_and_id<'a>(
    reader: &mut MessagePackReader<'a>,
    kind: &str,
) -> Result<(Headers<'a>, Cow<'a, str>), ProtocolError> {
    let headers = headers(reader)?;
    let id = string(reader, "invocationId")?.filter(|id| !id.is_empty()).ok_or_else(|| missing_id(kind))?;
    Ok((headers, id))
}

/// Validates headers and returns their bytes.
fn headers<'a>(reader: &mut MessagePackReader<'a>) -> Result<Headers<'a>, ProtocolError> {
    let start = reader.remaining();
    let count = reader.map_len().map_err(|_| reading_failed("map length for 'headers'"))?;
    let mut seen = HashSet::new();
    for index in 0..count {
        let key = reader.string().map_err(|_| reading_failed(&format!("'headers[{index}].Key' as String")))?;
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| null_or_empty("key in header"))?;
        let value = reader.string().map_err(|_| reading_failed(&format!("'headers[{index}].Value' as String")))?;
        value.filter(|value| !value.is_empty()).ok_or_else(|| null_or_empty("value in header"))?;
        if count > 1
            && let Some(key) = seen.replace(key)
        {
            let text = format!("An item with the same key has already been added. Key: {key}");
            return Err(ProtocolError::new("ArgumentException", text));
        }
    }
    Ok(Headers::new(HubProtocolKind::MessagePack, &start[..start.len() - reader.remaining().len()]))
}

fn stream_ids<'a>(reader: &mut MessagePackReader<'a>) -> Result<Vec<Cow<'a, str>>, ProtocolError> {
    let count = reader.array_len().map_err(|_| reading_failed("array length for 'streamIds'"))?;
    (0..count)
        .map(|_| {
            let id = reader.string()?.filter(|id| !id.is_empty());
            id.ok_or_else(|| ProtocolError::invalid_data("Null or empty value in streamIds received."))
        })
        .collect()
}

fn string<'a>(reader: &mut MessagePackReader<'a>, field: &str) -> Result<Option<Cow<'a, str>>, ProtocolError> {
    reader.string().map_err(|_| reading_failed(&format!("'{field}' as String")))
}

fn int32(reader: &mut MessagePackReader<'_>, field: &str) -> Result<i32, ProtocolError> {
    let number = reader.int().ok().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| reading_failed(&format!("'{field}' as Int32")))
}

fn int64(reader: &mut MessagePackReader<'_>, field: &str) -> Result<i64, ProtocolError> {
    reader.int().map_err(|_| reading_failed(&format!("'{field}' as Int64")))
}

fn boolean(reader: &mut MessagePackReader<'_>, field: &str) -> Result<bool, ProtocolError> {
    reader.boolean().map_err(|_| reading_failed(&format!("'{field}' as Boolean")))
}

#[cold]
fn reading_failed(what: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Reading {what} failed."))
}

#[cold]
fn null_or_empty(what: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Null or empty {what}."))
}

#[cold]
fn missing_id(kind: &str) -> ProtocolError {
    null_or_empty(&format!("invocation ID for {kind} message"))
}
