//! Second attempt to deserialize a value in which a member occurs twice.
//!
//! .NET uses the last of two members with one name, whereas derived code rejects the second. A
//! value that was rejected for this reason is read once more, into a tree that keeps only the last
//! of all members that denote the same field. That is slower than reading the value directly, so it
//! is done only after an error.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::mem;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::deserializer::WireSeed;
use super::{EXTENSION, NamingRules, name_cache};
use crate::protocol::HubProtocol;

/// Returns whether a value was rejected because a member occurs twice, so that [`deserialize`] may
/// be able to read it.
pub(in crate::protocol) fn is_duplicate_field(error: &impl Display) -> bool {
    // The text of `serde::de::Error::duplicate_field`, by which alone the error can be recognized.
    // Another error with this text only costs a second attempt.
    error.to_string().contains("duplicate field `")
}

/// Deserializes a value with `seed` from a deserializer of `protocol`, with .NET's names and using
/// the last of duplicate members.
///
/// The entire value is held in memory, with some 32 bytes for each number in it, so this function
/// is only for values that were rejected otherwise. It recurses as deep as the value is nested. The
/// deserializer has to limit the depth, as those of both hub protocols do.
///
/// Unlike .NET, this function does not check the types of the members that it drops. It cannot read
/// types that need the raw text of the format (`RawValue`), nor integers beyond 64 bits. Decimals
/// have only the digits of an `f64`.
pub(in crate::protocol) fn deserialize<'de, S, D>(
    seed: S,
    protocol: HubProtocol,
    deserializer: D,
) -> Result<S::Value, D::Error>
where
    S: DeserializeSeed<'de>,
    D: Deserializer<'de>,
{
    let rules = NamingRules::of(protocol);
    let human_readable = deserializer.is_human_readable();
    let tree = Tree::deserialize(deserializer)?;
    WireSeed::new(seed, rules).deserialize(TreeReader { tree, rules, human_readable, error: PhantomData })
}

/// Value of any type that either hub protocol has.
enum Tree<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    Bytes(Cow<'de, [u8]>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// MessagePack extension: a list of its type and its bytes.
    Extension(Box<Self>),
}

impl<'de> Deserialize<'de> for Tree<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

macro_rules! leaves {
    ($($method:ident($value:ident: $type:ty) -> $tree:expr;)*) => {$(
        fn $method<E: Error>(self, $value: $type) -> Result<Tree<'de>, E> {
            Ok($tree)
        }
    )*};
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree<'de>;

    leaves! {
        visit_bool(value: bool) -> Tree::Bool(value);
        visit_u64(value: u64) -> Tree::Unsigned(value);
        visit_i64(value: i64) -> Tree::Signed(value);
        visit_f64(value: f64) -> Tree::Float(value);
        visit_str(value: &str) -> Tree::Text(Cow::Owned(value.to_owned()));
        visit_borrowed_str(value: &'de str) -> Tree::Text(Cow::Borrowed(value));
        visit_string(value: String) -> Tree::Text(Cow::Owned(value));
        visit_bytes(value: &[u8]) -> Tree::Bytes(Cow::Owned(value.to_owned()));
        visit_borrowed_bytes(value: &'de [u8]) -> Tree::Bytes(Cow::Borrowed(value));
        visit_byte_buf(value: Vec<u8>) -> Tree::Bytes(Cow::Owned(value));
    }

    fn visit_unit<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Tree<'de>, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree<'de>, D::Error> {
        Ok(Tree::Extension(Box::new(Tree::deserialize(deserializer)?)))
    }

    // The next two methods ignore the size hints, which the peer controls.

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Tree<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }
}

/// Deserializes a tree like the deserializer of the hub protocol that the tree was read from.
struct TreeReader<'de, E> {
    tree: Tree<'de>,
    rules: NamingRules,
    human_readable: bool,
    error: PhantomData<E>,
}

impl<'de, E> TreeReader<'de, E> {
    fn of(&self, tree: Tree<'de>, rules: NamingRules) -> Self {
        Self { tree, rules, human_readable: self.human_readable, error: self.error }
    }
}

