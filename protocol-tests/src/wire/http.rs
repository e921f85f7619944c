//! HTTP/1.1 requests, each on a separate connection.

use std::io;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, Response, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use regex::Regex;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::client::{Report, Reporter};
use super::{BadRequest, Server, failure, fields};
use crate::bindings::Bindings;
use crate::splitter::Splitter;
use crate::transcript::{Body, ClientRequest, Mode};

/// A response whose body may still be incomplete.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) response: Response<Incoming>,
    /// Keeps the connection open until it is dropped.
    pub(super) connection: Connection,
}

#[derive(Debug)]
pub(super) struct Connection {
    _sender: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

/// Error of a request without a response.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResponse {
    #[error("cannot connect to the server")]
    Connect(#[source] io::Error),
    #[error("no response from the server")]
    Http(#[from] hyper::Error),
}

/// Returns the request of a transcript.
pub(super) fn request(
    server: &Server,
    spec: &ClientRequest,
    bindings: &Bindings,
) -> Result<Request<Full<Bytes>>, BadRequest> {
    let body = match spec.body() {
        Some(Body::Text(text)) => Some(Bytes::from(bindings.fill(text))),
        Some(Body::Bytes(bytes)) => Some(Bytes::copy_from_slice(bytes)),
        None => None,
    };
    let mut request = builder(server, spec, bindings);
    if let Some(headers) = request.headers_mut() {
        let length = match &body {
            Some(body) => Some(body.len()),
            None if spec.method == Method::GET.as_str() => None,
            None => Some(0),
        };
        if let Some(length) = length {
            headers.entry(CONTENT_LENGTH).or_insert(length.into());
        }
        headers.entry(CONNECTION).or_insert(http::HeaderValue::from_static("close"));
    }
    Ok(request.body(Full::new(body.unwrap_or_default()))?)
}

/// Returns a request with the method, path and headers of the transcript.
pub(super) fn builder(server: &Server, spec: &ClientRequest, bindings: &Bindings) -> request::Builder {
    let mut request = Request::builder().method(spec.method.as_str()).uri(bindings.fill(&spec.path));
    for (name, lines) in &spec.headers {
        for line in lines.lines() {
            request = request.header(name, bindings.fill(line));
        }
    }
    match request.headers_ref() {
        Some(headers) if headers.contains_key(HOST) => request,
        _ => request.header(HOST, &server.authority),
    }
}

/// Sends the request and reports the complete response.
pub(super) async fn run(server: Server, request: Request<Full<Bytes>>, reporter: Reporter) {
    let end = match exchange(&server, request).await {
        Ok(exchange) => complete(exchange).await.unwrap_or_else(|error| failure(&error)),
        Err(error) => failure(&error),
    };
    reporter.send(Report::Ended(end));
}

/// Sends a request on a new connection and waits for the head of its response.
pub(super) async fn exchange(server: &Server, request: Request<Full<Bytes>>) -> Result<Exchange, NoResponse> {
    let stream = TcpStream::connect(&server.authority).await.map_err(NoResponse::Connect)?;
    stream.set_nodelay(true).map_err(NoResponse::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // The request or the body reports a failure of the connection, too.
    let driver = AbortOnDropHandle::new(tokio::spawn(async { drop(connection.with_upgrades().await) }));
    let response = sender.send_request(request).await?;
    Ok(Exchange { response, connection: Connection { _sender: sender, _driver: driver } })
}

/// Returns the headers that are compared: those that describe the body, and those that browsers act
/// on.
pub(super) fn compared_headers(headers: &HeaderMap) -> Value {
    let mut kept = Map::new();
    for name in COMPARED_HEADERS {
        let lines = headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes()));
        let lines = lines.collect::<Vec<_>>();
        if lines.is_empty() {
            continue;
        }
        let mut value = lines.join(", ");
        if name == WWW_AUTHENTICATE {
            value = DATE.replace_all(&value, MASKED_DATE).into_owned();
        }
        kept.insert(name.to_owned(), json!(value));
    }
    Value::Object(kept)
}

/// Fields of a response that does not open a connection.
pub(super) async fn rejection(exchange: Exchange) -> Map<String, Value> {
    let status = exchange.response.status().as_u16();
    let headers = compared_headers(exchange.response.headers());
    match exchange.response.into_body().collect().await {
        Ok(body) => {
            let mut rejection = fields([("refused", json!(status)), ("headers", headers)]);
            let text = body.to_bytes();
            if !text.is_empty() {
                rejection.insert("text".to_owned(), json!(String::from_utf8_lossy(&text)));
            }
            rejection
        }
        Err(error) => failure(&error),
    }
}

async fn complete(exchange: Exchange) -> Result<Map<String, Value>, hyper::Error> {
    let (head, body) = exchange.response.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut response = fields([("status", json!(head.status.as_u16())), ("headers", compared_headers(&head.headers))]);
    if let Some((name, value)) = content(response["headers"]["content-type"].as_str().unwrap_or_default(), &body) {
        response.insert(name.to_owned(), value);
    }
    Ok(response)
}

/// Parses a body as JSON, hub messages or other text.
fn content(content_type: &str, body: &Bytes) -> Option<(&'static str, Value)> {
    if body.is_empty() {
        return None;
    }
    if content_type.contains("json")
        && let Ok(json) = serde_json::from_slice(body)
    {
        return Some(("json", json));
    }
    if content_type.contains("octet-stream") {
        // The response to a poll does not name its hub protocol. Transcripts were recorded by
        // trying MessagePack first, so a JSON body whose first bytes are a valid length prefix
        // shows as `base64`.
        let messages = messages(Mode::Msgpack, body);
        let messages = if messages.is_empty() { self::messages(Mode::Json, body) } else { messages };
        return Some(("messages", messages.into()));
    }
    if body.contains(&b'\x1e') {
        return Some(("messages", messages(Mode::Json, body).into()));
    }
    Some(("text", json!(String::from_utf8_lossy(body))))
}

fn messages(mode: Mode, body: &Bytes) -> Vec<Value> {
    let messages = Splitter::split(mode, body).into_iter();
    messages.filter(|message| !message.ping).map(|message| Value::Object(message.fields)).collect()
}

const COMPARED_HEADERS: [&str; 11] = [
    "content-type",
    "www-authenticate",
    "cache-control",
    "pragma",
    "content-encoding",
    "location",
    "allow",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
];

/// Date in a challenge, which differs in every run.
static DATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"'[0-9]{2}/[0-9]{2}/[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2}'").expect("the expression is a constant")
});

