//! The sub-protocol of a WebSocket, for clients that ask for one.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use super::handshake::items;

/// Chooses a sub-protocol from those that a client asks for (C#: `WebSocketOptions.SubProtocolSelector`).
#[derive(Clone)]
pub(crate) struct SubProtocolSelector(Arc<Select>);

type Select = dyn Fn(&[&str]) -> Option<String> + Send + Sync;

impl SubProtocolSelector {
    pub(crate) fn new(select: impl Fn(&[&str]) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(select))
    }

    /// The header of the answer, if there is one.
    pub(super) fn select(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let asked: Vec<_> = items(request, SEC_WEBSOCKET_PROTOCOL).filter(|protocol| !protocol.is_empty()).collect();
        let selected = (self.0)(&asked).filter(|protocol| !protocol.trim().is_empty())?;
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

    /// What a selector is asked that answers `answer`, and the header of it.
    fn select(lines: &[&'static str], answer: Option<&'static str>) -> (String, Option<HeaderValue>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(line));
        }
        let asked = Arc::new(std::sync::Mutex::new(String::new()));
        let heard = Arc::clone(&asked);
        let selector = SubProtocolSelector::new(move |protocols| {
            *heard.lock().unwrap() = protocols.join("|");
            answer.map(str::to_owned)
        });
        let selected = selector.select(&headers);
        let asked = asked.lock().unwrap().clone();
        (asked, selected)
    }

    #[test]
    fn the_selector_is_given_the_list_of_the_client() {
        assert_eq!(select(&["a, b", "c,,"], Some("b")), ("a|b|c".to_owned(), Some(HeaderValue::from_static("b"))));
        assert_eq!(select(&[], Some("x")), (String::new(), Some(HeaderValue::from_static("x"))));
    }

    #[test]
    fn blanks_and_what_is_no_header_leave_it_out() {
        for answer in [None, Some(""), Some(" \t"), Some("a\r\nb")] {
            assert_eq!(select(&["a"], answer).1, None, "{answer:?}");
        }
    }
}
