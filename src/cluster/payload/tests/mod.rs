//! Tests of payloads: vectors and a recording of ASP.NET Core, malformed input, round trips.

mod malformed_input;
mod recorded;
mod round_trip;
mod vectors;

use std::fs;

use serde_json::Value;

use super::*;

/// The kinds of payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invocation,
    GroupCommand,
    Ack,
    Completion,
    Query,
    Reply,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Invocation, Self::GroupCommand, Self::Ack, Self::Completion, Self::Query, Self::Reply];

    /// Parses a payload and encodes it again.
    fn rewrite(self, payload: &[u8]) -> Result<Vec<u8>, PayloadError> {
        Ok(match self {
            Self::Invocation => Invocation::parse(payload)?.encode(),
            Self::GroupCommand => GroupCommand::parse(payload)?.encode(),
            Self::Ack => Ack::parse(payload)?.encode(),
            Self::Completion => Completion::parse(payload)?.encode(),
            Self::Query => ClusterQuery::parse(payload)?.encode(),
            Self::Reply => ClusterReply::parse(payload)?.encode(Ack::parse(payload)?.id),
        })
    }
}

/// Configuration of property tests.
fn cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases: 1000, failure_persistence: None, ..Default::default() }
}

/// Reads a file of `fixtures`.
fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Payloads of this crate's own kinds, and an invocation with a client result.
fn samples() -> Vec<(Kind, Vec<u8>)> {
    let query = |kind| (Kind::Query, ClusterQuery { id: 7, server: "vm_1", kind }.encode());
    let disconnect = |audience, excluded, reason, allow_reconnect| {
        query(ClusterQueryKind::Disconnect { audience, excluded, reason, allow_reconnect })
    };
    let invocation = Invocation {
        excluded: vec!["a", "b"],
        messages: vec![("json", b"{}\x1e"), ("messagepack", b"\x02\x91\x06")],
        result: Some(("1", "Chat:internal:return:vm_1")),
    };
    vec![
        (Kind::Invocation, invocation.encode()),
        query(ClusterQueryKind::UserConnections("u")),
        query(ClusterQueryKind::GroupMembers("room 1")),
        query(ClusterQueryKind::ConnectionCount),
        query(ClusterQueryKind::GroupMemberCount("room 1")),
        disconnect(DisconnectAudience::All, vec!["a", "b"], Some("bye"), true),
        disconnect(DisconnectAudience::Connection("a"), vec![], None, false),
        disconnect(DisconnectAudience::Group("room 1"), vec!["a"], None, true),
        disconnect(DisconnectAudience::User("u"), vec![], Some(""), false),
        (Kind::Reply, ClusterReply::Connections(vec!["a", "b"]).encode(7)),
        (Kind::Reply, ClusterReply::Count(300).encode(-7)),
    ]
}
