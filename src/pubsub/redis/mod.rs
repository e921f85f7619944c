//! A backplane by publish/subscribe of Redis, Valkey and servers with the same protocol.

mod backoff;
mod backplane;
mod connector;
mod options;
mod paced_socket;
mod publisher;
mod subscriber;
mod subscriptions;

pub use backplane::RedisBackplane;
pub use options::RedisConfigError;
