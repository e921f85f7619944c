//! Hubs that differ only in the options of their endpoints. They are separate types because
//! endpoints with the same hub type share their connections, groups and users.

use signalr::Hub;
use signalr::hub::{AnyClient, Methods};

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
