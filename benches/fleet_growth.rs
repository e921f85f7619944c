//! Growth of a fleet: 50 servers in this process on one Redis, 2,000 connections and 200,000 group
//! memberships. By hand, since it takes a minute and needs `redis-server`:
//!
//! ```text
//! cargo bench --profile example --features redis --bench fleet_growth
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a failure ends the benchmark")]

use std::alloc::System;
use std::time::Instant;

use futures_util::future::join_all;
use signalr::auth::User;
use signalr::backplane::RedisBackplane;
use signalr::testing::{TestClient, TestHost};
use signalr::{HubProtocolKind, hub};
use signalr_test_support::RedisServer;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SERVERS: usize = 50;
const CLIENTS_PER_SERVER: usize = 40;
const GROUPS_PER_CLIENT: usize = 100;
const GROUPS: usize = 5000;

struct Board;

#[hub]
impl Board {}

#[tokio::main]
async fn main() {
    let Some(redis) = RedisServer::start(&[]) else { return };
    let mut hosts = Vec::new();
    for _ in 0..SERVERS {
        let backplane = RedisBackplane::new(redis.url()).unwrap();
        hosts.push(
            TestHost::builder(Board).with(|builder| builder.backplane(backplane).dotnet_namespace("Growth")).build(),
        );
    }
    let mut clients: Vec<Vec<TestClient>> = Vec::new();
    for host in &hosts {
        let connected = (0..CLIENTS_PER_SERVER).map(|_| host.connect(HubProtocolKind::Json, User::anonymous()));
        clients.push(join_all(connected).await);
    }
    let (before, began) = (live_bytes(), Instant::now());
    for (server, (host, clients)) in hosts.iter().zip(&clients).enumerate() {
        let groups = host.context().groups();
        for (index, client) in clients.iter().enumerate() {
            let first = (server * CLIENTS_PER_SERVER + index) * GROUPS_PER_CLIENT;
            let joins = (0..GROUPS_PER_CLIENT)
                .map(|at| groups.add(client.connection_id(), format!("group {}", (first + at) % GROUPS)));
            join_all(joins).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
        }
    }
    let memberships = SERVERS * CLIENTS_PER_SERVER * GROUPS_PER_CLIENT;
    println!("{memberships} memberships in {:.1} s", began.elapsed().as_secs_f64());
    println!("{} bytes of heap for each membership, subscriptions included", (live_bytes() - before) / memberships);
    let subscriptions: Vec<_> =
        hosts.iter().map(|host| host.signalr().stats().backplane.unwrap().subscriptions).collect();
    println!(
        "subscriptions of a server: {} to {}",
        subscriptions.iter().min().unwrap(),
        subscriptions.iter().max().unwrap()
    );
    println!("channels of Redis: {}", redis.run(&["PUBSUB", "CHANNELS"]).lines().count());
    println!(
        "{}",
        redis.run(&["INFO", "memory"]).lines().find(|line| line.starts_with("used_memory_human")).unwrap_or_default()
    );

    for (name, receivers) in [("a group", 0), ("all", SERVERS * CLIENTS_PER_SERVER)] {
        let published = publishes(&redis);
        let began = Instant::now();
        for _ in 0..100 {
            let all = hosts[0].context().clients();
            match receivers {
                0 => all.group("group 7").send("Told", ("text",)).await.unwrap(),
                _ => all.all().send("Told", ("text",)).await.unwrap(),
            }
        }
        let each = began.elapsed().as_secs_f64() * 1e6 / 100.0;
        println!("to {name}: {} publishes for 100 sends, {each:.0} us each", publishes(&redis) - published);
    }
}

fn publishes(redis: &RedisServer) -> usize {
    let stats = redis.run(&["INFO", "commandstats"]);
    let calls = stats.split("cmdstat_publish:calls=").nth(1).and_then(|rest| rest.split(',').next());
    calls.and_then(|calls| calls.parse().ok()).unwrap_or_default()
}

fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}
