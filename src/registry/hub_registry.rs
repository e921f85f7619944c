//! Sharded maps of the connections, groups and users of a hub type.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::audience::{Audience, SortedSet};
use super::client_results::PendingClientResults;
use super::handle::ConnectionHandle;
use crate::connection_info::ConnectionId;
use crate::protocol::HubProtocolKind;

/// More shards than most machines have cores, so that concurrent joins rarely contend.
const SHARDS: usize = 16;

type Connections = HashMap<ConnectionId, Arc<ConnectionHandle>>;
type ConnectionsByName = HashMap<Box<str>, Connections>;

/// Connections of one hub type, for all paths that it is mapped to.
///
/// The locks guard lookups and the enqueueing of encoded messages. No message is encoded and no
/// code of a hub runs under them. An outbound queue can be locked by a task that writes it to its
/// socket, so a shard can be locked as long as that write takes; readers of a shard do not block
/// each other.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    hasher: RandomState,
    connections: [RwLock<Connections>; SHARDS],
    groups: [RwLock<ConnectionsByName>; SHARDS],
    users: [RwLock<ConnectionsByName>; SHARDS],
    /// Number of connections for each hub protocol, so that a broadcast is encoded only for
    /// protocols in use.
    protocol_counts: [AtomicUsize; HubProtocolKind::ALL.len()],
    /// Client results for which the server waits.
    pub(crate) results: Arc<PendingClientResults>,
}

impl Registry {
    pub(crate) fn add(&self, connection: &Arc<ConnectionHandle>) {
        self.protocol_count(connection).fetch_add(1, Ordering::AcqRel);
        if let Some(user) = &connection.user_id {
            write(self.shard(&self.users, user))
                .entry(user.clone())
                .or_default()
                .insert(connection.id, connection.clone());
        }
        write(self.shard(&self.connections, &connection.id)).insert(connection.id, Arc::clone(connection));
    }

    /// Removes the connection, including its group memberships. Returns the groups that it was a
    /// member of.
    pub(crate) fn remove(&self, connection: &ConnectionHandle) -> HashSet<Box<str>> {
        let mut groups = lock(&connection.groups);
        groups.closed = true;
        let names = std::mem::take(&mut groups.names);
        drop(groups);
        for name in &names {
            remove_member(&mut write(self.shard(&self.groups, name)), name, connection.id);
        }
        if let Some(user) = &connection.user_id {
            remove_member(&mut write(self.shard(&self.users, user)), user, connection.id);
        }
        if write(self.shard(&self.connections, &connection.id)).remove(&connection.id).is_some() {
            self.protocol_count(connection).fetch_sub(1, Ordering::AcqRel);
        }
        names
    }

    pub(crate) fn get(&self, id: &ConnectionId) -> Option<Arc<ConnectionHandle>> {
        read(self.shard(&self.connections, id)).get(id).cloned()
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.iter().map(|shard| read(shard).len()).sum()
    }

    /// Returns the number of users with at least one connection.
    pub(crate) fn user_count(&self) -> usize {
        self.users.iter().map(|shard| read(shard).len()).sum()
    }

