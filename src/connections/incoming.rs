//! The bytes that arrive on a connection, whatever carries them.

use std::task::{Context, Poll};

use super::websocket::Reader;

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    reader: Reader,
}

/// What one [`poll_read`](Incoming::poll_read) came to.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bytes were handed over.
    Data,
    /// The last of them were; nothing follows.
    End(End),
}

/// How the receiving half ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client said goodbye in the transport's own way.
    Closed,
    /// The peer vanished.
    Lost,
    /// The peer broke the transport's rules.
    Broken,
}

/// Takes a piece of what arrived, in the task that reads.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&mut Context<'_>, &[u8]);

impl Incoming {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// Reads once and hands what there is to `take`, in one or more pieces. Cut anywhere: pieces are no messages.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, take: Take<'_>) -> Poll<Read> {
        self.reader.poll_read(cx, take)
    }
}
