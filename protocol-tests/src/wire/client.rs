//! One named connection of a transcript: a task that holds it, and what arrived from it so far.

use std::pin::pin;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite;
use tokio_util::task::AbortOnDropHandle;

use super::fields;
use crate::splitter::{Message, Splitter};
use crate::transcript::Mode;

/// A connection of the runner. Dropping it cuts the TCP connection.
#[derive(Debug)]
pub(crate) struct Client {
    // What arrives is kept without a bound, so that a server never feels that its client is a transcript: no transcript
    // makes it send more than a few megabytes.
    reports: UnboundedReceiver<Report>,
    outgoing: UnboundedSender<tungstenite::Message>,
    splitter: Splitter,
    next: Option<Message>,
    opened: Option<Map<String, Value>>,
    ended: Option<Map<String, Value>>,
    is_websocket: bool,
    _task: AbortOnDropHandle<()>,
}

/// What the task of a connection reports.
#[derive(Debug)]
pub(super) enum Report {
    /// The connection is open; the fields are those of an `opened` expectation.
    Opened(Map<String, Value>),
    /// A piece of the byte stream of hub messages.
    Bytes { bytes: Bytes, binary: bool },
    /// The connection ended; the fields are those of a `closed`, an `http` or a refused `opened` expectation.
    Ended(Map<String, Value>),
}

/// Where the task of a connection sends its reports. They get lost when the client is dropped.
#[derive(Debug)]
pub(super) struct Reporter(UnboundedSender<Report>);

impl Reporter {
    pub(super) fn send(&self, report: Report) {
        // The task is aborted with the client that would have read this.
        let _ = self.0.send(report);
    }
}

impl Client {
    pub(super) fn start<F>(run: impl FnOnce(Reporter, UnboundedReceiver<tungstenite::Message>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (reporter, reports) = unbounded_channel();
        let (outgoing, to_send) = unbounded_channel();
        let run = run(Reporter(reporter), to_send);
        Self {
            reports,
            // Only a WebSocket keeps the end that takes outgoing.
            is_websocket: !outgoing.is_closed(),
            outgoing,
            splitter: Splitter::new(Mode::Json),
            next: None,
            opened: None,
            ended: None,
            _task: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }

    /// Splits what has not been seen yet in another way.
    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.splitter.set_mode(mode);
    }

    /// Whether messages can be sent on it.
    pub(crate) fn is_websocket(&self) -> bool {
        self.is_websocket
    }

    /// Sends a WebSocket message, unless the connection is over.
    pub(crate) fn send(&self, message: tungstenite::Message) {
        let _ = self.outgoing.send(message);
    }

    /// The opening of the connection, or its end where it came first. `None` when neither comes by the deadline.
    ///
    /// # Cancel safety
    ///
    /// Nothing that arrived is lost.
    pub(crate) async fn opened(&mut self, deadline: Instant) -> Option<Map<String, Value>> {
        loop {
            if let Some(answer) = self.opened.as_ref().or(self.ended.as_ref()) {
                return Some(answer.clone());
            }
            self.receive_report(deadline).await?;
        }
    }

    /// The end of the connection, or the whole response. `None` when it does not come by the deadline.
    ///
    /// # Cancel safety
    ///
    /// Nothing that arrived is lost.
    pub(crate) async fn ended(&mut self, deadline: Instant) -> Option<Map<String, Value>> {
        loop {
            if let Some(end) = &self.ended {
                return Some(end.clone());
            }
            self.receive_report(deadline).await?;
        }
    }

    /// The next message that is a ping, or that is none; the others before it are passed over. `gone` when the
    /// connection ends first, `None` when neither comes by the deadline.
    ///
    /// # Cancel safety
    ///
    /// What was passed over is lost, nothing else.
    pub(crate) async fn message(&mut self, ping: bool, deadline: Instant) -> Option<Map<String, Value>> {
        loop {
            match self.peek(deadline).await {
                Some(Some(_)) => {}
                Some(None) => return Some(fields([("gone", json!(true))])),
                None => return None,
            }
            if let Some(message) = self.next.take_if(|message| message.ping == ping) {
                return Some(message.fields);
            }
            self.next = None;
        }
    }

    /// Whether the connection stays open and no message but pings comes until the deadline.
    ///
    /// # Cancel safety
    ///
    /// Pings are lost, nothing else.
    pub(crate) async fn silent(&mut self, deadline: Instant) -> bool {
        loop {
            match self.peek(deadline).await {
                Some(Some(message)) if message.ping => self.next = None,
                Some(_) => return false,
                None => return true,
            }
        }
    }

    /// The next message, which stays the next: `Some(None)` when the connection ended, `None` at the deadline.
    async fn peek(&mut self, deadline: Instant) -> Option<Option<&Message>> {
        while self.next.is_none() {
            self.next = self.splitter.next_message();
            if self.next.is_none() {
                if self.ended.is_some() {
                    return Some(None);
                }
                self.receive_report(deadline).await?;
            }
        }
        Some(self.next.as_ref())
    }

    async fn receive_report(&mut self, deadline: Instant) -> Option<()> {
        let report = timeout_at(deadline, pin!(self.reports.recv())).await.ok()?;
        match report {
            Some(Report::Opened(opened)) => self.opened = Some(opened),
            Some(Report::Bytes { bytes, binary }) => self.splitter.push(bytes, binary),
            Some(Report::Ended(ended)) => self.ended = Some(ended),
            None => self.ended = Some(fields([("error", json!("the runner's own task ended"))])),
        }
        Some(())
    }
}