    /// Returns the number of groups with at least one member.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.iter().map(|shard| read(shard).len()).sum()
    }

    /// Adds a connection to a group, unless the connection has ended (`aspnet:
    /// DefaultHubLifetimeManager.AddToGroupAsync`). Returns whether it was not a member before.
    pub(crate) fn join(&self, connection: &Arc<ConnectionHandle>, group: &str) -> bool {
        let mut groups = lock(&connection.groups);
        if groups.closed || groups.names.contains(group) {
            return false;
        }
        groups.names.insert(group.into());
        // The groups of the connection stay locked, so that a concurrent `remove` sees either both
        // entries or none.
        let mut shard = write(self.shard(&self.groups, group));
        shard.entry(group.into()).or_default().insert(connection.id, Arc::clone(connection));
        true
    }

    pub(crate) fn leave(&self, connection: &ConnectionHandle, group: &str) {
        let mut groups = lock(&connection.groups);
        if groups.names.remove(group) {
            remove_member(&mut write(self.shard(&self.groups, group)), group, connection.id);
        }
    }

    /// Returns whether a user has connections.
    pub(crate) fn has_user(&self, user: &str) -> bool {
        read(self.shard(&self.users, user)).contains_key(user)
    }

    /// Returns the groups of a connection.
    pub(crate) fn groups_of(&self, connection: &ConnectionHandle) -> Vec<String> {
        lock(&connection.groups).names.iter().map(|name| name.to_string()).collect()
    }

    pub(crate) fn is_member(&self, connection: &ConnectionHandle, group: &str) -> bool {
        lock(&connection.groups).names.contains(group)
    }

    pub(crate) fn member_count(&self, group: &str) -> usize {
        read(self.shard(&self.groups, group)).get(group).map_or(0, HashMap::len)
    }

    /// Returns the ids of all connections of `audience`.
    pub(crate) fn ids_of(&self, audience: &Audience) -> Vec<ConnectionId> {
        let mut ids = Vec::new();
        self.for_each(audience, |connection| ids.push(connection.id));
        ids
    }

    /// Calls `visit` for every connection of `audience`, under the locks of its shards.
    pub(crate) fn for_each(&self, audience: &Audience, mut visit: impl FnMut(&Arc<ConnectionHandle>)) {
        let visit_id = |id: &ConnectionId, visit: &mut dyn FnMut(&Arc<ConnectionHandle>)| {
            if let Some(connection) = read(self.shard(&self.connections, id)).get(id) {
                visit(connection);
            }
        };
        let none = SortedSet::empty();
        match audience {
            Audience::All => self.for_each_except(&none, visit),
            Audience::AllExcept(but) => self.for_each_except(but, visit),
            Audience::Connection(id) => visit_id(id, &mut visit),
            Audience::Unknown(_) => {}
            Audience::Connections(ids) => ids.iter().for_each(|id| visit_id(id, &mut visit)),
            Audience::Group(name) => self.for_each_named(&self.groups, name, &none, &mut visit),
            Audience::GroupExcept(name, but) => self.for_each_named(&self.groups, name, but, &mut visit),
            Audience::Groups(names) => {
                names.iter().for_each(|name| self.for_each_named(&self.groups, name, &none, &mut visit));
            }
            Audience::User(id) => self.for_each_named(&self.users, id, &none, &mut visit),
            Audience::Users(ids) => {
                ids.iter().for_each(|id| self.for_each_named(&self.users, id, &none, &mut visit));
            }
        }
    }

    /// Returns the hub protocols of the connections in `audience`.
    pub(crate) fn protocols_of(&self, audience: &Audience) -> impl Iterator<Item = HubProtocolKind> {
        let mut in_use = [false; HubProtocolKind::ALL.len()];
        if let Audience::All = audience {
            in_use = std::array::from_fn(|at| self.protocol_counts[at].load(Ordering::Acquire) > 0);
        } else {
            self.for_each(audience, |connection| in_use[protocol_index(connection.protocol.kind())] = true);
        }
        HubProtocolKind::ALL.iter().zip(in_use).filter(|(_, in_use)| *in_use).map(|(kind, _)| *kind)
    }

    fn for_each_except(&self, but: &SortedSet<ConnectionId>, mut visit: impl FnMut(&Arc<ConnectionHandle>)) {
        for shard in &self.connections {
            read(shard).values().filter(|connection| !but.contains(&connection.id)).for_each(&mut visit);
        }
    }

    fn for_each_named(
        &self,
        shards: &[RwLock<ConnectionsByName>; SHARDS],
        name: &str,
        but: &SortedSet<ConnectionId>,
        visit: &mut dyn FnMut(&Arc<ConnectionHandle>),
    ) {
        if let Some(members) = read(self.shard(shards, name)).get(name) {
            members.values().filter(|connection| !but.contains(&connection.id)).for_each(visit);
        }
    }

    fn protocol_count(&self, connection: &ConnectionHandle) -> &AtomicUsize {
        &self.protocol_counts[protocol_index(connection.protocol.kind())]
    }

    fn shard<'a, T, K: Hash + ?Sized>(&self, shards: &'a [RwLock<T>; SHARDS], key: &K) -> &'a RwLock<T> {
        #[expect(clippy::cast_possible_truncation, reason = "every bit of the hash is equally suitable")]
        let hash = self.hasher.hash_one(key) as usize;
        &shards[hash % SHARDS]
    }
}

/// Returns the index of a hub protocol in an array with one element for each.
pub(super) fn protocol_index(kind: HubProtocolKind) -> usize {
    HubProtocolKind::ALL.iter().position(|other| *other == kind).expect("`ALL` contains every kind")
}

/// Removes a member, and the group or user if it was the last.
fn remove_member(names: &mut ConnectionsByName, name: &str, id: ConnectionId) {
    if let Entry::Occupied(mut members) = names.entry(name.into()) {
        members.get_mut().remove(&id);
        if members.get().is_empty() {
            members.remove();
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(shard: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    shard.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(shard: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    shard.write().unwrap_or_else(PoisonError::into_inner)
}
