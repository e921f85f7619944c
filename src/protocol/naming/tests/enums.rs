//! Variants of enums.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Mixed {
    Nothing,
    Number(i32),
    Pair(i32, Colour),
    Fields { of_colour: Colour },
}

#[test]
fn unit_variants_are_numbers_in_json() {
    there_and_back(HubProtocolKind::Json, &Colour::Red, &json!(0));
    there_and_back(HubProtocolKind::Json, &[Colour::Blue, Colour::Green], &json!([2, 1]));
    there_and_back(HubProtocolKind::Json, &Some(Colour::Blue), &json!(2));
    there_and_back(HubProtocolKind::Json, &(Colour::Blue, 1), &json!([2, 1]));
}

#[test]
fn unit_variants_are_read_only_from_numbers_in_json() {
    // Values that .NET rejects, and numbers without a variant.
    for wire in
        ["\"Green\"", "\"1\"", "\" 1\"", "1.0", "1.5", "1e0", "2147483648", "null", "true", "[1]", "{}", "-1", "3"]
    {
        assert!(read_bytes::<Colour>(HubProtocolKind::Json, wire.as_bytes()).is_err(), "{wire}");
        assert!(read_buffered::<Colour>(HubProtocolKind::Json, wire.as_bytes()).is_err(), "{wire}, buffered");
    }
    assert!(read::<Colour>(HubProtocolKind::Json, &json!({ "Green": null })).is_err());
}

#[cfg(feature = "messagepack")]
#[test]
fn unit_variants_are_strings_in_messagepack() {
    there_and_back(HubProtocolKind::MessagePack, &Colour::Blue, &json!("Blue"));
    there_and_back(HubProtocolKind::MessagePack, &vec![Some(Colour::Red), None], &json!(["Red", null]));
    for text in ["Green", " Green", "Green ", "\tGreen\n", "\u{a0}Green", "1", " 1 ", "+1", "01"] {
        assert_eq!(read(HubProtocolKind::MessagePack, &json!(text)), Ok(Colour::Green), "{text:?}");
    }
}

#[cfg(feature = "messagepack")]
#[test]
fn unit_variants_are_read_only_from_strings_in_messagepack() {
    let refused = [
        json!("green"),
        json!(""),
        json!("  "),
        json!("0x1"),
        json!("1.0"),
        json!("3"),
        json!("-1"),
        json!("2147483648"),
    ];
    let refused =
        refused.into_iter().chain([json!("٣"), json!("1,Red"), json!(1), json!(1.0), json!(null), json!(true)]);
    for wire in refused.chain([json!(["Blue"]), json!({ "Blue": null }), json!({ "2": null }), json!({})]) {
        assert!(read::<Colour>(HubProtocolKind::MessagePack, &wire).is_err(), "{wire}");
        assert!(
            read_buffered::<Colour>(HubProtocolKind::MessagePack, &encode(HubProtocolKind::MessagePack, &wire))
                .is_err(),
            "{wire}"
        );
    }
}

#[test]
fn variants_with_data_are_maps() {
    for &format in FORMATS {
        let (green, of_colour) =
            if format == HubProtocolKind::Json { (json!(1), "ofColour") } else { (json!("Green"), "OfColour") };
        let nothing = if format == HubProtocolKind::Json { json!(0) } else { json!("Nothing") };
        there_and_back(format, &Mixed::Nothing, &nothing);
        there_and_back(format, &Mixed::Number(-7), &json!({ "Number": -7 }));
        there_and_back(format, &Mixed::Pair(1, Colour::Green), &json!({ "Pair": [1, green] }));
        there_and_back(format, &Mixed::Fields { of_colour: Colour::Green }, &json!({ "Fields": { of_colour: green } }));
    }
}

#[test]
fn variants_with_data_are_read_only_from_maps_of_one_known_entry() {
    for &format in FORMATS {
        for wire in [
            json!({}),
            json!({ "Number": 1, "Pair": [1, 1] }),
            json!({ "Unknown": 1 }),
            json!({ "number": 1 }),
            json!({ "1": 1 }),
            json!({ "Number": "text" }),
            json!({ "Pair": [1] }),
            json!({ "Nothing": null }),
            json!({ "Fields": null }),
            json!(["Number", 1]),
        ] {
            assert!(read::<Mixed>(format, &wire).is_err(), "{format:?} {wire}");
            assert!(read_buffered::<Mixed>(format, &encode(format, &wire)).is_err(), "{format:?} {wire}, buffered");
        }
    }
    assert!(read::<Mixed>(HubProtocolKind::Json, &json!(1)).is_err(), "variant with data by number only");
}

#[cfg(feature = "messagepack")]
#[test]
fn messagepack_variants_with_data_are_not_identified_by_number() {
    // {1: 1}: derived code would read 1 as the second variant.
    assert!(read_bytes::<Mixed>(HubProtocolKind::MessagePack, &[0x81, 1, 1]).is_err());
}

#[test]
fn enum_keys_of_maps_are_names_in_both_protocols() {
    let counts = BTreeMap::from([(Colour::Red, 1), (Colour::Blue, 2)]);
    for &format in FORMATS {
        there_and_back(format, &counts, &json!({ "Red": 1, "Blue": 2 }));
        let digits: BTreeMap<Colour, i32> = read(format, &json!({ "0": 1, " Blue ": 2 })).unwrap();
        assert_eq!(digits, counts);
        assert!(read::<BTreeMap<Colour, i32>>(format, &json!({ "Pink": 1 })).is_err());
    }
    assert_eq!(read(HubProtocolKind::Json, &json!({ "RED": 1, "blue": 2 })), Ok(counts));
    #[cfg(feature = "messagepack")]
    assert!(read::<BTreeMap<Colour, i32>>(HubProtocolKind::MessagePack, &json!({ "red": 1 })).is_err());
}

#[test]
fn enum_keys_in_newtypes_are_names() {
    #[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
    struct Key(Colour);
    for &format in FORMATS {
        there_and_back(
            format,
            &HashMap::from([(Key(Colour::Green), Colour::Green)]),
            &match format {
                HubProtocolKind::Json => json!({ "Green": 1 }),
                #[cfg(feature = "messagepack")]
                HubProtocolKind::MessagePack => json!({ "Green": "Green" }),
            },
        );
    }
}

#[test]
fn renamed_variants_have_their_new_names() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Renamed {
        FirstOne,
        #[serde(alias = "b")]
        TheSecond,
        WithData(u8),
    }
    there_and_back(HubProtocolKind::Json, &Renamed::TheSecond, &json!(1));
    #[cfg(feature = "messagepack")]
    there_and_back(HubProtocolKind::MessagePack, &Renamed::FirstOne, &json!("first_one"));
    for &format in FORMATS {
        there_and_back(format, &Renamed::WithData(1), &json!({ "with_data": 1 }));
    }
}

#[test]
fn serde_other_accepts_unknown_variants() {
    #[derive(Debug, PartialEq, Deserialize)]
    enum Open {
        Known,
        #[serde(other)]
        Unknown,
    }
    assert_eq!(read(HubProtocolKind::Json, &json!(0)), Ok(Open::Known));
    assert_eq!(read(HubProtocolKind::Json, &json!(7)), Ok(Open::Unknown));
    #[cfg(feature = "messagepack")]
    assert_eq!(read(HubProtocolKind::MessagePack, &json!("Other")), Ok(Open::Unknown));
}
