//! Wrapper around `serde_json`'s serializer that rejects NaN and infinity and escapes strings fast.

use std::fmt::Display;
use std::io;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::ser::{CompactFormatter, Formatter};

use super::write::push_json_string;

/// Serializes values as `System.Text.Json` does, with a `serde_json` serializer that uses
/// [`JsonFormatter`].
pub(super) struct JsonSerializer<S>(pub(super) S);

/// Formatter of strings and floats.
///
/// `serde_json` passes byte arrays to its formatter unchanged. [`JsonSerializer`] therefore passes
/// strings as byte arrays, which this formatter escapes many bytes at a time.
pub(super) struct JsonFormatter;

impl Formatter for JsonFormatter {
    fn write_byte_array<W: ?Sized + io::Write>(&mut self, writer: &mut W, string: &[u8]) -> io::Result<()> {
        push_json_string(writer, string)
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_without_fraction_of_zero(writer, |number| CompactFormatter.write_f32(number, value))
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_without_fraction_of_zero(writer, |number| CompactFormatter.write_f64(number, value))
    }
}

/// Writes a float without the fraction `.0`, as .NET does.
fn write_without_fraction_of_zero<W: ?Sized + io::Write>(
    writer: &mut W,
    write: impl FnOnce(&mut &mut [u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = [0; MAX_NUMBER_LENGTH];
    let mut rest = &mut buffer[..];
    write(&mut rest)?;
    let unused = rest.len();
    let number = &buffer[..MAX_NUMBER_LENGTH - unused];
    writer.write_all(number.strip_suffix(b".0").unwrap_or(number))
}

/// Size of the buffer in bytes. The shortest form of a float has at most 24 bytes.
const MAX_NUMBER_LENGTH: usize = 32;

/// Error text of `System.Text.Json` for NaN and infinity.
pub(super) const NOT_FINITE: &str = ".NET number values such as positive and negative infinity cannot be written as valid JSON. To make it work when using 'JsonSerializer', consider specifying 'JsonNumberHandling.AllowNamedFloatingPointLiterals' (see https://learn.microsoft.com/dotnet/api/system.text.json.serialization.jsonnumberhandling).";

/// Value inside another one, which [`JsonSerializer`] wraps again.
struct NestedValue<'v, T: ?Sized>(&'v T);

impl<T: Serialize + ?Sized> Serialize for NestedValue<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(JsonSerializer(serializer))
    }
}

macro_rules! forward {
    ($($method:ident($($name:ident: $kind:ty),*);)*) => {$(
        fn $method(self, $($name: $kind),*) -> Result<S::Ok, S::Error> {
            self.0.$method($($name),*)
        }
    )*};
}

macro_rules! forward_compound {
    ($($method:ident($($name:ident: $kind:ty),*) -> $compound:ident;)*) => {$(
        fn $method(self, $($name: $kind),*) -> Result<Self::$compound, S::Error> {
            self.0.$method($($name),*).map(JsonSerializer)
        }
    )*};
}

impl<S: Serializer> Serializer for JsonSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = JsonSerializer<S::SerializeSeq>;
    type SerializeTuple = JsonSerializer<S::SerializeTuple>;
    type SerializeTupleStruct = JsonSerializer<S::SerializeTupleStruct>;
    type SerializeTupleVariant = JsonSerializer<S::SerializeTupleVariant>;
    type SerializeMap = JsonSerializer<S::SerializeMap>;
    type SerializeStruct = StructFields<S::SerializeStruct>;
    type SerializeStructVariant = JsonSerializer<S::SerializeStructVariant>;

    forward! {
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
        serialize_char(value: char);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    forward_compound! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize) -> SerializeStructVariant;
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        // `serde_json` writes its own types, such as `RawValue`, as structs whose names begin with
        // `$`. It expects their content unwrapped.
        let wrap_values = !name.starts_with('$');
        self.0.serialize_struct(name, len).map(|fields| StructFields { fields, wrap_values })
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f32(value) } else { Err(S::Error::custom(NOT_FINITE)) }
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        if value.is_finite() { self.0.serialize_f64(value) } else { Err(S::Error::custom(NOT_FINITE)) }
    }

    fn serialize_str(self, value: &str) -> Result<S::Ok, S::Error> {
        self.0.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<S::Ok, S::Error> {
        self.0.collect_str(&Base64Display::new(value, &STANDARD))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_some(&NestedValue(value))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &NestedValue(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_variant(name, index, variant, &NestedValue(value))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! elements {
    ($($compound:ident::$method:ident;)*) => {$(
        impl<S: $compound> $compound for JsonSerializer<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&NestedValue(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
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

impl<S: SerializeMap> SerializeMap for JsonSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&NestedValue(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStructVariant> SerializeStructVariant for JsonSerializer<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        self.0.serialize_field(key, &NestedValue(value))
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.0.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

/// Fields of a struct.
pub(super) struct StructFields<S> {
    fields: S,
    wrap_values: bool,
}

impl<S: SerializeStruct> SerializeStruct for StructFields<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), S::Error> {
        if self.wrap_values {
            self.fields.serialize_field(key, &NestedValue(value))
        } else {
            self.fields.serialize_field(key, value)
        }
    }

    fn skip_field(&mut self, key: &'static str) -> Result<(), S::Error> {
        self.fields.skip_field(key)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.fields.end()
    }
}
