//! Types beyond plain structs and enums, of serde and related crates.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::protocol::naming::deserializer::WireVisitor;

#[test]
fn keys_of_maps_are_not_renamed() {
    let map: BTreeMap<String, i32> = ["a_b", "AB", "ab", "", "Name", "$x", "URL"].map(|key| (key.to_owned(), 1)).into();
    for &format in FORMATS {
        there_and_back(format, &map, &json!({ "a_b": 1, "AB": 1, "ab": 1, "": 1, "Name": 1, "$x": 1, "URL": 1 }));
    }
    there_and_back(HubProtocolKind::Json, &HashMap::from([(7_u32, true)]), &json!({ "7": true }));
    there_and_back(HubProtocolKind::Json, &HashMap::from([(-7_i8, 'c')]), &json!({ "-7": "c" }));
    there_and_back(HubProtocolKind::Json, &HashMap::from([(true, 1)]), &json!({ "true": 1 }));
}

#[test]
fn flattened_fields_keep_their_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        own_field: u8,
        #[serde(flatten)]
        more: More,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct More {
        flat_field: u8,
    }
    let outer = Outer { own_field: 1, more: More { flat_field: 2 } };
    for &format in FORMATS {
        there_and_back(format, &outer, &json!({ "own_field": 1, "flat_field": 2 }));
    }
}

#[test]
fn adjacent_tags_are_written_as_unit_variants() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "what", content = "with_data")]
    enum Adjacent {
        Nothing,
        Something(Something),
        #[serde(rename_all = "camelCase")]
        Inline {
            some_field: u8,
        },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Something {
        some_field: u8,
    }
    let something = Adjacent::Something(Something { some_field: 1 });
    there_and_back(HubProtocolKind::Json, &Adjacent::Nothing, &json!({ "what": 0 }));
    there_and_back(HubProtocolKind::Json, &something, &json!({ "what": 1, "withData": { "someField": 1 } }));
    let inline = Adjacent::Inline { some_field: 1 };
    there_and_back(HubProtocolKind::Json, &inline, &json!({ "what": 2, "withData": { "someField": 1 } }));
    #[cfg(feature = "messagepack")]
    there_and_back(
        HubProtocolKind::MessagePack,
        &something,
        &json!({ "What": "Something", "WithData": { "SomeField": 1 } }),
    );
}

#[test]
fn buffered_enums_keep_serde_tags_and_need_camel_case_fields() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "$type", rename_all_fields = "camelCase")]
    enum Internal {
        Nothing,
        Something { some_field: u8 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Text(String),
        Numbers(Vec<u8>),
    }
    there_and_back(HubProtocolKind::Json, &Internal::Nothing, &json!({ "$type": "Nothing" }));
    let something = Internal::Something { some_field: 1 };
    there_and_back(HubProtocolKind::Json, &something, &json!({ "$type": "Something", "someField": 1 }));
    for &format in FORMATS {
        there_and_back(format, &Untagged::Numbers(vec![1]), &json!([1]));
        there_and_back(format, &Untagged::Text("1".to_owned()), &json!("1"));
    }
}

#[test]
fn standard_library_types_round_trip() {
    for &format in FORMATS {
        let own = |text: &str| {
            if format == HubProtocolKind::Json { text.to_lowercase() } else { text.to_owned() }
        };
        there_and_back(format, &Duration::new(1, 2), &json!({ own("Secs"): 1, own("Nanos"): 2 }));
        there_and_back(format, &(1_u64..2), &json!({ own("Start"): 1, own("End"): 2 }));
        there_and_back(format, &"127.0.0.1".parse::<IpAddr>().unwrap(), &json!("127.0.0.1"));
        there_and_back(format, &uuid::Uuid::from_u128(1), &json!("00000000-0000-0000-0000-000000000001"));
        there_and_back(format, &(), &json!(null));
        there_and_back(
            format,
            &(u64::MAX, i64::MIN, 0.5, false, "x".to_owned()),
            &json!([u64::MAX, i64::MIN, 0.5, false, "x"]),
        );
        assert_eq!(read_bytes(format, &bytes(format, &i128::from(i64::MIN))), Ok(i128::from(i64::MIN)));
    }
    let huge = u128::MAX;
    assert_eq!(read_bytes(HubProtocolKind::Json, &bytes(HubProtocolKind::Json, &huge)), Ok(huge));
}

