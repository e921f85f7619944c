//! One named connection of a transcript: its task, and its reports so far.

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

/// A connection of the runner. Dropping it aborts the TCP connection.
#[derive(Debug)]
pub(crate) struct Client {
    // Unbounded, so that the runner never causes backpressure. No transcript makes a server send
    // more than a few megabytes.
    reports: UnboundedReceiver<Report>,
    outgoing: UnboundedSender<tungstenite::Message>,
    splitter: Splitter,
    next: Option<Message>,
    opened: Option<Map<String, Value>>,
    ended: Option<Map<String, Value>>,
    is_websocket: bool,
    _task: AbortOnDropHandle<()>,
}

/// Report of the task of a connection.
#[derive(Debug)]
pub(super) enum Report {
    /// The connection is open; the fields are those of an `opened` expectation.
    Opened(Map<String, Value>),
    /// A chunk of the byte stream of hub messages.
    Bytes { bytes: Bytes, binary: bool },
    /// The connection ended; the fields are those of a `closed`, an `http` or a rejected `opened`
    /// expectation.
    Ended(Map<String, Value>),
}

/// Sends the reports of a connection task. Reports are dropped after the client is dropped.
#[derive(Debug)]
pub(super) struct Reporter(UnboundedSender<Report>);

impl Reporter {
    pub(super) fn send(&self, report: Report) {
        // Fails only if the client is dropped, which also aborts the task.
        let _ = self.0.send(report);
    }
}

impl Client {
    pub(super) fn start<F>(run: impl FnOnce(Reporter, UnboundedReceiver<tungstenite::Message>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (reporter, reports) = unbounded_channel();
        let (outgoing, receiver) = unbounded_channel();
        let run = run(Reporter(reporter), receiver);
        Self {
            reports,
            // Only a WebSocket keeps the receiver of outgoing messages.
            is_websocket: !outgoing.is_closed(),
            outgoing,
            splitter: Splitter::new(Mode::Json),
            next: None,
            opened: None,
            ended: None,
            _task: AbortOnDropHandle::new(tokio::spawn(run)),
        }
    }

    /// Sets the mode for all messages that are not compared yet.
    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.splitter.set_mode(mode);
    }

    /// Whether messages can be sent on the connection.
    pub(crate) fn is_websocket(&self) -> bool {
        self.is_websocket
    }

    /// Sends a WebSocket message. Does nothing after the end of the connection.
    pub(crate) fn send(&self, message: tungstenite::Message) {
        let _ = self.outgoing.send(message);
    }

    /// Waits for the opening of the connection, or its end if that comes first. Returns `None` at
    /// the deadline.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub(crate) async fn opened(&mut self, deadline: Instant) -> Option<Map<String, Value>> {
        loop {
            if let Some(answer) = self.opened.as_ref().or(self.ended.as_ref()) {
                return Some(answer.clone());
            }
            self.receive_report(deadline).await?;
        }
    }

    /// Waits for the end of the connection, or the complete response. Returns `None` at the
    /// deadline.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    pub(crate) async fn ended(&mut self, deadline: Instant) -> Option<Map<String, Value>> {
        loop {
            if let Some(end) = &self.ended {
                return Some(end.clone());
            }
            self.receive_report(deadline).await?;
        }
    }

    /// Waits for the next message that is a ping, or that is not, and drops those before it.
    /// Returns `gone` if the connection ends first, and `None` at the deadline.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, messages of the other kind are lost, and no others.
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

    /// Returns whether the connection stays open and no message except pings arrives until the
    /// deadline.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, received pings are lost, and no other messages.
    pub(crate) async fn silent(&mut self, deadline: Instant) -> bool {
        loop {
            match self.peek(deadline).await {
                Some(Some(message)) if message.ping => self.next = None,
                Some(_) => return false,
                None => return true,
            }
        }
    }

    /// Waits for the next message without consuming it. Returns `Some(None)` after the end of the
    /// connection, and `None` at the deadline.
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
            None => self.ended = Some(fields([("error", json!("the connection task of the runner ended"))])),
        }
        Some(())
    }
}
