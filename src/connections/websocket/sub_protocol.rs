//! Subprotocol of a WebSocket.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::handshake::items;

/// Selects one of the subprotocols that a client requests (C#:
/// `WebSocketOptions.SubProtocolSelector`).
#[derive(Clone)]
pub(crate) struct SubProtocolSelector(Arc<Select>);

type Select = dyn Fn(&[&str]) -> Option<String> + Send + Sync;

impl SubProtocolSelector {
    pub(crate) fn new(select: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(select))
    }

    /// Returns the response header with the selected subprotocol, if any.
    pub(super) fn select(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let requested: Vec<_> =
            items(request, SEC_WEBSOCKET_PROTOCOL).filter(|protocol| !protocol.is_empty()).collect();
        let selected = (self.0)(&requested).filter(|protocol| !protocol.trim().is_empty())?;
        let header = HeaderValue::try_from(selected);
        if header.is_err() {
            tracing::warn!(target: "signalr::connection", "selected subprotocol is not a valid header value");
        }
        header.ok()
    }
}

impl fmt::Debug for SubProtocolSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubProtocolSelector")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the arguments of a selector that returns `selection`, and the resulting header.
    fn select(lines: &[&'static str], selection: Option<&'static str>) -> (String, Option<HeaderValue>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        let requested = Arc::new(std::sync::Mutex::new(String::new()));
        let protocols_seen = Arc::clone(&requested);
        let selector = SubProtocolSelector::new(move |protocols| {
            *protocols_seen.lock().unwrap() = protocols.join("|");
            selection.map(str::to_owned)
        });
        let selected = selector.select(&headers);
        let requested = requested.lock().unwrap().clone();
        (requested, selected)
    }

    #[test]
    fn selectors_receive_the_subprotocols_of_the_client() {
        assert_eq!(select(&["a, b", "c,,"], Some("b")), ("a|b|c".to_owned(), Some(HeaderValue::from_static("b"))));
        assert_eq!(select(&[], Some("x")), (String::new(), Some(HeaderValue::from_static("x"))));
    }

    #[test]
    fn blank_or_invalid_subprotocols_are_not_sent() {
        for selection in [None, Some(""), Some(" \t"), Some("a\r\nb")] {
            assert_eq!(select(&["a"], selection).1, None, "{selection:?}");
        }
    }
}
