//! Options of a hub with their defaults resolved. The builder's methods document the defaults of
//! ASP.NET Core and their reasons.

use std::time::Duration;

use crate::protocol::{HubProtocolKind, Naming};

/// Options of a hub (C#: `HubOptions`).
#[derive(Clone, Debug)]
pub(crate) struct HubOptions {
    pub(crate) enable_detailed_errors: bool,
    pub(crate) maximum_receive_message_size: Option<usize>,
    pub(crate) maximum_parallel_invocations_per_client: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) keep_alive_interval: Duration,
    pub(crate) client_timeout_interval: Duration,
    pub(crate) supported_protocols: Vec<HubProtocolKind>,
    pub(crate) naming: Naming,
    pub(crate) stateful_reconnect_buffer_size: usize,
    pub(crate) stream_buffer_capacity: usize,
    pub(crate) max_streams: usize,
}
