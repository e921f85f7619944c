//! Heap allocations of a broadcast on one server: a backplane that is not used costs none.
//!
//! The allocator counts for the whole process, so this is a separate binary.

#![cfg(feature = "messagepack")]

use std::alloc::System;

use signalr::{HubContext, HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, serve};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Number of clients with each hub protocol.
const CLIENTS: usize = 20;

/// The queue of each client, and three for the message of each hub protocol.
const MAX_ALLOCATIONS: usize = 2 * CLIENTS + 6;

struct Ticker;

#[hub]
impl Ticker {}

#[tokio::test]
async fn broadcasts_on_one_server_allocate_for_each_hub_protocol_only() {
    let signalr = SignalR::builder().hub("/ticker", Ticker).build().unwrap();
    let addr = serve(&signalr).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        for protocol in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
            clients.push(Client::connect(addr, "/ticker", protocol).await);
        }
    }
    let hub: HubContext<Ticker> = signalr.context();
    let all = hub.clients().all();
    for _ in 0..3 {
        all.send("Tick", (1,)).await.unwrap();
        for client in &mut clients {
            client.next().await.unwrap();
        }
    }
    let region = Region::new(ALLOCATOR);
    all.send("Tick", (1,)).await.unwrap();
    let allocations = region.change().allocations;
    assert!(allocations <= MAX_ALLOCATIONS, "{allocations} allocations");
}
