//! Whom a message is for.

use crate::origin::ConnectionId;

/// A selection of connections (C#: the properties and methods of `IHubClients`).
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    All,
    AllExcept(Vec<ConnectionId>),
    Connection(ConnectionId),
    /// A text that is the id of no connection.
    Nobody(Box<str>),
    /// Each connection once, however often it is named.
    Connections(Vec<ConnectionId>),
    Group(Box<str>),
    GroupExcept(Box<str>, Vec<ConnectionId>),
    /// A connection in two of them gets the message twice (`aspnet: DefaultHubLifetimeManager`).
    Groups(Vec<Box<str>>),
    User(Box<str>),
    /// Each user once, however often named.
    Users(Vec<Box<str>>),
}
