//! Server-sent events.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;

use super::client::{Report, Reporter};
use super::http::{builder, compared_headers, exchange, rejection};
use super::{BadRequest, Server, failure, fields};
use crate::bindings::Bindings;
use crate::transcript::ClientRequest;

/// Returns the request for an event stream.
pub(super) fn request(
    server: &Server,
    spec: &ClientRequest,
    bindings: &Bindings,
) -> Result<Request<Full<Bytes>>, BadRequest> {
    let mut request = builder(server, spec, bindings);
    if let Some(headers) = request.headers_mut() {
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/event-stream"));
    }
    Ok(request.body(Full::default())?)
}

/// Reports the data of the events until the response ends.
pub(super) async fn run(server: Server, request: Request<Full<Bytes>>, reporter: Reporter) {
    let exchange = match exchange(&server, request).await {
        Ok(exchange) if exchange.response.status() == StatusCode::OK => exchange,
        Ok(exchange) => return reporter.send(Report::Ended(rejection(exchange).await)),
        Err(error) => return reporter.send(Report::Ended(failure(&error))),
    };
    reporter.send(Report::Opened(fields([
        ("open", json!(true)),
        ("status", json!(StatusCode::OK.as_u16())),
        ("headers", compared_headers(exchange.response.headers())),
    ])));
    let mut body = exchange.response.into_body();
    let mut events = Events::default();
    let end = loop {
        match body.frame().await {
            Some(Ok(frame)) => {
                for data in frame.data_ref().into_iter().flat_map(|data| events.push(data)) {
                    reporter.send(Report::Bytes { bytes: data.into(), binary: false });
                }
            }
            Some(Err(error)) => break failure(&error),
            None => break fields([("ended", json!(true))]),
        }
    };
    reporter.send(Report::Ended(end));
    drop(exchange.connection);
}

/// Splits an event stream into the data of each event.
#[derive(Debug, Default)]
struct Events {
    /// Received part of the current line.
    line: Vec<u8>,
    /// Data of the current event.
    data: Option<Vec<u8>>,
}

impl Events {
    /// Returns the data of each event that ends in this chunk.
    fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut ended = Vec::new();
        for &byte in chunk {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                ended.extend(self.line_ended(line.strip_suffix(b"\r").unwrap_or(&line)));
            } else {
                self.line.push(byte);
            }
        }
        ended
    }

    fn line_ended(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            return self.data.take().filter(|data| !data.is_empty());
        }
        // Comments, and fields other than data, have no meaning in SignalR.
        let value = line.strip_prefix(b"data:")?;
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&str]) -> Vec<String> {
        let mut events = Events::default();
        let data = chunks.iter().flat_map(|chunk| events.push(chunk.as_bytes()));
        data.map(|data| String::from_utf8(data).unwrap()).collect()
    }

    #[test]
    fn events_end_at_empty_lines() {
        assert_eq!(events(&["data: a\r\n\r\ndata:b\n\ndata: c\n"]), ["a", "b"]);
    }

    #[test]
    fn events_may_span_chunks() {
        assert_eq!(events(&["da", "ta: a\r", "\n", "\r", "\n"]), ["a"]);
    }

    #[test]
    fn lines_of_data_are_joined() {
        assert_eq!(events(&["data: a\ndata: b\n\n"]), ["a\nb"]);
    }

    #[test]
    fn comments_and_other_fields_are_ignored() {
        assert_eq!(events(&[":\r\n\r\nevent: x\nid: 1\n\ndata:\n\n"]), [""; 0]);
    }
}
