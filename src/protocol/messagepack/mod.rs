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
pub(super) use value::{bind, is_whole, list_elements, list_len, read};

pub(super) mod write;

/// Parses one message.
pub(super) fn parse<'a>(
    protocol: HubProtocol,
    frame: &'a [u8],
    knows_method: &dyn Fn(&str) -> bool,
) -> Result<Option<HubMessage<'a>>, ProtocolError> {
    let mut reader = MessagePackReader::new(frame);
    let items = reader.array_len()?;
    let kind = int32(&mut reader, "messageType")?;
    Ok(Some(match kind {
        1 | 4 => HubMessage::Invocation(call(protocol, &mut reader, items, kind == 4, knows_method)?),
        2 => {
            let (_, id) = headers_and_id(&mut reader, "StreamItem")?;
            let (bytes, whole) = reader.value_or_rest();
            let item = RawValue::new(protocol, Role::Item, bytes, whole);
            HubMessage::StreamItem { id, item, item_first: false }
        }
        3 => completion(protocol, &mut reader)?,
        5 => HubMessage::CancelInvocation { id: headers_and_id(&mut reader, "CancelInvocation")?.1 },
        6 => HubMessage::Ping,
        7 => {
            let error = text(&mut reader, "error")?;
            let allow_reconnect = items > 2 && boolean(&mut reader, "allowReconnect")?;
            HubMessage::Close { error, allow_reconnect }
        }
        8 => HubMessage::Ack { sequence_id: int64(&mut reader, "sequenceId")? },
        9 => HubMessage::Sequence { sequence_id: int64(&mut reader, "sequenceId")? },
        _ => return Ok(None),
    }))
}

fn call<'a>(
    protocol: HubProtocol,
    reader: &mut MessagePackReader<'a>,
    items: usize,
    streaming: bool,
    knows_method: &dyn Fn(&str) -> bool,
) -> Result<InvocationMessage<'a>, ProtocolError> {
    let kind = if streaming { "StreamInvocation" } else { "Invocation" };
    let headers = headers(reader)?;
    let id = text(reader, "invocationId")?.filter(|id| !id.is_empty());
    if streaming && id.is_none() {
        return Err(no_id(kind));
    }
    let target = text(reader, "target")?
        .filter(|target| !target.is_empty())
        .ok_or_else(|| null_or_empty(&format!("target for {kind} message")))?;
    let known = knows_method(&target);
    let (bytes, sound) = reader.value_or_rest();
    let mut arguments = RawArguments { protocol, before: &[], bytes, sound, rest: None };
    let mut ids = Vec::new();
    // ASP.NET Core reads stream ids only after binding succeeded, so their error is deferred.
    if items > 5 && sound && known {
        match stream_ids(reader) {
            Ok(given) => ids = given,
            Err(error) => arguments.rest = Some(Box::new(DeferredChecks { earlier: Vec::new(), error: Some(error) })),
        }
    }
    Ok(InvocationMessage { id, target, arguments, stream_ids: ids, streaming, headers })
}

fn completion<'a>(protocol: HubProtocol, reader: &mut MessagePackReader<'a>) -> Result<HubMessage<'a>, ProtocolError> {
    let (_, id) = headers_and_id(reader, "Completion")?;
    let (result, error) = match int32(reader, "resultKind")? {
        1 => (None, text(reader, "error")?),
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
    let id = text(reader, "invocationId")?.filter(|id| !id.is_empty()).ok_or_else(|| no_id(kind))?;
    Ok((headers, id))
}

/// Validates headers and returns their bytes.
fn headers<'a>(reader: &mut MessagePackReader<'a>) -> Result<Headers<'a>, ProtocolError> {
    let whole = reader.rest();
    let count = reader.map_len().map_err(|_| failed("map length for 'headers'"))?;
    let mut seen = HashSet::new();
    for index in 0..count {
        let key = reader.text().map_err(|_| failed(&format!("'headers[{index}].Key' as String")))?;
        let key = key.filter(|key| !key.is_empty()).ok_or_else(|| null_or_empty("key in header"))?;
        let value = reader.text().map_err(|_| failed(&format!("'headers[{index}].Value' as String")))?;
        value.filter(|value| !value.is_empty()).ok_or_else(|| null_or_empty("value in header"))?;
        if count > 1
            && let Some(key) = seen.replace(key)
        {
            let text = format!("An item with the same key has already been added. Key: {key}");
            return Err(ProtocolError::new("ArgumentException", text));
        }
    }
    Ok(Headers::new(HubProtocolKind::MessagePack, &whole[..whole.len() - reader.rest().len()]))
}

fn stream_ids<'a>(reader: &mut MessagePackReader<'a>) -> Result<Vec<Cow<'a, str>>, ProtocolError> {
    let count = reader.array_len().map_err(|_| failed("array length for 'streamIds'"))?;
    (0..count)
        .map(|_| {
            let id = reader.text()?.filter(|id| !id.is_empty());
            id.ok_or_else(|| ProtocolError::invalid_data("Null or empty value in streamIds received."))
        })
        .collect()
}

fn text<'a>(reader: &mut MessagePackReader<'a>, field: &str) -> Result<Option<Cow<'a, str>>, ProtocolError> {
    reader.text().map_err(|_| failed(&format!("'{field}' as String")))
}

fn int32(reader: &mut MessagePackReader<'_>, field: &str) -> Result<i32, ProtocolError> {
    let number = reader.int().ok().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| failed(&format!("'{field}' as Int32")))
}

fn int64(reader: &mut MessagePackReader<'_>, field: &str) -> Result<i64, ProtocolError> {
    reader.int().map_err(|_| failed(&format!("'{field}' as Int64")))
}

fn boolean(reader: &mut MessagePackReader<'_>, field: &str) -> Result<bool, ProtocolError> {
    reader.boolean().map_err(|_| failed(&format!("'{field}' as Boolean")))
}

#[cold]
fn failed(what: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Reading {what} failed."))
}

#[cold]
fn null_or_empty(what: &str) -> ProtocolError {
    ProtocolError::invalid_data(format!("Null or empty {what}."))
}

#[cold]
fn no_id(kind: &str) -> ProtocolError {
    null_or_empty(&format!("invocation ID for {kind} message"))
}
