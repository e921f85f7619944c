//! Wrappers around values and serializers.

use std::fmt::Display;

use serde::ser::{
    Error, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{NamingRules, chars, name_cache};

/// Value that is serialized by the rules.
pub(super) struct Wire<'a, T: ?Sized> {
    value: &'a T,
    rules: NamingRules,
}

impl<'a, T: ?Sized> Wire<'a, T> {
    pub(super) const fn new(value: &'a T, rules: NamingRules) -> Self {
        Self { value, rules }
    }
}

impl<T: Serialize + ?Sized> Serialize for Wire<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(WireSerializer { inner: serializer, rules: self.rules })
    }
}

struct WireSerializer<S> {
    inner: S,
    rules: NamingRules,
}

impl<S> WireSerializer<S> {
    fn compound<C, E>(rules: NamingRules, inner: Result<C, E>) -> Result<WireCompound<C>, E> {
        inner.map(|inner| WireCompound { inner, rules })
    }
}

/// Serializer methods of values without content that could be renamed.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method(self $(, $argument: $type)*) -> Result<Self::Ok, Self::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

impl<S: Serializer> Serializer for WireSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = WireCompound<S::SerializeSeq>;
    type SerializeTuple = WireCompound<S::SerializeTuple>;
    type SerializeTupleStruct = WireCompound<S::SerializeTupleStruct>;
    type SerializeTupleVariant = WireCompound<S::SerializeTupleVariant>;
    type SerializeMap = WireCompound<S::SerializeMap>;
    type SerializeStruct = WireCompound<S::SerializeStruct>;
    type SerializeStructVariant = WireCompound<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<Self::Ok, Self::Error> {
        self.inner.collect_str(value)
    }

    fn serialize_i128(self, value: i128) -> Result<Self::Ok, Self::Error> {
        if self.rules.is_json() || !self.rules.is_dot_net() {
            return self.inner.serialize_i128(value);
        }
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.inner.serialize_i64(value),
            (_, Ok(value)) => self.inner.serialize_u64(value),
            _ => Err(S::Error::custom(TOO_LARGE)),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<Self::Ok, Self::Error> {
        if self.rules.is_json() || !self.rules.is_dot_net() {
            return self.inner.serialize_u128(value);
        }
        let value = u64::try_from(value).map_err(|_| S::Error::custom(TOO_LARGE))?;
        self.inner.serialize_u64(value)
    }

    fn serialize_char(self, value: char) -> Result<Self::Ok, Self::Error> {
        if !self.rules.is_dot_net() {
            return self.inner.serialize_char(value);
        }
        let unit = chars::unit(value).ok_or_else(|| S::Error::custom(chars::NO_UNIT))?;
        if self.rules.numbers_chars() { self.inner.serialize_u16(unit) } else { self.inner.serialize_char(value) }
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<Self::Ok, Self::Error> {
        if self.rules.numbers_variants() {
            self.inner.serialize_u32(index)
        } else {
            self.inner.serialize_unit_variant(name, index, variant)
        }
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Self::Ok, Self::Error> {
        self.inner.serialize_some(&Wire::new(value, self.rules))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Self::Error> {
        self.inner.serialize_newtype_struct(name, &Wire::new(value, self.rules.inside(name)))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Self::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &Wire::new(value, self.rules))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeTupleStruct, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, Self::Error> {
        Self::compound(self.rules, self.inner.serialize_struct_variant(name, index, variant, len))
    }

    fn is_human_readable(&self) -> bool {
        !self.rules.binary && self.inner.is_human_readable()
    }
}

/// Error text for an integer beyond 64 bits. .NET reads none of the encodings that other libraries
/// use for it.
const TOO_LARGE: &str = "an integer beyond 64 bits has no form in MessagePack";

/// Content of a list, a map or a struct.
struct WireCompound<C> {
    inner: C,
    rules: NamingRules,
}

macro_rules! elements {
    ($($trait:ident::$method:ident;)*) => {$(
        impl<C: $trait> $trait for WireCompound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
                self.inner.$method(&Wire::new(value, self.rules))
            }

            fn end(self) -> Result<Self::Ok, Self::Error> {
                self.inner.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! fields {
    ($($trait:ident;)*) => {$(
        impl<C: $trait> $trait for WireCompound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<(), Self::Error>
            where
                T: Serialize + ?Sized,
            {
                self.inner.serialize_field(name_cache::field(name, self.rules), &Wire::new(value, self.rules))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Self::Error> {
                self.inner.skip_field(name_cache::field(name, self.rules))
            }

            fn end(self) -> Result<Self::Ok, Self::Error> {
                self.inner.end()
            }
        }
    )*};
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl<C: SerializeMap> SerializeMap for WireCompound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Self::Error> {
        self.inner.serialize_key(&Wire::new(key, self.rules.for_key()))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        self.inner.serialize_value(&Wire::new(value, self.rules))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), Self::Error> {
        self.inner.serialize_entry(&Wire::new(key, self.rules.for_key()), &Wire::new(value, self.rules))
    }

    fn end(self) -> Result<Self::Ok, Self::Error> {
        self.inner.end()
    }
}
