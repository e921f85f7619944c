//! Values in both hub protocols with both namings. The tables record the answers of ASP.NET Core
//! 10.0.12.

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

/// Returns a hub protocol with both namings.
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

/// Asserts that `wire` is read and written as `expected` with both namings; `None` means that
/// `wire` is rejected.
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
