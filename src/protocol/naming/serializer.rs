//! Writing with .NET's names.

use std::fmt::Display;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::{Rules, spellings};

/// Wraps a value so that it is written with .NET's names.
pub(super) struct DotNet<'a, T: ?Sized> {
    value: &'a T,
    rules: Rules,
}

impl<'a, T: ?Sized> DotNet<'a, T> {
    pub(super) const fn new(value: &'a T, rules: Rules) -> Self {
        Self { value, rules }
    }
}

impl<T: Serialize + ?Sized> Serialize for DotNet<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(DotNetSerializer { inner: serializer, rules: self.rules })
    }
}

struct DotNetSerializer<S> {
    inner: S,
    rules: Rules,
}

impl<S> DotNetSerializer<S> {
    fn compound<C, E>(rules: Rules, inner: Result<C, E>) -> Result<DotNetCompound<C>, E> {
        inner.map(|inner| DotNetCompound { inner, rules })
    }
}

/// What has nothing inside that could be renamed.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method(self $(, $argument: $type)*) -> Result<Self::Ok, Self::Error> {
            self.inner.$method($($argument),*)
        }
    )*};
}

impl<S: Serializer> Serializer for DotNetSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = DotNetCompound<S::SerializeSeq>;
    type SerializeTuple = DotNetCompound<S::SerializeTuple>;
    type SerializeTupleStruct = DotNetCompound<S::SerializeTupleStruct>;
    type SerializeTupleVariant = DotNetCompound<S::SerializeTupleVariant>;
    type SerializeMap = DotNetCompound<S::SerializeMap>;
    type SerializeStruct = DotNetCompound<S::SerializeStruct>;
    type SerializeStructVariant = DotNetCompound<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_f32(value: f32);
        serialize_f64(value: f64);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<Self::Ok, Self::Error> {
        self.inner.collect_str(value)
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
        self.inner.serialize_some(&DotNet::new(value, self.rules))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Self::Error> {
        self.inner.serialize_newtype_struct(name, &DotNet::new(value, self.rules))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Self::Ok, Self::Error> {
        self.inner.serialize_newtype_variant(name, index, variant, &DotNet::new(value, self.rules))
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
        self.inner.is_human_readable()
    }
}

/// What follows the beginning of a list, a map or a struct.
struct DotNetCompound<C> {
    inner: C,
    rules: Rules,
}

macro_rules! elements {
    ($($trait:ident::$method:ident;)*) => {$(
        impl<C: $trait> $trait for DotNetCompound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
                self.inner.$method(&DotNet::new(value, self.rules))
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
        impl<C: $trait> $trait for DotNetCompound<C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T>(&mut self, name: &'static str, value: &T) -> Result<(), Self::Error>
            where
                T: Serialize + ?Sized,
            {
                self.inner.serialize_field(spellings::field(name, self.rules), &DotNet::new(value, self.rules))
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), Self::Error> {
                self.inner.skip_field(spellings::field(name, self.rules))
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

impl<C: SerializeMap> SerializeMap for DotNetCompound<C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Self::Error> {
        self.inner.serialize_key(&DotNet::new(key, self.rules.for_key()))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Self::Error> {
        self.inner.serialize_value(&DotNet::new(value, self.rules))
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), Self::Error> {
        self.inner.serialize_entry(&DotNet::new(key, self.rules.for_key()), &DotNet::new(value, self.rules))
    }

    fn end(self) -> Result<Self::Ok, Self::Error> {
        self.inner.end()
    }
}
