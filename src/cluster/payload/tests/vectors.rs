//! Vectors of ASP.NET Core's tests: each payload is read and written as there.

use serde_json::Value;

use super::*;

fn vectors(kind: &str) -> Vec<Value> {
    let vectors = fixture("vectors.json")["redis"][kind].as_array().unwrap().clone();
    assert!(!vectors.is_empty());
    vectors
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn unhex(hex: &Value) -> Vec<u8> {
    let digits = text(hex).as_bytes().chunks(2);
    digits.map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap()).collect()
}

#[test]
fn acknowledgements_are_those_of_aspnet() {
    for vector in vectors("ack") {
        let (bytes, ack) = (unhex(&vector["hex"]), Ack { id: vector["id"].as_i64().unwrap().try_into().unwrap() });
        assert_eq!((ack.encode(), Ack::parse(&bytes)), (bytes.clone(), Ok(ack)));
    }
}

#[test]
fn group_commands_are_those_of_aspnet() {
    for vector in vectors("group_command") {
        let (bytes, command) = (unhex(&vector["hex"]), &vector["command"]);
        let command = GroupCommand {
            id: command["id"].as_i64().unwrap().try_into().unwrap(),
            server: text(&command["serverName"]),
            action: match text(&command["action"]) {
                "Add" => GroupAction::Add,
                "Remove" => GroupAction::Remove,
                other => panic!("{other}"),
            },
            group: text(&command["groupName"]),
            connection: text(&command["connectionId"]),
        };
        assert_eq!((command.encode(), GroupCommand::parse(&bytes)), (bytes.clone(), Ok(command)));
    }
}

#[test]
fn invocations_are_those_of_aspnet() {
    for vector in vectors("invocation") {
        let bytes = unhex(&vector["hex"]);
        let blobs = vector["protocol_blobs"].as_object().unwrap();
        let blobs: Vec<_> = blobs.iter().map(|(name, blob)| (name, unhex(blob))).collect();
        let invocation = Invocation {
            excluded: vector["excludedConnectionIds"].as_array().into_iter().flatten().map(text).collect(),
            messages: blobs.iter().map(|(name, blob)| (&***name, &**blob)).collect(),
            result: None,
        };
        assert_eq!((invocation.encode(), Invocation::parse(&bytes)), (bytes.clone(), Ok(invocation.clone())));
        for (name, blob) in &blobs {
            assert_eq!(invocation.message(name), Some(&**blob));
        }
    }
}

#[test]
fn completions_are_those_of_aspnet() {
    for vector in vectors("completion") {
        let (bytes, message) = (unhex(&vector["hex"]), unhex(&vector["completion_hex"]));
        let completion = Completion { protocol: text(&vector["protocolName"]), message: &message };
        assert_eq!((completion.encode(), Completion::parse(&bytes)), (bytes.clone(), Ok(completion)));
    }
}
