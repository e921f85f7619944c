//! Payloads that two ASP.NET Core servers published.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::malformed_input::read_all;
use super::*;
use crate::protocol::{Framer, HubMessage, HubProtocol, HubProtocolKind, Naming};

struct Publish {
    channel: String,
    payload: Vec<u8>,
}

impl Publish {
    fn kind(&self) -> Kind {
        let (_hub, rest) = self.channel.split_once(':').unwrap();
        match rest.split(':').collect::<Vec<_>>()[..] {
            ["internal", "groups"] => Kind::GroupCommand,
            ["internal", "ack", _server] => Kind::Ack,
            ["internal", "return", _server] => Kind::Completion,
            ["all"] | ["group" | "user" | "connection", ..] => Kind::Invocation,
            _ => panic!("unknown channel {}", self.channel),
        }
    }
}

static PUBLISHES: LazyLock<Vec<Publish>> = LazyLock::new(|| {
    let recorded = fixture("backplane/recorded.json");
    let publishes = recorded.as_object().unwrap().values().flat_map(|check| check.as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    publishes
        .map(|publish| Publish {
            channel: text(&publish["channel"]),
            payload: BASE64_STANDARD.decode(text(&publish["payload"])).unwrap(),
        })
        .collect()
});

/// Returns the publishes with payloads of a kind.
fn publishes_of(kind: Kind) -> impl Iterator<Item = &'static Publish> {
    PUBLISHES.iter().filter(move |publish| publish.kind() == kind)
}

fn framed(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Checks that `framed` is exactly one message, and removes its framing.
fn unframed(kind: HubProtocolKind, mut framed: &[u8]) -> Vec<u8> {
    let message = Framer::new(kind, None).next(&mut framed).unwrap().unwrap().to_vec();
    assert!(framed.is_empty());
    message
}

#[test]
fn recorded_payloads_are_encoded_as_they_were_parsed() {
    for publish in &*PUBLISHES {
        assert_eq!(publish.kind().rewrite(&publish.payload), Ok(publish.payload.clone()), "{}", publish.channel);
    }
    for kind in [Kind::Invocation, Kind::GroupCommand, Kind::Ack, Kind::Completion] {
        let count = publishes_of(kind).count();
        assert!(count > 5, "{count} payloads of the kind {kind:?}");
    }
}

#[test]
fn recorded_invocations_name_their_hub_protocols_and_return_channels() {
    let mut results = 0;
    for publish in publishes_of(Kind::Invocation) {
        let invocation = Invocation::parse(&publish.payload).unwrap();
        let names: Vec<_> = invocation.messages.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["json", "messagepack"]);
        let json: Value = serde_json::from_slice(&unframed(HubProtocolKind::Json, invocation.messages[0].1)).unwrap();
        assert_eq!(invocation.result.map(|(id, _)| id), json["invocationId"].as_str());
        if let Some((_, channel)) = invocation.result {
            let (hub, _) = publish.channel.split_once(':').unwrap();
            assert!(channel.starts_with(&format!("{hub}:internal:return:")), "{channel}");
            results += 1;
        }
    }
    assert!(results > 5, "{results} client results");
}

#[test]
fn recorded_invocations_are_those_that_the_hub_protocols_write() {
    for publish in publishes_of(Kind::Invocation) {
        let invocation = Invocation::parse(&publish.payload).unwrap();
        let json = unframed(HubProtocolKind::Json, invocation.message("json").unwrap());
        let json: Value = serde_json::from_slice(&json).unwrap();
        let (id, target) = (json["invocationId"].as_str(), json["target"].as_str().unwrap());
        let arguments = json["arguments"].as_array().unwrap();
        for &kind in HubProtocolKind::ALL {
            let protocol = HubProtocol::new(kind, Naming::DotNet);
            let written = framed(|out| protocol.write_invocation(out, id, target, arguments).unwrap());
            let recorded = invocation.message(kind.name()).unwrap();
            assert_eq!(written, recorded, "{} is not {}", written.escape_ascii(), recorded.escape_ascii());
        }
    }
}

/// A server relays the completion of a client without knowing its type.
#[test]
fn recorded_completions_are_those_that_the_hub_protocols_relay() {
    let mut results = 0;
    for publish in publishes_of(Kind::Completion) {
        let completion = Completion::parse(&publish.payload).unwrap();
        let Some(kind) = HubProtocolKind::from_name(completion.protocol) else { continue };
        let protocol = HubProtocol::new(kind, Naming::DotNet);
        let message = unframed(kind, completion.message);
        let Ok(Some(HubMessage::Completion { id, result, error })) = protocol.parse(&message, |_| false) else {
            panic!("{} is not a completion", message.escape_ascii());
        };
        results += usize::from(result.is_some());
        let written = framed(|out| match (&result, &error) {
            (Some(result), None) => protocol.write_raw_result(out, &id, result.as_bytes()),
            (None, Some(error)) => protocol.write_error(out, &id, error),
            _ => panic!("{result:?} {error:?}"),
        });
        assert_eq!(written, completion.message, "{} is not {}", written.escape_ascii(), message.escape_ascii());
    }
    assert!(results > 2, "{results} results");
}

#[test]
fn truncated_recorded_payloads_are_errors() {
    for publish in &*PUBLISHES {
        for end in 0..publish.payload.len() {
            let read = publish.kind().rewrite(&publish.payload[..end]);
            assert!(read.is_err(), "{end} of {} bytes: {read:?}", publish.payload.len());
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn mutated_recorded_payloads_cause_no_panic_and_need_linear_memory(
        publish: Index,
        mutations in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>(), 0..4), 1..4),
    ) {
        let mut payload = publish.get(&PUBLISHES).payload.clone();
        for (at, end, byte, mutation) in mutations {
            if payload.is_empty() {
                break;
            }
            let at = at.index(payload.len());
            let end = at + end.index(payload.len() - at);
            match mutation {
                0 => payload[at] = byte,
                1 => payload.insert(at, byte),
                2 => drop(payload.drain(at..end)),
                _ => payload.extend_from_within(at..end),
            }
        }
        read_all(&payload);
    }
}
