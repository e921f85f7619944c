//! Hubs that differ in their options alone. Each is a type of its own, since the connections of a type are one world.

use signalr::{AnyClient, Hub, Methods};

use super::common::{self, Items};

macro_rules! hubs {
    ($($name:ident),* $(,)?) => {$(
        pub(crate) struct $name;

        impl Hub for $name {
            type Client = AnyClient;
            type Items = Items;

            fn methods(methods: &mut Methods<Self>) {
                methods.include(common::methods);
            }
        }
    )*};
}

hubs! {
    ConformanceHub,
    DetailedHub,
    ParallelHub,
    RelayHub,
    TightHub,
    StatefulHub,
    WebSocketsOnlyHub,
    NoWebSocketsHub,
    Version1OnlyHub,
}