const MASKED_DATE: &str = "'MM/DD/YYYY hh:mm:ss'";

#[cfg(test)]
mod tests {
    use super::*;

    fn content_of(content_type: &str, body: &'static [u8]) -> Value {
        content(content_type, &Bytes::from_static(body)).map_or(Value::Null, |(name, value)| json!({ name: value }))
    }

    #[test]
    fn bodies_are_parsed_by_content_type() {
        assert_eq!(content_of("application/json", b"{}"), json!({ "json": {} }));
        assert_eq!(content_of("application/json", b"{"), json!({ "text": "{" }));
        assert_eq!(content_of("text/plain", b"no"), json!({ "text": "no" }));
        assert_eq!(content_of("text/plain", b""), Value::Null);
    }

    #[test]
    fn polls_are_parsed_in_either_protocol_without_pings() {
        let json = content_of("application/octet-stream", b"{\"type\":6}\x1e{}\x1e");
        assert_eq!(json, json!({ "messages": [{ "json": {} }] }));
        let msgpack = content_of("application/octet-stream", b"\x02\x91\x06\x02\x91\x07");
        assert_eq!(msgpack, json!({ "messages": [{ "msgpack": [7] }] }));
    }

    #[test]
    fn irrelevant_headers_are_dropped_and_dates_are_masked() {
        let mut headers = HeaderMap::new();
        headers.append("server", http::HeaderValue::from_static("x"));
        headers.append("pragma", http::HeaderValue::from_static("a"));
        headers.append("pragma", http::HeaderValue::from_static("b"));
        headers.append("www-authenticate", http::HeaderValue::from_static("expired at '01/31/2020 10:20:30'"));
        let expected = json!({ "pragma": "a, b", "www-authenticate": "expired at 'MM/DD/YYYY hh:mm:ss'" });
        assert_eq!(compared_headers(&headers), expected);
    }

    #[test]
    fn requests_have_the_parts_that_the_transcript_lists() {
        let spec = serde_json::from_value(json!({
            "as": "h", "method": "PUT", "path": "/x?id=${t}", "text": "<${t}>",
            "headers": { "authorization": ["a ${t}", "b"], "connection": "Upgrade" },
        }));
        let mut bindings = Bindings::default();
        bindings.bind("t", "7".to_owned());
        let request = request(&"http://h:1".parse().unwrap(), &spec.unwrap(), &bindings).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("PUT", "/x?id=7".to_owned()));
        let lines =
            |name| request.headers().get_all(name).iter().map(|line| line.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(lines("authorization"), ["a 7", "b"]);
        assert_eq!(lines("connection"), ["Upgrade"]);
        assert_eq!(lines("content-length"), ["3"]);
        assert_eq!(lines("host"), ["h:1"]);
    }
}