impl<'de, E: Error> IntoDeserializer<'de, E> for TreeReader<'de, E> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Parses numeric keys of maps, such as those of `HashMap<u32, _>`, which are strings in JSON.
macro_rules! keys_from_text {
    ($($method:ident: $type:ty => $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
            match &self.tree {
                Tree::Text(text) if self.rules.key && self.rules.is_json() => match text.parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => self.deserialize_any(visitor),
                },
                _ => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de, E: Error> Deserializer<'de> for TreeReader<'de, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, E> {
        match mem::replace(&mut self.tree, Tree::Null) {
            Tree::Null => visitor.visit_unit(),
            Tree::Bool(value) => visitor.visit_bool(value),
            Tree::Unsigned(value) => visitor.visit_u64(value),
            Tree::Signed(value) => visitor.visit_i64(value),
            Tree::Float(value) => visitor.visit_f64(value),
            Tree::Text(Cow::Borrowed(value)) => visitor.visit_borrowed_str(value),
            Tree::Text(Cow::Owned(value)) => visitor.visit_string(value),
            Tree::Bytes(Cow::Borrowed(value)) => visitor.visit_borrowed_bytes(value),
            Tree::Bytes(Cow::Owned(value)) => visitor.visit_byte_buf(value),
            Tree::List(list) => {
                let rules = self.rules;
                let mut elements = SeqDeserializer::new(list.into_iter().map(|element| self.of(element, rules)));
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
            Tree::Map(map) => {
                let rules = self.rules;
                let entries =
                    map.into_iter().map(|(key, value)| (self.of(key, rules.for_key()), self.of(value, rules)));
                let mut entries = MapDeserializer::new(entries);
                let value = visitor.visit_map(&mut entries)?;
                entries.end()?;
                Ok(value)
            }
            Tree::Extension(content) => visitor.visit_newtype_struct(self.of(*content, self.rules)),
        }
    }

    keys_from_text! {
        deserialize_bool: bool => visit_bool;
        deserialize_i8: i8 => visit_i8;
        deserialize_i16: i16 => visit_i16;
        deserialize_i32: i32 => visit_i32;
        deserialize_i64: i64 => visit_i64;
        deserialize_i128: i128 => visit_i128;
        deserialize_u8: u8 => visit_u8;
        deserialize_u16: u16 => visit_u16;
        deserialize_u32: u32 => visit_u32;
        deserialize_u64: u64 => visit_u64;
        deserialize_u128: u128 => visit_u128;
        deserialize_f32: f32 => visit_f32;
        deserialize_f64: f64 => visit_f64;
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        if let Tree::Map(map) = &mut self.tree {
            keep_last(map, name_cache::fields(fields, self.rules));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        if matches!(self.tree, Tree::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, E> {
        if matches!(self.tree, Tree::Extension(_)) && name == EXTENSION {
            self.deserialize_any(visitor)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match &self.tree {
            Tree::Bytes(bytes) => Err(E::invalid_type(Unexpected::Bytes(bytes), &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.deserialize_str(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, E> {
        // MessagePack represents a unit struct as an empty array.
        match &self.tree {
            Tree::List(list) if list.is_empty() && !self.rules.is_json() => visitor.visit_unit(),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.tree {
            Tree::Bytes(bytes) => visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, E> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, E> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        self.human_readable
    }

    forward_to_deserialize_any! { char bytes byte_buf unit map enum identifier }
}

/// Drops every entry that is followed by one for the same field.
fn keep_last(map: &mut Vec<(Tree<'_>, Tree<'_>)>, fields: name_cache::FieldTable) {
    // Has at most one element for each field of the struct.
    let mut later = Vec::new();
    map.reverse();
    map.retain(|(key, _)| {
        let Tree::Text(name) = key else { return true };
        let Some(field) = fields.find(name, 0) else { return true };
        let last = !later.contains(&field);
        later.extend(last.then_some(field));
        last
    });
    map.reverse();
}
