//! Payloads that ASP.NET Core's servers exchange.

use super::error::PayloadError;
use super::reader::PayloadReader;
use super::writer::{MAX_HEADER_BYTES, PayloadWriter};

/// An invocation for the clients of a channel: `[excluded, messages]`, and with a client result
/// `[excluded, messages, invocation id, return channel]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation<'a> {
    /// Ids of the connections that do not receive it.
    pub(crate) excluded: Vec<&'a str>,
    /// Framed message for each hub protocol, by name. Servers write one for each hub protocol that
    /// a client of any server may use.
    pub(crate) messages: Vec<(&'a str, &'a [u8])>,
    /// Invocation id of a client result, and the channel to which its completion is published.
    pub(crate) result: Option<(&'a str, &'a str)>,
}

impl<'a> Invocation<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = PayloadWriter::begin(if self.result.is_some() { 4 } else { 2 }, self.max_bytes());
        writer.texts(&self.excluded);
        writer.blobs(&self.messages);
        if let Some((id, channel)) = self.result {
            writer.text(id);
            writer.text(channel);
        }
        writer.finish()
    }

    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is malformed. Of a payload with three items, the third is
    /// ignored, as ASP.NET Core does.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let (mut reader, items) = PayloadReader::begin(payload, 2, "Invocation")?;
        Ok(Self {
            excluded: reader.texts()?,
            messages: reader.blobs()?,
            result: if items < 4 { None } else { Some((reader.text()?, reader.text()?)) },
        })
    }

    /// Returns the framed message for a hub protocol: the first one with exactly this name
    /// (`aspnet: SerializedHubMessage.cs`).
    pub(crate) fn message(&self, protocol: &str) -> Option<&'a [u8]> {
        self.messages.iter().find(|(name, _)| *name == protocol).map(|(_, message)| *message)
    }

    /// Returns an upper bound of the encoded size, so that the buffer is allocated once.
    fn max_bytes(&self) -> usize {
        let excluded = self.excluded.iter().map(|id| id.len() + MAX_HEADER_BYTES);
        let messages = self.messages.iter().map(|(name, message)| name.len() + message.len() + 2 * MAX_HEADER_BYTES);
        let result = self.result.map_or(0, |(id, channel)| id.len() + channel.len() + 2 * MAX_HEADER_BYTES);
        excluded.chain(messages).sum::<usize>() + result + 3 * MAX_HEADER_BYTES
    }
}

/// A change of a group, for the server that holds the connection: `[id, server, action, group,
/// connection]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupCommand<'a> {
    /// Id of the acknowledgement.
    pub(crate) id: i32,
    /// Name of the server that waits for the acknowledgement.
    pub(crate) server: &'a str,
    pub(crate) action: GroupAction,
    pub(crate) group: &'a str,
    pub(crate) connection: &'a str,
}

/// Change that a [`GroupCommand`] makes to a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupAction {
    /// Adds the connection.
    Add,
    /// Removes the connection.
    Remove,
}

impl<'a> GroupCommand<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let texts = self.server.len() + self.group.len() + self.connection.len();
        let mut writer = PayloadWriter::begin(5, texts + 6 * MAX_HEADER_BYTES);
        writer.int(self.id);
        writer.text(self.server);
        writer.int(match self.action {
            GroupAction::Add => 1,
            GroupAction::Remove => 2,
        });
        writer.text(self.group);
        writer.text(self.connection);
        writer.finish()
    }

    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is malformed or if its action is unknown.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let (mut reader, _) = PayloadReader::begin(payload, 5, "GroupCommand")?;
        Ok(Self {
            id: reader.int()?,
            server: reader.text()?,
            action: match reader.int()? {
                1 => GroupAction::Add,
                2 => GroupAction::Remove,
                value => return Err(PayloadError::Unknown { what: "group action", value }),
            },
            group: reader.text()?,
            connection: reader.text()?,
        })
    }
}

/// An acknowledgement of a [`GroupCommand`]: `[id]`.
///
/// A [`ClusterReply`](super::ClusterReply) is an acknowledgement with a further item, so this type
/// reads the ids of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: i32,
}

impl Ack {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut writer = PayloadWriter::begin(1, 2 * MAX_HEADER_BYTES);
        writer.int(self.id);
        writer.finish()
    }

    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is malformed.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, PayloadError> {
        let (mut reader, _) = PayloadReader::begin(payload, 1, "Ack")?;
        Ok(Self { id: reader.int()? })
    }
}

/// A completion of a client, for the server that waits for the client result: `[hub protocol,
/// message]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion<'a> {
    /// Name of the hub protocol of the message.
    pub(crate) protocol: &'a str,
    /// Framed completion.
    pub(crate) message: &'a [u8],
}

impl<'a> Completion<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = PayloadWriter::begin(2, self.protocol.len() + self.message.len() + 3 * MAX_HEADER_BYTES);
        writer.text(self.protocol);
        writer.blob(self.message);
        writer.finish()
    }

    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is malformed.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let (mut reader, _) = PayloadReader::begin(payload, 2, "CompletionMessage")?;
        Ok(Self { protocol: reader.text()?, message: reader.blob()? })
    }
}
