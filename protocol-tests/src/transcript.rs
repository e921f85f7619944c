//! The format of a transcript.

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

/// One recorded exchange with a server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Transcript {
    /// The version of the format; only 1 is read.
    pub format: u32,
    /// `area/name`, as the file is called.
    pub name: String,
    /// What the exchange shows, in a sentence.
    pub about: String,
    /// What happens, in order.
    pub events: Vec<Event>,
}

/// One step of a transcript.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// Something the runner does.
    Do(Action),
    /// Something the runner awaits and compares.
    See(Expectation),
}

/// What the runner does.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Action {
    /// Mints an access token and binds it to a name.
    Token(TokenRequest),
    /// Starts an HTTP request and goes on at once.
    Http(ClientRequest),
    /// Opens a WebSocket.
    Ws(ClientRequest),
    /// Asks for server-sent events.
    Sse(ClientRequest),
    /// Splits what comes in another way from here on.
    Mode {
        /// The connection.
        on: String,
        /// The new way.
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
    /// Cuts the TCP connection.
    Abort {
        /// The connection.
        on: String,
    },
    /// Does nothing for a while.
    Wait {
        /// How long, in milliseconds.
        ms: u64,
    },
}

/// A request that the runner sends: an HTTP request, or one that opens a WebSocket or an event stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientRequest {
    /// The name of the connection from here on.
    #[serde(rename = "as")]
    pub name: String,
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers beyond those that every such request has.
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

/// What is written in a body or a message, borrowed from an [`ClientRequest`] or a `send`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Body<'a> {
    /// Text, in which names are filled in.
    Text(&'a str),
    /// Bytes, sent as they are.
    Bytes(&'a [u8]),
}

/// The values of one header: a list is one line for each.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum HeaderLines {
    /// The header is sent once.
    One(String),
    /// The header is sent once for each value.
    Many(Vec<String>),
}

/// How a stream of bytes is split into hub messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// JSON texts, each ended by a record separator.
    Json,
    /// MessagePack values, each behind its length.
    Msgpack,
}

/// What the runner awaits, and what it must be.
#[derive(Debug, Clone, Deserialize)]
#[non_exhaustive]
pub struct Expectation {
    /// What kind of thing is awaited.
    pub see: ExpectationKind,
    /// The connection on which it is awaited.
    pub of: String,
    /// How long a silence lasts, in milliseconds.
    pub ms: Option<u64>,
    /// How long after its request the connection ended, in milliseconds.
    #[serde(rename = "elapsedMs")]
    pub elapsed_ms: Option<u64>,
    /// Every other field: what is compared.
    #[serde(flatten)]
    pub expected: Map<String, Value>,
}

/// What kind of thing is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ExpectationKind {
    /// A whole HTTP response.
    Http,
    /// The answer to an upgrade or to a request for events.
    Opened,
    /// The next hub message that is no ping.
    Message,
    /// The next ping.
    Ping,
    /// No message but pings for a while.
    Silence,
    /// The end of the connection.
    Closed,
}

/// Why a transcript cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or folder cannot be read.
    #[error("{0} cannot be read")]
    Io(PathBuf, #[source] io::Error),
    /// A file is no transcript.
    #[error("{0} is no transcript: {1}")]
    Json(PathBuf, #[source] serde_json::Error),
    /// A transcript has another format.
    #[error("{0} has format {1}, not {FORMAT}")]
    Format(PathBuf, u32),
    /// A transcript is called otherwise than its file.
    #[error("{0} calls itself `{1}`")]
    Name(PathBuf, String),
}

impl Transcript {
    /// Reads every transcript `AREA/NAME.json` in a folder, in the order of their names.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or is no transcript of its name.
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

    /// Reads the transcript in one file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no transcript of its name.
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

    /// How long the transcript itself makes a replay last; what the server needs comes on top.
    #[must_use]
    pub fn min_duration(&self) -> Duration {
        // `elapsedMs` counts from the request, so it may hold waits that are counted too: good enough for an order.
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
    /// The body of the request, if it has one.
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
    /// The values, one for each line.
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

/// The one format there is.
const FORMAT: u32 = 1;

/// The keep-alive interval of the hub whose pings are awaited.
const PING_INTERVAL_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn events(json: Value) -> Result<Vec<Event>, serde_json::Error> {
        serde_json::from_value(json)
    }

    #[test]
    fn every_transcript_of_the_project_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/transcripts");
        let transcripts = Transcript::read_all(&folder).unwrap();
        assert!(transcripts.len() >= 356, "{} transcripts", transcripts.len());
        assert!(transcripts.iter().all(|transcript| !transcript.events.is_empty()));
    }

    #[test]
    fn unknown_fields_of_an_action_are_refused() {
        let error = events(serde_json::json!([{ "do": "abort", "on": "a", "after": 3 }])).unwrap_err();
        assert!(error.to_string().contains("unknown field `after`"), "{error}");
    }

    #[test]
    fn unknown_kinds_of_sight_are_refused() {
        let error = events(serde_json::json!([{ "see": "smoke", "of": "a" }])).unwrap_err();
        assert!(error.to_string().contains("unknown variant `smoke`"), "{error}");
    }

    #[test]
    fn fields_of_a_sight_that_are_not_instructions_are_compared() {
        let read = events(serde_json::json!([{ "see": "closed", "of": "a", "code": 1000, "elapsedMs": 7 }])).unwrap();
        let [Event::See(expectation)] = &read[..] else { panic!("{read:?}") };
        assert_eq!((expectation.see, expectation.elapsed_ms), (ExpectationKind::Closed, Some(7)));
        assert_eq!(Value::Object(expectation.expected.clone()), serde_json::json!({ "code": 1000 }));
    }

    #[test]
    fn pace_counts_waits_silences_and_closes() {
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
