//! Payloads that are encoded and parsed stay the same.

use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", (0_usize..70_000).prop_map(|length| "x".repeat(length))]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(".{0,30}", 0..20)
}

fn slices(texts: &[String]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn invocations_are_parsed_as_they_were_encoded(
        excluded in texts(),
        messages in prop::collection::vec((".{0,40}", prop::collection::vec(any::<u8>(), 0..400)), 0..20),
        result in prop::option::of((".{0,30}", text())),
    ) {
        let invocation = Invocation {
            excluded: slices(&excluded),
            messages: messages.iter().map(|(name, message)| (&**name, &**message)).collect(),
            result: result.as_ref().map(|(id, channel)| (&**id, &**channel)),
        };
        let payload = invocation.encode();
        prop_assert_eq!(Invocation::parse(&payload), Ok(invocation));
    }

    #[test]
    fn group_commands_are_parsed_as_they_were_encoded(
        id: i32, server in ".{0,300}", adds: bool, group in text(), connection in ".{0,40}",
    ) {
        let action = if adds { GroupAction::Add } else { GroupAction::Remove };
        let command = GroupCommand { id, server: &server, action, group: &group, connection: &connection };
        let payload = command.encode();
        prop_assert_eq!(GroupCommand::parse(&payload), Ok(command));
    }

    #[test]
    fn completions_are_parsed_as_they_were_encoded(
        protocol in ".{0,40}", byte: u8, length in 0_usize..70_000,
    ) {
        let message = vec![byte; length];
        let completion = Completion { protocol: &protocol, message: &message };
        let payload = completion.encode();
        prop_assert_eq!(Completion::parse(&payload), Ok(completion));
    }

    #[test]
    fn queries_are_parsed_as_they_were_encoded(
        id: i32, server in ".{0,300}", name in text(), kind in 0..5, audience in 0..4, excluded in texts(),
        reason in prop::option::of(text()), allow_reconnect: bool,
    ) {
        let audience = match audience {
            0 => DisconnectAudience::All,
            1 => DisconnectAudience::Connection(&name),
            2 => DisconnectAudience::Group(&name),
            _ => DisconnectAudience::User(&name),
        };
        let kind = match kind {
            0 => ClusterQueryKind::UserConnections(&name),
            1 => ClusterQueryKind::GroupMembers(&name),
            2 => ClusterQueryKind::ConnectionCount,
            3 => ClusterQueryKind::GroupMemberCount(&name),
            _ => ClusterQueryKind::Disconnect {
                audience, excluded: slices(&excluded), reason: reason.as_deref(), allow_reconnect,
            },
        };
        let query = ClusterQuery { id, server: &server, kind };
        let payload = query.encode();
        prop_assert_eq!(ClusterQuery::parse(&payload), Ok(query));
    }

    #[test]
    fn replies_are_acknowledgements(id: i32, ids in texts(), count: u64) {
        prop_assert_eq!(Ack::parse(&Ack { id }.encode()), Ok(Ack { id }));
        for reply in [ClusterReply::Connections(slices(&ids)), ClusterReply::Count(count)] {
            let payload = reply.encode(id);
            prop_assert_eq!(Ack::parse(&payload), Ok(Ack { id }));
            prop_assert_eq!(ClusterReply::parse(&payload), Ok(reply));
        }
    }
}
