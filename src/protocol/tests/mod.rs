//! Tests of the entire protocol: recorded vectors, malformed input, round trips.

mod frame;
mod handshake;
mod json;
mod malformed_input;
#[cfg(feature = "messagepack")]
mod messagepack;
mod round_trip;
mod values;
mod vectors;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};

use super::{
    HubMessage, HubProtocol, HubProtocolKind, InvocationMessage, Naming, ProtocolError, RawArguments, ReadError,
};

const JSON: HubProtocol = HubProtocol::new(HubProtocolKind::Json, Naming::Serde);

#[cfg(feature = "messagepack")]
const MESSAGEPACK: HubProtocol = HubProtocol::new(HubProtocolKind::MessagePack, Naming::Serde);

/// Configuration of property tests.
fn cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases: 256, failure_persistence: None, ..Default::default() }
}

/// Runs a test with every hub protocol.
fn each_protocol(test: impl Fn(HubProtocol)) {
    for &format in HubProtocolKind::ALL {
        test(HubProtocol::new(format, Naming::Serde));
    }
}

/// Visitor that takes arguments like a hub method with at most two parameters.
struct Parameters<T>(PhantomData<T>);

pub(super) trait List: Sized {
    fn take<'de, A: SeqAccess<'de>>(list: &mut A) -> Result<Option<Self>, A::Error>;
}

macro_rules! list {
    ($($name:ident)*) => {
        impl<$($name: DeserializeOwned),*> List for ($($name,)*) {
            #[expect(non_snake_case, reason = "the variables have the names of the type parameters")]
            fn take<'de, Access: SeqAccess<'de>>(list: &mut Access) -> Result<Option<Self>, Access::Error> {
                $(let Some($name) = list.next_element()? else { return Ok(None) };)*
                Ok(Some(($($name,)*)))
            }
        }
    };
}

impl List for () {
    fn take<'de, A: SeqAccess<'de>>(_: &mut A) -> Result<Option<Self>, A::Error> {
        Ok(Some(()))
    }
}

list!(A);
list!(A B);

impl<'de, T: List> Visitor<'de> for Parameters<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<T, A::Error> {
        T::take(&mut list)?.ok_or_else(|| A::Error::custom("too few arguments"))
    }
}

pub(super) fn bind<T: List>(arguments: &RawArguments<'_>, expected: usize) -> Result<T, ReadError> {
    arguments.bind_with(expected, || Parameters::<T>(PhantomData))
}

fn mismatch(type_name: &'static str, message: &str) -> ReadError {
    ReadError::Mismatch(ProtocolError::new(type_name, message.to_owned()))
}

fn malformed(type_name: &'static str, message: &str) -> ReadError {
    ReadError::Malformed(ProtocolError::new(type_name, message.to_owned()))
}

const WRONG_TYPE: &str = "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.";

/// Parses an invocation of an existing method.
fn call(protocol: HubProtocol, frame: &[u8]) -> InvocationMessage<'_> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::Invocation(call))) => call,
        other => panic!("{} is not an invocation: {other:?}", frame.escape_ascii()),
    }
}

/// Returns the error of a message that ends the connection, as the client receives it.
fn fatal(protocol: HubProtocol, frame: &[u8], known: bool) -> String {
    match protocol.parse(frame, |_| known) {
        Err(error) => format!("{}: {error}", error.type_name()),
        Ok(message) => panic!("{} is valid: {message:?}", frame.escape_ascii()),
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}
