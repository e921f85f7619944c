//! Fields of structs.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::protocol::naming::name_cache;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Names {
    string_prop: u8,
    #[serde(rename = "ID")]
    id: u8,
    #[serde(rename = "URLValue")]
    url: u8,
    #[serde(rename = "camelCase")]
    camel: u8,
    #[serde(rename = "$type")]
    literal: u8,
    r#type: u8,
}

#[test]
fn field_names_have_the_casing_of_each_protocol() {
    let names = Names { string_prop: 1, id: 2, url: 3, camel: 4, literal: 5, r#type: 6 };
    let json = json!({ "stringProp": 1, "id": 2, "urlValue": 3, "camelCase": 4, "$type": 5, "type": 6 });
    there_and_back(HubProtocolKind::Json, &names, &json);
    #[cfg(feature = "messagepack")]
    there_and_back(
        HubProtocolKind::MessagePack,
        &names,
        &json!({ "StringProp": 1, "ID": 2, "URLValue": 3, "CamelCase": 4, "$type": 5, "Type": 6 }),
    );
}

#[test]
fn fields_keep_their_order() {
    let text = String::from_utf8(bytes(HubProtocolKind::Json, &person("Ann"))).unwrap();
    assert_eq!(text, r#"{"name":"Ann","age":0,"favourite":0,"homeTown":"","tags":null,"friend":null}"#);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    a_b: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair<T>(T, T);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Empty,
    One(Inner),
    Two(u8, Inner),
    Named { first_leaf: Inner, second: Option<Inner> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everywhere {
    one_option: Option<Inner>,
    no_option: Option<Inner>,
    in_list: Vec<Inner>,
    in_map: BTreeMap<String, Inner>,
    in_tuple: (u8, Inner),
    in_newtype: Newtype<Inner>,
    in_pair: Pair<Inner>,
    in_box: Box<Newtype<Option<Vec<Inner>>>>,
    in_variants: Vec<Shape>,
    in_result: Result<Inner, Inner>,
}

fn everywhere() -> Everywhere {
    let inner = |a_b| Inner { a_b };
    Everywhere {
        one_option: Some(inner(1)),
        no_option: None,
        in_list: vec![inner(2), inner(3)],
        in_map: BTreeMap::from([("a_b".to_owned(), inner(4)), ("A_B".to_owned(), inner(5))]),
        in_tuple: (6, inner(7)),
        in_newtype: Newtype(inner(8)),
        in_pair: Pair(inner(9), inner(10)),
        in_box: Box::new(Newtype(Some(vec![inner(11)]))),
        in_variants: vec![
            Shape::One(inner(12)),
            Shape::Two(13, inner(14)),
            Shape::Named { first_leaf: inner(15), second: None },
        ],
        in_result: Err(inner(16)),
    }
}

#[test]
fn fields_of_nested_structs_are_renamed_at_every_position() {
    // `a_b` is `AB` in C#, whose camel case is `ab`.
    let json = json!({
        "oneOption": { "ab": 1 },
        "noOption": null,
        "inList": [{ "ab": 2 }, { "ab": 3 }],
        "inMap": { "a_b": { "ab": 4 }, "A_B": { "ab": 5 } },
        "inTuple": [6, { "ab": 7 }],
        "inNewtype": { "ab": 8 },
        "inPair": [{ "ab": 9 }, { "ab": 10 }],
        "inBox": [{ "ab": 11 }],
        "inVariants": [
            { "One": { "ab": 12 } },
            { "Two": [13, { "ab": 14 }] },
            { "Named": { "firstLeaf": { "ab": 15 }, "second": null } },
        ],
        "inResult": { "Err": { "ab": 16 } },
    });
    there_and_back(HubProtocolKind::Json, &everywhere(), &json);
    #[cfg(feature = "messagepack")]
    there_and_back(
        HubProtocolKind::MessagePack,
        &everywhere(),
        &json!({
            "OneOption": { "AB": 1 },
            "NoOption": null,
            "InList": [{ "AB": 2 }, { "AB": 3 }],
            "InMap": { "a_b": { "AB": 4 }, "A_B": { "AB": 5 } },
            "InTuple": [6, { "AB": 7 }],
            "InNewtype": { "AB": 8 },
            "InPair": [{ "AB": 9 }, { "AB": 10 }],
            "InBox": [{ "AB": 11 }],
            "InVariants": [
                { "One": { "AB": 12 } },
                { "Two": [13, { "AB": 14 }] },
                { "Named": { "FirstLeaf": { "AB": 15 }, "Second": null } },
            ],
            "InResult": { "Err": { "AB": 16 } },
        }),
    );
}

#[test]
fn json_field_names_are_read_in_any_case() {
    for name in ["homeTown", "HomeTown", "HOMETOWN", "hometown", "hOMEtOWN"] {
        let read: Person = read(HubProtocolKind::Json, &json!({ name: "Bergen" })).unwrap();
        assert_eq!(read.home_town, "Bergen", "{name}");
    }
    let friend: Person = read(HubProtocolKind::Json, &json!({ "FRIEND": { "friend": { "AGE": 4 } } })).unwrap();
    assert_eq!(friend.friend.unwrap().friend.unwrap().age, 4);
    let named: Shape = read(HubProtocolKind::Json, &json!({ "Named": { "FIRSTLEAF": { "AB": 1 } } })).unwrap();
    assert_eq!(named, Shape::Named { first_leaf: Inner { a_b: 1 }, second: None });
}

#[test]
fn escaped_json_field_names_are_read() {
    let read: Person = read_bytes(HubProtocolKind::Json, br#"{"n\u0061me":"escaped"}"#).unwrap();
    assert_eq!(read, person("escaped"));
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack_field_names_are_case_sensitive() {
    let read: Person =
        read(HubProtocolKind::MessagePack, &json!({ "Name": "Ann", "name": "x", "NAME": "y", "homeTown": "z" }))
            .unwrap();
    assert_eq!(read, person("Ann"));
}

#[test]
fn unknown_members_are_skipped() {
    for &format in FORMATS {
        let name = if format == HubProtocolKind::Json { "name" } else { "Name" };
        let wire =
            json!({ "unknown": { "deep": [1, { "x": null }] }, name: "Ann", "names": 1, "home_town": "serde's name" });
        assert_eq!(read(format, &wire), Ok(person("Ann")), "{format:?}");
    }
}

#[test]
fn serde_names_of_fields_are_unknown_members() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        #[serde(default, rename = "home_town")]
        _home_town: String,
    }
    for &format in FORMATS {
        let error = read::<Strict>(format, &json!({ "home_town": "" })).unwrap_err();
        assert!(error.contains("unknown field"), "{error}");
        let error = read::<Strict>(format, &json!({ "elsewhere": "" })).unwrap_err();
        assert!(error.contains("unknown field `elsewhere`"), "{error}");
    }
}

#[test]
fn json_members_with_empty_names_are_skipped() {
    assert_eq!(read(HubProtocolKind::Json, &json!({ "": 1 })), Ok(Person::default()));
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack_field_names_must_be_nonempty_strings() {
    // {"": 1}, {1: 1}, {0: "x"}, {bin "Name": "a"}, {nil: "a"}, {true: 1}, {["Name"]: 1}
    for wire in ["81a001", "810101", "8100a178", "81c4044e616d65a161", "81c0a161", "81c301", "8191a44e616d6501"] {
        let bytes: Vec<u8> =
            (0..wire.len()).step_by(2).map(|at| u8::from_str_radix(&wire[at..at + 2], 16).unwrap()).collect();
        assert!(read_bytes::<Person>(HubProtocolKind::MessagePack, &bytes).is_err(), "{wire}");
    }
}

#[test]
fn structs_are_not_read_from_lists() {
    for &format in FORMATS {
        assert!(read::<Person>(format, &json!(["Ann", 3, 0, "", null, null])).is_err());
        assert!(read::<Shape>(format, &json!({ "Named": [{ "AB": 1 }, null] })).is_err());
        assert!(read::<Person>(format, &json!(null)).is_err());
        assert!(read::<Person>(format, &json!("Ann")).is_err());
    }
}

#[test]
fn field_names_that_differ_only_in_case_are_distinguished() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Close {
        home_town: u8,
        hometown: u8,
    }
    let close = Close { home_town: 1, hometown: 2 };
    there_and_back(HubProtocolKind::Json, &close, &json!({ "homeTown": 1, "hometown": 2 }));
    assert_eq!(read(HubProtocolKind::Json, &json!({ "hometown": 2, "homeTown": 1 })), Ok(close));
}

#[test]
fn aliases_of_fields_are_converted_like_names() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Aliased {
        #[serde(alias = "old_name")]
        new_name: u8,
    }
    assert_eq!(read(HubProtocolKind::Json, &json!({ "OLDNAME": 1 })), Ok(Aliased { new_name: 1 }));
    assert_eq!(read(HubProtocolKind::Json, &json!({ "newname": 1 })), Ok(Aliased { new_name: 1 }));
}

#[test]
fn skipped_fields_are_not_written() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Skipping {
        #[serde(skip)]
        never_sent: u8,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        some_times: Option<u8>,
    }
    let name = |format| {
        if format == HubProtocolKind::Json { "someTimes" } else { "SomeTimes" }
    };
    for &format in FORMATS {
        there_and_back(format, &Skipping { never_sent: 0, some_times: None }, &json!({}));
        there_and_back(format, &Skipping { never_sent: 0, some_times: Some(1) }, &json!({ name(format): 1 }));
    }
}

#[test]
fn fields_are_read_in_any_order() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Many {
        field_one: u8,
        field_two: u8,
        field_three: u8,
    }
    for wire in [
        r#"{"fieldOne":1,"fieldTwo":2,"fieldThree":3}"#,
        r#"{"fieldThree":3,"fieldTwo":2,"fieldOne":1}"#,
        r#"{"FIELDTWO":2,"x":[],"fieldThree":3,"y":{},"FieldOne":1}"#,
    ] {
        let many = read_bytes(HubProtocolKind::Json, wire.as_bytes());
        assert_eq!(many, Ok(Many { field_one: 1, field_two: 2, field_three: 3 }), "{wire}");
    }
}

#[test]
fn converted_names_are_shared_by_all_threads() {
    let rules = rules(HubProtocolKind::Json);
    let here = name_cache::field("spelled_once_only", rules);
    let there = std::thread::spawn(move || name_cache::field("spelled_once_only", rules)).join().unwrap();
    assert_eq!(here, "spelledOnceOnly");
    assert!(std::ptr::eq(here, there));
    // Another string with the same text at another address shares the converted name.
    let copy: &'static str = String::from("spelled_once_only").leak();
    assert!(std::ptr::eq(here, name_cache::field(copy, rules)));
}

#[test]
fn names_of_different_length_at_one_address_are_distinguished() {
    let whole: &'static str = "home_town";
    let rules = rules(HubProtocolKind::Json);
    assert_eq!(name_cache::field(whole, rules), "homeTown");
    assert_eq!(name_cache::field(&whole[..4], rules), "home");
    assert_eq!(name_cache::field(&whole[..6], rules), "homeT");
}
