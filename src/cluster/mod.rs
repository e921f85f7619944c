//! The servers of one hub type as one: sends, groups and client results across the servers of a
//! backplane (`aspnet: RedisHubLifetimeManager.cs`).
//!
//! A hub without a backplane has no `HubCluster`, and uses its registry alone.

mod acknowledgements;
mod backlog;
mod channel;
mod client_results;
mod hub_cluster;
mod membership;
mod payload;
mod queries;
mod receive;
mod resubscription;
mod send;

pub(crate) use client_results::RemoteResultError;
pub(crate) use hub_cluster::{ClusterOptions, HubCluster};
pub(crate) use payload::{ClusterQueryKind, GroupAction};
pub(crate) use queries::ClusterReplies;
pub(crate) use receive::attach;
pub(crate) use send::ClusterSendError;
