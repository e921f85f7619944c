//! Methods that echo or return values of all types.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use futures_util::stream;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use signalr::dotnet::FORMAT_DEPENDENT;
use signalr::dotnet::{Binary, DateTime, DateTimeOffset, Decimal, Guid, TimeSpan, Value};
use signalr::hub::Methods;
use signalr::{Caller, Hub, HubError};

/// Adds the methods.
pub(crate) fn methods<H: Hub>(methods: &mut Methods<H>) {
    macro_rules! echo {
        ($($name:literal: $type:ty),* $(,)?) => {
            $(methods.method($name, |_, _, (value,): ($type,)| async move { Ok(value) });)*
        };
    }
    echo! {
        "Echo": Option<String>,
        "EchoLong": i64,
        "EchoDouble": f64,
        "EchoFloat": f32,
        "EchoDecimal": Decimal,
        "EchoBool": bool,
        "EchoNullable": Option<i32>,
        "EchoGuid": Guid,
        "EchoDateTime": DateTime,
        "EchoDateTimeOffset": DateTimeOffset,
        "EchoTimeSpan": TimeSpan,
        "EchoBytes": Option<Binary>,
        "EchoInts": Option<Vec<i32>>,
        "EchoMap": Option<BTreeMap<String, i32>>,
        "EchoPerson": Option<Person>,
        "EchoColour": Colour,
        "EchoChar": char,
        "EchoObject": Value,
    }
    methods.method("Add", |_, _, (a, b): (i32, i32)| async move { Ok(a.wrapping_add(b)) });
    methods.method("Overflow", |_, _, (value,): (u8,)| async move { Ok(value.to_string()) });
    methods.method("ReturnsNull", |_, _, (): ()| async { Ok(None::<String>) });
    methods.method("ReturnsVoid", |_, _, (): ()| async { Ok(()) });
    methods.method("ReturnsTask", |_, _, (): ()| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    methods.method("ReturnsTaskOf", |_, _, (): ()| async {
        tokio::task::yield_now().await;
        Ok("later")
    });
    methods.method("ReturnsValueTask", |_, _, (): ()| async { Ok(7) });
    methods.method("renamed", |_, _, (): ()| async { Ok("renamed") });
    methods.method("Inherited", |_, _, (): ()| async { Ok("from the base class") });
    methods.stream("People", |_, _, (count,): (i32,)| async move {
        Ok(stream::iter((0..count).map(|n| Ok::<_, HubError>(numbered(n)))))
    });
    methods.method("NotifyArgs", |_, caller: Caller<H>, (): ()| async move {
        let ann = Person { name: Some("Ann".to_owned()), age: 3, ..Person::default() };
        caller.client().send("NotifiedArgs", ("text", 1, 2.5, true, None::<()>, [1, 2], ann)).await?;
        Ok(())
    });
}

fn numbered(n: i32) -> Person {
    Person { name: Some(format!("p{n}")), age: n, ..Person::default() }
}

/// A class with properties in C#; missing members keep their defaults.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Person {
    name: Option<String>,
    age: i32,
    favourite: Colour,
    born: DateTime,
    tags: Option<Vec<Option<String>>>,
    friend: Option<Box<Self>>,
}

/// A C# enum, which can hold any number; some numbers have names.
#[derive(Clone, Copy, Debug, Default)]
struct Colour(i32);

impl Colour {
    const NAMES: [&str; 3] = ["Red", "Green", "Blue"];

    /// Returns the name, or the digits of a number without a name, as C#'s `ToString`.
    fn name(self) -> Cow<'static, str> {
        let name = usize::try_from(self.0).ok().and_then(|index| Self::NAMES.get(index));
        name.map_or_else(|| self.0.to_string().into(), |&name| name.into())
    }

    /// Parses digits, or a comma-separated list of names whose bits are combined, as C#'s
    /// `Enum.Parse`.
    fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.trim().parse() {
            return Some(Self(number));
        }
        text.split(',').try_fold(Self(0), |Self(bits), name| {
            let index = Self::NAMES.iter().position(|known| *known == name.trim())?;
            Some(Self(bits | i32::try_from(index).ok()?))
        })
    }
}

/// Writes a number in JSON and a string in MessagePack.
impl Serialize for Colour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ByFormat(Colour);

        impl Serialize for ByFormat {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_i32(self.0.0)
                } else {
                    serializer.serialize_str(&self.0.name())
                }
            }
        }

        serializer.serialize_newtype_struct(FORMAT_DEPENDENT, &ByFormat(*self))
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FORMAT_DEPENDENT, ColourVisitor)
    }
}

struct ColourVisitor;

impl<'de> Visitor<'de> for ColourVisitor {
    type Value = Colour;

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Colour, D::Error> {
        if deserializer.is_human_readable() {
            i32::deserialize(deserializer).map(Colour)
        } else {
            deserializer.deserialize_str(self)
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Colour, E> {
        Colour::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a colour")
    }
}
