//! Property tests.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    some_text: String,
    #[serde(rename = "URLValue")]
    url: Option<i64>,
    #[serde(rename = "camelCase")]
    colour: Colour,
    by_name: BTreeMap<String, Self>,
    by_colour: BTreeMap<Colour, u8>,
    by_number: BTreeMap<String, Option<bool>>,
    all_children: Vec<Self>,
    only_child: Option<Box<Self>>,
    a_pair: (i32, Named<f64>),
    r#type: Branch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Named<T> {
    the_value: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Branch {
    Leaf,
    Wrapped(Box<Tree>),
    Several(u8, Vec<Named<char>>),
    Fields { left_side: Option<Box<Tree>>, right_side: Named<String> },
}

/// Keys that look like fields, and arbitrary keys.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["(some_text|someText|SomeText|type|Type|URLValue|urlValue|the_value|left_side|)", "\\PC{0,8}"]
}

/// Character of one UTF-16 code unit.
fn unit() -> impl Strategy<Value = char> {
    any::<char>().prop_map(|letter| if letter.len_utf16() == 1 { letter } else { '\u{fffd}' })
}

fn colour() -> impl Strategy<Value = Colour> {
    prop_oneof![Just(Colour::Red), Just(Colour::Green), Just(Colour::Blue)]
}

fn leaf() -> impl Strategy<Value = Tree> {
    let maps = (btree_map(colour(), any::<u8>(), 0..3), btree_map(key(), any::<Option<bool>>(), 0..3));
    // Integers, which every parser reads exactly from text.
    let pair = (any::<i32>(), any::<i32>().prop_map(|value| Named { the_value: f64::from(value) }));
    (any::<String>(), any::<Option<i64>>(), colour(), maps, pair).prop_map(
        |(some_text, url, colour, (by_colour, by_number), a_pair)| Tree {
            some_text,
            url,
            colour,
            by_name: BTreeMap::new(),
            by_colour,
            by_number,
            all_children: Vec::new(),
            only_child: None,
            a_pair,
            r#type: Branch::Leaf,
        },
    )
}

fn branch(tree: impl Strategy<Value = Tree> + Clone) -> impl Strategy<Value = Branch> {
    prop_oneof![
        Just(Branch::Leaf),
        tree.clone().prop_map(|tree| Branch::Wrapped(Box::new(tree))),
        (any::<u8>(), vec(unit().prop_map(|the_value| Named { the_value }), 0..3))
            .prop_map(|(count, named)| Branch::Several(count, named)),
        (option::of(tree.prop_map(Box::new)), any::<String>())
            .prop_map(|(left_side, the_value)| Branch::Fields { left_side, right_side: Named { the_value } }),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    leaf().prop_recursive(3, 24, 3, |tree| {
        let children = (
            btree_map(key(), tree.clone(), 0..3),
            vec(tree.clone(), 0..3),
            option::of(tree.clone().prop_map(Box::new)),
        );
        (leaf(), children, branch(tree)).prop_map(|(leaf, (by_name, all_children, only_child), r#type)| Tree {
            by_name,
            all_children,
            only_child,
            r#type,
            ..leaf
        })
    })
}

/// Returns `name` with the case of each letter chosen by `cases`.
fn in_cases(name: &str, cases: &[bool]) -> String {
    let spell = |(letter, upper): (char, &bool)| {
        if *upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    name.chars().zip(cases.iter().cycle()).map(spell).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn written_values_are_read_back(tree in tree()) {
        for &format in FORMATS {
            let bytes = bytes(format, &tree);
            prop_assert_eq!(read_bytes(format, &bytes), Ok(tree.clone()), "{:?}", format);
            prop_assert_eq!(read_buffered(format, &bytes), Ok(tree.clone()), "{:?}, buffered", format);
        }
    }

    #[test]
    fn keys_of_maps_never_change(map in btree_map(key(), btree_map(key(), any::<u8>(), 0..3), 0..6)) {
        for &format in FORMATS {
            prop_assert_eq!(written(format, &map), json!(map));
            prop_assert_eq!(read(format, &json!(map)), Ok(map.clone()));
        }
    }

    #[test]
    fn json_field_names_are_case_insensitive(
        cases in vec(any::<bool>(), 1..12),
        age in any::<i32>(),
        town in any::<String>(),
    ) {
        let wire = json!({ in_cases("homeTown", &cases): town, in_cases("age", &cases): age });
        prop_assert_eq!(read(HubProtocolKind::Json, &wire), Ok(Person { age, home_town: town, ..Person::default() }));
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in vec(any::<u8>(), 0..64)) {
        for &format in FORMATS {
            let _: Result<Tree, _> = read_bytes(format, &bytes);
            let _: Result<Tree, _> = read_buffered(format, &bytes);
            let _: Result<Branch, _> = read_buffered(format, &bytes);
        }
    }
}
