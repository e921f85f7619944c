//! Format of a transcript.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::token::TokenRequest;

/// Recorded exchange with a server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Transcript {
    /// Version of the format, always 1.
    pub format: u32,
    /// `area/name`, equal to the path of the file.
    pub name: String,
    /// Description of the case in a sentence.
    pub about: String,
    /// Events in order.
    pub events: Vec<Event>,
}

/// One step of a transcript.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Action of the runner.
    Do(Action),
    /// Expectation that the runner awaits and compares.
    See(Expectation),
}

/// Action of the runner.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Creates an access token and binds it to a name.
    Token(TokenRequest),
    /// Starts an HTTP request and continues at once.
    Http(ClientRequest),
    /// Opens a WebSocket.
    Ws(ClientRequest),
    /// Requests server-sent events.
    Sse(ClientRequest),
    /// Splits received bytes in another mode from here on.
    Mode {
        /// The connection.
        on: String,
        /// The new mode.
        mode: Mode,
    },
    /// Sends one WebSocket message.
    Send {
        /// The connection.
        on: String,
        /// A text message.
        text: Option<String>,
        /// A binary message.
        #[serde(default, deserialize_with = "decoded")]
        base64: Option<Vec<u8>>,
    },
    /// Closes a WebSocket, or drops a response.
    Close {
        /// The connection.
        on: String,
        /// The close code.
        #[serde(default = "normal_closure")]
        code: u16,
        /// The close reason.
        #[serde(default)]
        reason: String,
    },
    /// Aborts the TCP connection.
    Abort {
        /// The connection.
        on: String,
    },
    /// Waits.
    Wait {
        /// Duration in milliseconds.
        ms: u64,
    },
}

/// HTTP request of the runner, which may open a WebSocket or an event stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientRequest {
    /// Name of the connection from here on.
    #[serde(rename = "as")]
    pub name: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in addition to those of every such request.
    #[serde(default)]
    pub headers: BTreeMap<String, HeaderLines>,
    /// The WebSocket subprotocols to offer.
    #[serde(default)]
    pub subprotocols: Vec<String>,
    /// A body of text.
    pub text: Option<String>,
    /// A body of bytes.
    #[serde(default, deserialize_with = "decoded")]
    pub base64: Option<Vec<u8>>,
}

/// Content of a body or a message, borrowed from a [`ClientRequest`] or a `send`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Text, in which bound names are replaced.
    Text(&'a str),
    /// Bytes, sent unchanged.
    Bytes(&'a [u8]),
}

/// Values of one header; a list is sent as one line for each value.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum HeaderLines {
    /// The header is sent once.
    One(String),
    /// The header is sent once for each value.
    Many(Vec<String>),
}

/// Mode in which a byte stream is split into hub messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// JSON texts, each terminated by a record separator.
    Json,
    /// MessagePack values, each with a length prefix.
    Msgpack,
}

/// Expectation that the runner awaits and compares.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Expectation {
    /// Kind of the expectation.
    pub see: ExpectationKind,
    /// Connection on which it is awaited.
    pub of: String,
    /// Duration of a silence in milliseconds.
    pub ms: Option<u64>,
    /// Time from the opening of the connection to its end, in milliseconds.
    #[serde(rename = "elapsedMs")]
    pub elapsed_ms: Option<u64>,
    /// All other fields, which are compared.
    #[serde(flatten)]
    pub expected: Map<String, Value>,
}

/// Kind of an expectation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExpectationKind {
    /// A complete HTTP response.
    Http,
    /// The response to an upgrade or to a request for events.
    Opened,
    /// The next hub message except pings.
    Message,
    /// The next ping.
    Ping,
    /// No message except pings for a time.
    Silence,
    /// The end of the connection.
    Closed,
}

/// Error of reading a transcript.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or folder cannot be read.
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file is not a transcript.
    #[error("invalid transcript {0}: {1}")]
    Json(PathBuf, #[source] serde_json::Error),
    /// A transcript has an unknown format version.
    #[error("unsupported format {1} in {0}, expected {FORMAT}")]
    Format(PathBuf, u32),
    /// The name of a transcript differs from its path.
    #[error("wrong name `{1}` in {0}")]
    Name(PathBuf, String),
}

