//! Queries among servers of this crate. ASP.NET Core's servers do not subscribe to the channel of
//! queries, and take a reply for an acknowledgement.

use rmp::Marker;

use super::error::PayloadError;
use super::reader::PayloadReader;
use super::writer::PayloadWriter;

/// A query to all servers of a hub: `[id, server, kind, …arguments]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterQuery<'a> {
    /// Id of the replies.
    pub(crate) id: i32,
    /// Name of the server that waits for replies.
    pub(crate) server: &'a str,
    pub(crate) kind: ClusterQueryKind<'a>,
}

/// Kinds of [`ClusterQuery`], with the items that follow the server: the kind and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClusterQueryKind<'a> {
    /// The ids of the connections of a user: `1, user`.
    UserConnections(&'a str),
    /// The ids of the members of a group: `2, group`.
    GroupMembers(&'a str),
    /// The number of connections: `3`.
    ConnectionCount,
    /// The number of members of a group: `4, group`.
    GroupMemberCount(&'a str),
    /// Closes connections; the reply is their number: `5, kind of audience, its name, excluded,
    /// reason or nil, allow reconnect`.
    Disconnect {
        audience: DisconnectAudience<'a>,
        /// Ids of connections that stay open.
        excluded: Vec<&'a str>,
        reason: Option<&'a str>,
        allow_reconnect: bool,
    },
}

/// Connections that [`ClusterQueryKind::Disconnect`] closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisconnectAudience<'a> {
    /// All: `0`, with an empty name.
    All,
    /// The connection with an id: `1`.
    Connection(&'a str),
    /// The members of a group: `2`.
    Group(&'a str),
    /// The connections of a user: `3`.
    User(&'a str),
}

/// The reply of one server: an acknowledgement with one further item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClusterReply<'a> {
    /// Ids of connections: `[id, [connection, …]]`.
    Connections(Vec<&'a str>),
    /// A number of connections: `[id, number]`.
    Count(u64),
}

impl<'a> ClusterQuery<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, arguments) = match self.kind {
            ClusterQueryKind::UserConnections(_) => (1, 1),
            ClusterQueryKind::GroupMembers(_) => (2, 1),
            ClusterQueryKind::ConnectionCount => (3, 0),
            ClusterQueryKind::GroupMemberCount(_) => (4, 1),
            ClusterQueryKind::Disconnect { .. } => (5, 5),
        };
        let mut writer = PayloadWriter::begin(ITEMS + arguments, 0);
        writer.int(self.id);
        writer.text(self.server);
        writer.int(kind);
        match &self.kind {
            ClusterQueryKind::ConnectionCount => {}
            ClusterQueryKind::UserConnections(name)
            | ClusterQueryKind::GroupMembers(name)
            | ClusterQueryKind::GroupMemberCount(name) => writer.text(name),
            ClusterQueryKind::Disconnect { audience, excluded, reason, allow_reconnect } => {
                let (kind, name) = match audience {
                    DisconnectAudience::All => (0, ""),
                    DisconnectAudience::Connection(id) => (1, *id),
                    DisconnectAudience::Group(name) => (2, *name),
                    DisconnectAudience::User(id) => (3, *id),
                };
                writer.int(kind);
                writer.text(name);
                writer.texts(excluded);
                writer.text_or_nil(*reason);
                writer.bool(*allow_reconnect);
            }
        }
        writer.finish()
    }

    /// Parses a payload.
    ///
    /// # Errors
    ///
    /// Returns [`PayloadError::Unknown`] for a kind of query or of audience that a later version
    /// has added; the receiver ignores the query. Other errors mean that the payload is malformed.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let (mut reader, items) = PayloadReader::begin(payload, ITEMS, NAME)?;
        let (id, server) = (reader.int()?, reader.text()?);
        let kind = reader.int()?;
        let require = |arguments| match items < ITEMS + arguments {
            true => Err(PayloadError::InsufficientItems(NAME)),
            false => Ok(()),
        };
        let kind = match kind {
            1 | 2 | 4 => {
                require(1)?;
                let name = reader.text()?;
                match kind {
                    1 => ClusterQueryKind::UserConnections(name),
                    2 => ClusterQueryKind::GroupMembers(name),
                    _ => ClusterQueryKind::GroupMemberCount(name),
                }
            }
            3 => ClusterQueryKind::ConnectionCount,
            5 => {
                require(5)?;
                ClusterQueryKind::Disconnect {
                    audience: DisconnectAudience::read(&mut reader)?,
                    excluded: reader.texts()?,
                    reason: reader.text_or_nil()?,
                    allow_reconnect: reader.bool()?,
                }
            }
            value => return Err(PayloadError::Unknown { what: "kind of query", value }),
        };
        Ok(Self { id, server, kind })
    }
}

impl<'a> DisconnectAudience<'a> {
    fn read(reader: &mut PayloadReader<'a>) -> Result<Self, PayloadError> {
        let (kind, name) = (reader.int()?, reader.text()?);
        match kind {
            0 => Ok(Self::All),
            1 => Ok(Self::Connection(name)),
            2 => Ok(Self::Group(name)),
            3 => Ok(Self::User(name)),
            value => Err(PayloadError::Unknown { what: "kind of audience", value }),
        }
    }
}

impl<'a> ClusterReply<'a> {
    /// Encodes the reply to the query with an id.
    pub(crate) fn encode(&self, id: i32) -> Vec<u8> {
        let mut writer = PayloadWriter::begin(2, 0);
        writer.int(id);
        match self {
            Self::Connections(ids) => writer.texts(ids),
            Self::Count(count) => writer.count(*count),
        }
        writer.finish()
    }

    /// Parses a reply. [`Ack::parse`](super::Ack::parse) reads the id of its query.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload is malformed or a plain acknowledgement.
    pub(crate) fn parse(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let (mut reader, _) = PayloadReader::begin(payload, 2, "ClusterReply")?;
        reader.int()?;
        match reader.peek()? {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => reader.texts().map(Self::Connections),
            _ => reader.count().map(Self::Count),
        }
    }
}

/// Number of items before the arguments of a query.
const ITEMS: usize = 3;

/// Name of a query in error texts.
const NAME: &str = "ClusterQuery";
