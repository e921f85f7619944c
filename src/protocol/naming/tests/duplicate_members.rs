//! Members that occur twice.

use serde_json::json;

use super::*;

#[test]
fn last_of_duplicate_json_members_wins() {
    for (wire, expected) in [
        (r#"{"name":"first","NAME":"second","nAmE":"third"}"#, person("third")),
        (r#"{"age":1,"age":2}"#, Person { age: 2, ..Person::default() }),
        (r#"{"name":"a","x":1,"x":2,"tags":["y"],"name":"b","tags":[]}"#, Person { tags: Some(vec![]), ..person("b") }),
        (
            r#"{"friend":{"name":"a","age":1},"friend":{"age":2,"AGE":3}}"#,
            Person { friend: Some(Box::new(Person { age: 3, ..Person::default() })), ..Person::default() },
        ),
    ] {
        let first = read_bytes::<Person>(HubProtocolKind::Json, wire.as_bytes()).unwrap_err();
        assert!(is_duplicate_field(&first), "{first}");
        assert_eq!(read_twice(HubProtocolKind::Json, wire.as_bytes()), Ok(expected), "{wire}");
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn last_of_duplicate_messagepack_members_wins() {
    let wire = b"\x83\xa4Name\xa1a\xa4name\xa1x\xa4Name\xa1b";
    assert!(is_duplicate_field(&read_bytes::<Person>(HubProtocolKind::MessagePack, wire).unwrap_err()));
    assert_eq!(read_twice(HubProtocolKind::MessagePack, wire), Ok(person("b")));
}

#[test]
fn last_of_duplicate_members_wins_in_struct_variants() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Shape {
        Named { some_field: u8 },
    }
    let wire = br#"[{"Named":{"someField":1,"somefield":2}}]"#;
    assert_eq!(read_twice(HubProtocolKind::Json, wire), Ok(vec![Shape::Named { some_field: 2 }]));
}

#[test]
fn other_errors_are_not_duplicate_field_errors() {
    for wire in [r#"{"age":"x"}"#, r#"{"name":"duplicate"#, "[]", r#"{"favourite":9}"#] {
        assert!(
            !is_duplicate_field(&read_bytes::<Person>(HubProtocolKind::Json, wire.as_bytes()).unwrap_err()),
            "{wire}"
        );
    }
}

#[test]
fn second_attempt_rejects_invalid_values() {
    for wire in [
        r#"{"age":1,"age":"x"}"#,
        r#"{"age":1,"age":1.5}"#,
        r#"{"age":1,"age":2,}"#,
        r#"{"age":1,"age":2147483648}"#,
        r#"{"age":1,"age":2,"favourite":"Red"}"#,
        r#"{"age":1,"age":2,"tags":[1]}"#,
    ] {
        assert!(read_twice::<Person>(HubProtocolKind::Json, wire.as_bytes()).is_err(), "{wire}");
    }
}

#[test]
fn claimed_lengths_and_depths_are_not_trusted() {
    let deep = "[".repeat(100_000);
    assert!(read_buffered::<Value>(HubProtocolKind::Json, deep.as_bytes()).is_err());
    #[cfg(feature = "messagepack")]
    {
        assert!(read_buffered::<Vec<u8>>(HubProtocolKind::MessagePack, b"\xdd\xff\xff\xff\xff\x01").is_err());
        assert!(read_buffered::<Person>(HubProtocolKind::MessagePack, b"\xdf\xff\xff\xff\xff\x01").is_err());
        let deep = [0x91].repeat(100_000);
        assert!(read_buffered::<Value>(HubProtocolKind::MessagePack, &deep).is_err());
    }
}

#[test]
fn surplus_elements_are_rejected() {
    for &format in FORMATS {
        let wire = encode(format, &json!([1, 2, 3]));
        assert!(read_buffered::<(u8, u8)>(format, &wire).is_err());
        assert_eq!(read_buffered::<(u8, u8, u8)>(format, &wire), Ok((1, 2, 3)));
    }
}
