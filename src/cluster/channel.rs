//! Names of the channels of a hub, which ASP.NET Core's servers use, too (`aspnet:
//! RedisChannels.cs`).

/// A channel of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel<'a> {
    /// Messages for all connections.
    All,
    Connection(&'a str),
    Group(&'a str),
    User(&'a str),
    /// Changes of groups of connections, which another server requests.
    GroupCommands,
    /// Acknowledgements for a server, by its name.
    Acks(&'a str),
    /// Client results for a server, by its name.
    Results(&'a str),
    /// Queries of servers of this crate. ASP.NET Core's do not subscribe to it.
    Queries,
}

impl<'a> Channel<'a> {
    /// Returns the name of the channel of a hub.
    pub(super) fn name(self, hub: &str) -> String {
        let (kind, name) = match self {
            Self::All => ("all", ""),
            Self::Connection(id) => ("connection:", id),
            Self::Group(name) => ("group:", name),
            Self::User(id) => ("user:", id),
            Self::GroupCommands => ("internal:groups", ""),
            Self::Acks(server) => ("internal:ack:", server),
            Self::Results(server) => ("internal:return:", server),
            Self::Queries => ("internal:cluster", ""),
        };
        format!("{hub}:{kind}{name}")
    }

    /// Parses the name of a channel of `hub`.
    pub(super) fn parse(name: &'a str, hub: &str) -> Option<Self> {
        let (kind, name) = match name.strip_prefix(hub)?.strip_prefix(':')? {
            "all" => return Some(Self::All),
            "internal:groups" => return Some(Self::GroupCommands),
            "internal:cluster" => return Some(Self::Queries),
            rest => rest.split_once(':')?,
        };
        match kind {
            "connection" => Some(Self::Connection(name)),
            "group" => Some(Self::Group(name)),
            "user" => Some(Self::User(name)),
            "internal" => match name.split_once(':')? {
                ("ack", server) => Some(Self::Acks(server)),
                ("return", server) => Some(Self::Results(server)),
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_the_names_of_aspnet_core() {
        let channels = [
            (Channel::All, "Chat:all"),
            (Channel::Connection("a"), "Chat:connection:a"),
            (Channel::Group("room: 1"), "Chat:group:room: 1"),
            (Channel::Group(""), "Chat:group:"),
            (Channel::User("u"), "Chat:user:u"),
            (Channel::GroupCommands, "Chat:internal:groups"),
            (Channel::Acks("vm_1"), "Chat:internal:ack:vm_1"),
            (Channel::Results("vm_1"), "Chat:internal:return:vm_1"),
            (Channel::Queries, "Chat:internal:cluster"),
        ];
        for (channel, name) in channels {
            assert_eq!(channel.name("Chat"), name);
            assert_eq!(Channel::parse(name, "Chat"), Some(channel));
        }
        for name in ["Chat", "Chat:", "Chat:other", "Chat:other:a", "Chats:all", "Chat:internal:other:a", "Cha"] {
            assert_eq!(Channel::parse(name, "Chat"), None, "{name}");
        }
    }
}
