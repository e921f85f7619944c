//! Values in both formats, with either naming. The tables are what ASP.NET Core 10.0.12 answered.

mod decimals;
mod dynamic;
mod json;
#[cfg(feature = "messagepack")]
mod messagepack;
mod nested_values;
mod properties;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::protocol::{HubProtocol, HubProtocolKind, Naming};

/// Both namings of a format.
fn namings(format: HubProtocolKind) -> [HubProtocol; 2] {
    [Naming::Serde, Naming::DotNet].map(|naming| HubProtocol::new(format, naming))
}

fn everywhere() -> impl Iterator<Item = HubProtocol> {
    HubProtocolKind::ALL.iter().flat_map(|&format| namings(format))
}

fn written<T: Serialize + ?Sized>(protocol: HubProtocol, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    protocol.write_value(&mut out, value).unwrap();
    out
}

/// `wire` is read and written again, in both namings; what is written is `None` where nothing is to be read.
#[track_caller]
fn echoes<T: Serialize + DeserializeOwned>(format: HubProtocolKind, wire: &[u8], expected: Option<&[u8]>) {
    for protocol in namings(format) {
        let echoed = protocol.read_value::<T>(wire).ok().map(|value| written(protocol, &value));
        let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(echoed.as_deref().map(show), expected.map(show), "{} {:?}", show(wire), protocol.naming());
    }
}

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(protocol: HubProtocol, value: &T) {
    assert_eq!(protocol.read_value(&written(protocol, value)).as_ref(), Ok(value), "{protocol:?}");
}
