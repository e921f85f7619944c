//! Whom a message is for.

use crate::connection_info::ConnectionId;

/// A selection of connections (C#: the properties and methods of `IHubClients`).
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    All,
    AllExcept(SortedSet<ConnectionId>),
    Connection(ConnectionId),
    /// A text that is the id of no connection.
    Unknown(Box<str>),
    /// Each connection once, however often it is named.
    Connections(SortedSet<ConnectionId>),
    Group(Box<str>),
    GroupExcept(Box<str>, SortedSet<ConnectionId>),
    /// A connection in two of them gets the message twice (`aspnet: DefaultHubLifetimeManager`).
    Groups(Vec<Box<str>>),
    User(Box<str>),
    /// Each user once, however often named.
    Users(SortedSet<Box<str>>),
}

/// Each element once, in order: thousands that a hub names are found as fast as the one caller that it leaves out.
#[derive(Clone, Debug)]
pub(crate) struct SortedSet<T>(Vec<T>);

impl<T: Ord> SortedSet<T> {
    pub(super) const fn empty() -> Self {
        Self(Vec::new())
    }

    pub(super) fn contains(&self, element: &T) -> bool {
        self.0.binary_search(element).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Ord> FromIterator<T> for SortedSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }
}
