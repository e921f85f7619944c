//! Selection of the connections that receive a message.

use crate::connection_info::ConnectionId;

/// A selection of connections (C#: the properties and methods of `IHubClients`).
#[derive(Clone, Debug)]
pub(crate) enum Audience {
    All,
    AllExcept(SortedSet<ConnectionId>),
    Connection(ConnectionId),
    /// A text that is not the id of any connection.
    Unknown(Box<str>),
    /// Each connection once, even if an id was listed twice.
    Connections(SortedSet<ConnectionId>),
    Group(Box<str>),
    GroupExcept(Box<str>, SortedSet<ConnectionId>),
    /// A member of two of these groups receives the message twice (`aspnet:
    /// DefaultHubLifetimeManager`).
    Groups(Vec<Box<str>>),
    User(Box<str>),
    /// Each user once, even if an id was listed twice.
    Users(SortedSet<Box<str>>),
}

/// Sorted elements without duplicates. Lookup is a binary search, so that excluding thousands of
/// connections stays cheap.
#[derive(Clone, Debug)]
pub(crate) struct SortedSet<T>(Vec<T>);

impl<T: Ord> SortedSet<T> {
    pub(crate) const fn empty() -> Self {
        Self(Vec::new())
    }

    pub(super) fn contains(&self, element: &T) -> bool {
        self.0.binary_search(element).is_ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
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
