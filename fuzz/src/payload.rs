//! Payloads that servers exchange through a backplane.

use self::wire::{
    Ack, ClusterQuery, ClusterQueryKind, ClusterReply, Completion, GroupCommand, Invocation, PayloadError,
};

/// The module is private in the crate, and uses nothing else of it.
#[path = "../../src/cluster/payload/mod.rs"]
mod wire;

/// Reads the input as each kind of payload. Checks that a payload which is parsed, encoded and
/// parsed again stays the same, with a further item and without its last byte, and that the memory
/// of its lists is linear in its size.
pub fn run(bytes: &[u8]) {
    for rewrite in REWRITES {
        let Ok(written) = rewrite(bytes) else { continue };
        assert!(written.len() <= bytes.len(), "a longer form: {}", written.escape_ascii());
        assert_eq!(rewrite(&written).as_ref(), Ok(&written));
        assert!(rewrite(&written[..written.len() - 1]).is_err(), "truncated: {}", written.escape_ascii());
        let mut longer = written.clone();
        longer[0] += 1;
        longer.push(NIL);
        assert_eq!(rewrite(&longer), Ok(written));
    }
    let texts = match (ClusterReply::parse(bytes), ClusterQuery::parse(bytes)) {
        (Ok(ClusterReply::Connections(ids)), _) => ids.capacity(),
        (_, Ok(ClusterQuery { kind: ClusterQueryKind::Disconnect { excluded, .. }, .. })) => excluded.capacity(),
        _ => 0,
    };
    assert!(texts * size_of::<&str>() <= 16 * bytes.len());
    if let Ok(invocation) = Invocation::parse(bytes) {
        check_invocation(&invocation, bytes);
    }
}

/// Checks that an invocation borrows its messages, and that its lists are small.
fn check_invocation(invocation: &Invocation<'_>, bytes: &[u8]) {
    let Invocation { excluded, messages, .. } = invocation;
    let lists = excluded.capacity() * size_of::<&str>() + messages.capacity() * size_of::<(&str, &[u8])>();
    assert!(lists <= 16 * bytes.len(), "{lists} bytes");
    for (name, message) in messages {
        assert!(message.is_empty() || bytes.as_ptr_range().contains(&message.as_ptr()), "{name} is a copy");
    }
    if let [(name, message), ..] = messages[..] {
        assert_eq!(invocation.message(name), Some(message), "the first message of a name counts");
    }
}

/// Parses a payload of each kind and encodes it again.
const REWRITES: [fn(&[u8]) -> Result<Vec<u8>, PayloadError>; 6] = [
    |payload| Invocation::parse(payload).map(|invocation| invocation.encode()),
    |payload| GroupCommand::parse(payload).map(|command| command.encode()),
    |payload| Ack::parse(payload).map(Ack::encode),
    |payload| Completion::parse(payload).map(|completion| completion.encode()),
    |payload| ClusterQuery::parse(payload).map(|query| query.encode()),
    |payload| ClusterReply::parse(payload).and_then(|reply| Ok(reply.encode(Ack::parse(payload)?.id))),
];

const NIL: u8 = 0xc0;
