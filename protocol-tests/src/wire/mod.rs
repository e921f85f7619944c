//! Connections to a server: HTTP requests, WebSockets and event streams. Of the hub protocol only
//! the framing of messages is implemented here.

mod client;
mod http;
mod sse;
mod websocket;

use std::fmt;
use std::str::FromStr;

use ::http::Uri;
use serde_json::{Map, Value, json};

pub(crate) use client::Client;

use crate::bindings::Bindings;
use crate::transcript::ClientRequest;

/// Address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    authority: String,
}

/// Error of parsing a [`Server`] that is not `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid address `{0}`: expected http://host:port")]
#[non_exhaustive]
pub struct BadAddress(String);

impl Server {
    /// Starts an HTTP request.
    pub(crate) fn http(&self, spec: &ClientRequest, bindings: &Bindings) -> Result<Client, BadRequest> {
        let request = http::request(self, spec, bindings)?;
        let server = self.clone();
        Ok(Client::start(|reporter, _outgoing| http::run(server, request, reporter)))
    }

    /// Starts the upgrade to a WebSocket.
    pub(crate) fn websocket(&self, spec: &ClientRequest, bindings: &Bindings) -> Result<Client, BadRequest> {
        let request = websocket::request(self, spec, bindings)?;
        let server = self.clone();
        Ok(Client::start(|reporter, outgoing| websocket::run(server, request, reporter, outgoing)))
    }

    /// Starts a request for server-sent events.
    pub(crate) fn events(&self, spec: &ClientRequest, bindings: &Bindings) -> Result<Client, BadRequest> {
        let request = sse::request(self, spec, bindings)?;
        let server = self.clone();
        Ok(Client::start(|reporter, _outgoing| sse::run(server, request, reporter)))
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

impl FromStr for Server {
    type Err = BadAddress;

    fn from_str(address: &str) -> Result<Self, Self::Err> {
        let bad = || BadAddress(address.to_owned());
        let uri: Uri = address.parse().map_err(|_| bad())?;
        match (uri.scheme_str(), uri.authority(), uri.path()) {
            (Some("http"), Some(authority), "/") if authority.port().is_some() => {
                Ok(Self { authority: authority.to_string() })
            }
            _ => Err(bad()),
        }
    }
}

/// Error of a transcript with an invalid request.
#[derive(Debug, thiserror::Error)]
#[error("invalid request: {0}")]
pub(crate) struct BadRequest(#[from] ::http::Error);

/// Fields of a response that failed before it was complete.
fn failure(error: &dyn std::error::Error) -> Map<String, Value> {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    fields([("error", json!(text))])
}

/// Creates a JSON object.
fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_is_a_host_with_a_port() {
        assert_eq!("http://127.0.0.1:5000".parse(), Ok(Server { authority: "127.0.0.1:5000".to_owned() }));
        assert_eq!("http://localhost:5000/".parse(), Ok(Server { authority: "localhost:5000".to_owned() }));
        for address in ["", "127.0.0.1:5000", "https://a:1", "http://a", "http://a:1/hub"] {
            assert_eq!(address.parse::<Server>(), Err(BadAddress(address.to_owned())));
        }
    }
}