#[test]
fn raw_values_are_not_changed() {
    let raw: Box<RawValue> = read_bytes(HubProtocolKind::Json, br#"{ "a_b" : [1, 2] }"#).unwrap();
    assert_eq!(bytes(HubProtocolKind::Json, &raw), br#"{ "a_b" : [1, 2] }"#);
    let raws: Vec<Box<RawValue>> = read_bytes(HubProtocolKind::Json, br#"[1 , {"x" : 2}]"#).unwrap();
    assert_eq!(bytes(HubProtocolKind::Json, &raws), br#"[1,{"x" : 2}]"#);
}

#[test]
fn serde_json_values_are_not_changed() {
    let value = json!({ "a_b": [1, { "C": null }], "x": -1.5 });
    for &format in FORMATS {
        there_and_back(format, &value, &value);
    }
}

#[test]
fn strings_are_borrowed_from_the_input() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Borrowed<'a> {
        some_text: &'a str,
    }
    let wire = br#"{"x":0,"someText":"here"}"#;
    let seed = WireSeed::new(PhantomData::<Borrowed<'_>>, rules(HubProtocolKind::Json));
    assert_eq!(decode(HubProtocolKind::Json, wire, seed), Ok(Borrowed { some_text: "here" }));
    let seed = Buffered(PhantomData::<Borrowed<'_>>, HubProtocolKind::Json);
    assert_eq!(decode(HubProtocolKind::Json, wire, seed), Ok(Borrowed { some_text: "here" }));
}

#[test]
fn is_human_readable_is_forwarded() {
    struct Readable;
    impl Serialize for Readable {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let readable = serializer.is_human_readable();
            serializer.collect_str(&format_args!("{readable}"))
        }
    }
    assert_eq!(written(HubProtocolKind::Json, &Readable), json!("true"));
    #[cfg(feature = "messagepack")]
    {
        assert_eq!(written(HubProtocolKind::MessagePack, &Readable), json!("true"));
        let terse = rmp_serde::to_vec(&Wire::new(&Readable, rules(HubProtocolKind::MessagePack))).unwrap();
        assert_eq!(rmp_serde::from_slice::<String>(&terse).unwrap(), "false");
    }
}

#[test]
fn sequence_elements_follow_the_rules() {
    struct Arguments;
    impl<'de> Visitor<'de> for Arguments {
        type Value = (Person, Colour);
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("arguments")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let person = list.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
            let colour = list.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
            let None = list.next_element::<IgnoredAny>()? else {
                return Err(de::Error::invalid_length(3, &self));
            };
            Ok((person, colour))
        }
    }
    let mut json = serde_json::Deserializer::from_str(r#"[{"NAME":"Ann"},2]"#);
    let arguments = json.deserialize_seq(WireVisitor::new(Arguments, rules(HubProtocolKind::Json))).unwrap();
    assert_eq!(arguments, (person("Ann"), Colour::Blue));
    #[cfg(feature = "messagepack")]
    {
        let wire = encode(HubProtocolKind::MessagePack, &json!([{ "Name": "Ann" }, "Blue"]));
        let mut messagepack = MessagePack::new(&wire);
        let arguments =
            messagepack.deserialize_seq(WireVisitor::new(Arguments, rules(HubProtocolKind::MessagePack))).unwrap();
        assert_eq!(arguments, (person("Ann"), Colour::Blue));
    }
}

#[cfg(feature = "messagepack")]
mod messagepack {
    use super::*;

    /// Bytes, which are `bin` in MessagePack.
    #[derive(Debug, PartialEq)]
    struct Bytes(Vec<u8>);

    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct BytesVisitor;
            impl Visitor<'_> for BytesVisitor {
                type Value = Bytes;
                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    formatter.write_str("bytes")
                }
                fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_owned()))
                }
            }
            deserializer.deserialize_bytes(BytesVisitor)
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, Bytes));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder {
        time_stamp: Extension,
        some_bytes: Bytes,
        at_last: u8,
    }

    #[test]
    fn bytes_and_extensions_are_not_changed() {
        let holder =
            Holder { time_stamp: Extension((-1, Bytes(vec![0, 0, 0, 1]))), some_bytes: Bytes(vec![255]), at_last: 1 };
        let wire = bytes(HubProtocolKind::MessagePack, &holder);
        let expected = b"\x83\xa9TimeStamp\xd6\xff\0\0\0\x01\xa9SomeBytes\xc4\x01\xff\xa6AtLast\x01";
        assert_eq!(wire, expected);
        assert_eq!(read_bytes::<Holder>(HubProtocolKind::MessagePack, &wire).as_ref(), Ok(&holder));
        assert_eq!(read_buffered::<Holder>(HubProtocolKind::MessagePack, &wire).as_ref(), Ok(&holder));
    }
}