impl Transcript {
    /// Reads all transcripts `AREA/NAME.json` in a folder, sorted by name.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be read or is not a transcript with its name.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>, ReadError> {
        let mut transcripts = Vec::new();
        for area in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
            for file in entries(&area)?.into_iter().filter(|path| path.extension().is_some_and(|it| it == "json")) {
                transcripts.push(Self::read(&file)?);
            }
        }
        transcripts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(transcripts)
    }

    /// Reads one transcript.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or is not a transcript with its name.
    pub fn read(file: &Path) -> Result<Self, ReadError> {
        let text = fs::read(file).map_err(|error| ReadError::Io(file.to_owned(), error))?;
        let transcript: Self =
            serde_json::from_slice(&text).map_err(|error| ReadError::Json(file.to_owned(), error))?;
        if transcript.format != FORMAT {
            return Err(ReadError::Format(file.to_owned(), transcript.format));
        }
        if !file.with_extension("").ends_with(&transcript.name) {
            return Err(ReadError::Name(file.to_owned(), transcript.name));
        }
        Ok(transcript)
    }

    /// Sum of the times that the transcript itself waits, without the time of the server.
    #[must_use]
    pub fn min_duration(&self) -> Duration {
        // `elapsedMs` counts from the opening, so some waits are counted twice. That is good enough
        // for sorting.
        let of = |event: &Event| match event {
            Event::Do(Action::Wait { ms }) => *ms,
            Event::See(Expectation { see: ExpectationKind::Ping, .. }) => PING_INTERVAL_MS,
            Event::See(expectation) => expectation.ms.unwrap_or(0) + expectation.elapsed_ms.unwrap_or(0),
            Event::Do(_) => 0,
        };
        Duration::from_millis(self.events.iter().map(of).sum())
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Map::deserialize(deserializer)?;
        let seen = event.contains_key("see");
        let event = Value::Object(event);
        if seen { Expectation::deserialize(event).map(Self::See) } else { Action::deserialize(event).map(Self::Do) }
            .map_err(serde::de::Error::custom)
    }
}

impl ClientRequest {
    /// Body of the request, if any.
    #[must_use]
    pub fn body(&self) -> Option<Body<'_>> {
        Body::of(self.text.as_deref(), self.base64.as_deref())
    }
}

impl<'a> Body<'a> {
    pub(crate) fn of(text: Option<&'a str>, bytes: Option<&'a [u8]>) -> Option<Self> {
        text.map(Body::Text).or_else(|| bytes.map(Body::Bytes))
    }
}

impl HeaderLines {
    /// Values, one for each line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>();
    read().map_err(|error| ReadError::Io(folder.to_owned(), error))
}

fn decoded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map(Some).map_err(serde::de::Error::custom)
}

fn get() -> String {
    "GET".to_owned()
}

const fn normal_closure() -> u16 {
    1000
}

/// Version of the format.
const FORMAT: u32 = 1;

/// Keep-alive interval of the hub whose pings are awaited, in milliseconds.
const PING_INTERVAL_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(json: Value) -> Result<Vec<Event>, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn all_transcripts_of_the_project_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/transcripts");
        let transcripts = Transcript::read_all(&folder).unwrap();
        assert!(transcripts.len() >= 356, "{} transcripts", transcripts.len());
        assert!(transcripts.iter().all(|transcript| !transcript.events.is_empty()));
    }

    #[test]
    fn unknown_fields_of_an_action_are_rejected() {
        let error = events(serde_json::json!([{ "do": "abort", "on": "a", "after": 3 }])).unwrap_err();
        assert!(error.to_string().contains("unknown field `after`"), "{error}");
    }

    #[test]
    fn unknown_kinds_of_expectation_are_rejected() {
        let error = events(serde_json::json!([{ "see": "smoke", "of": "a" }])).unwrap_err();
        assert!(error.to_string().contains("unknown variant `smoke`"), "{error}");
    }

    #[test]
    fn other_fields_of_an_expectation_are_compared() {
        let read = events(serde_json::json!([{ "see": "closed", "of": "a", "code": 1000, "elapsedMs": 7 }])).unwrap();
        let [Event::See(expectation)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((expectation.see, expectation.elapsed_ms), (ExpectationKind::Closed, Some(7)));
        assert_eq!(Value::Object(expectation.expected.clone()), serde_json::json!({ "code": 1000 }));
    }

    #[test]
    fn min_duration_counts_waits_silences_and_closes() {
        let events = events(serde_json::json!([
            { "do": "wait", "ms": 100 },
            { "see": "silence", "of": "a", "ms": 20, "held": true },
            { "see": "closed", "of": "a", "code": 1000, "elapsedMs": 3 },
        ]));
        let transcript =
            Transcript { format: 1, name: "a/b".to_owned(), about: String::new(), events: events.unwrap() };
        assert_eq!(transcript.min_duration(), Duration::from_millis(123));
    }
}
