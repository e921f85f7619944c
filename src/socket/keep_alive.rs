//! Phases of an unencrypted HTTP connection, derived from the bytes of its socket.

use tokio::time::Instant;

/// First bytes of an HTTP/2 connection (RFC 9113 § 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// End of a request head.
const HEAD_END: [u8; 4] = *b"\r\n\r\n";

/// Phase of a connection without an open request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waiting for the first byte of a request.
    Idle,
    /// Waiting for the rest of a request head.
    Head,
}

/// Tracks the open requests of one connection and the bytes between them.
#[derive(Debug)]
pub(super) struct KeepAlive {
    open_requests: usize,
    phase: Phase,
    since: Instant,
    protocol: Protocol,
    /// The last bytes that were read.
    tail: [u8; 4],
    /// The last request has a body, so the bytes after its head do not belong to the next head.
    has_body: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// Number of bytes read, all of which match the preface.
    Unknown(usize),
    Http1,
    Http2,
}

impl KeepAlive {
    pub(super) fn new() -> Self {
        Self {
            open_requests: 0,
            phase: Phase::Idle,
            since: Instant::now(),
            protocol: Protocol::Unknown(0),
            tail: HEAD_END,
            has_body: false,
        }
    }

    /// The phase and when it began; `None` while a request is open.
    pub(super) fn waiting(&self) -> Option<(Phase, Instant)> {
        (self.open_requests == 0).then_some((self.phase, self.since))
    }

    pub(super) fn begin(&mut self, has_body: bool) {
        self.open_requests += 1;
        self.has_body = has_body;
    }

    pub(super) fn end(&mut self) {
        self.open_requests -= 1;
        // An HTTP/1.1 client may have sent the beginning of the next head already.
        let is_ahead = self.protocol == Protocol::Http1 && !self.has_body && self.tail != HEAD_END;
        self.enter(if is_ahead { Phase::Head } else { Phase::Idle });
    }

    pub(super) fn read(&mut self, bytes: &[u8]) {
        self.detect(bytes);
        if self.protocol == Protocol::Http2 {
            return;
        }
        for &byte in &bytes[bytes.len().saturating_sub(HEAD_END.len())..] {
            self.tail.rotate_left(1);
            self.tail[HEAD_END.len() - 1] = byte;
        }
        // Line ends before a head do not belong to it (RFC 9112 § 2.2).
        let begins_head = bytes.iter().any(|byte| !b"\r\n".contains(byte));
        if self.open_requests == 0 && self.phase == Phase::Idle && begins_head {
            self.enter(Phase::Head);
        }
    }

    fn detect(&mut self, bytes: &[u8]) {
        let Protocol::Unknown(matched) = self.protocol else { return };
        let rest = &PREFACE[matched..];
        let length = rest.len().min(bytes.len());
        if bytes[..length] != rest[..length] {
            self.protocol = Protocol::Http1;
        } else if length == rest.len() {
            self.protocol = Protocol::Http2;
            self.enter(Phase::Idle);
        } else {
            self.protocol = Protocol::Unknown(matched + length);
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reads: &[&str]) -> KeepAlive {
        let mut keep_alive = KeepAlive::new();
        reads.iter().for_each(|bytes| keep_alive.read(bytes.as_bytes()));
        keep_alive
    }

    #[test]
    fn request_head_begins_with_its_first_byte() {
        for (reads, phase) in [
            (&[][..], Phase::Idle),
            (&["\r\n", "\n"], Phase::Idle),
            (&["\r\nG"], Phase::Head),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n"], Phase::Head),
            (&["PRI * HT", "TP/2.0\r\n\r\nSM\r\n\r\n", "a frame"], Phase::Idle),
            (&["PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n"], Phase::Head),
        ] {
            assert_eq!(after(reads).waiting().unwrap().0, phase, "{reads:?}");
        }
    }

    #[test]
    fn bytes_after_a_request_head_begin_the_next_one() {
        for (reads, has_body, phase) in [
            (&["GET / HTTP/1.1\r\n\r\n"][..], false, Phase::Idle),
            (&["GET / HTTP/1.1\r\n\r", "\n"], false, Phase::Idle),
            (&["GET / HTTP/1.1\r\n\r\nG"], false, Phase::Head),
            (&["GET / HTTP/1.1\r\n\r\n", "GET"], false, Phase::Head),
            (&["POST / HTTP/1.1\r\n\r\nabc"], true, Phase::Idle),
        ] {
            let mut keep_alive = after(reads);
            keep_alive.begin(has_body);
            assert_eq!(keep_alive.waiting(), None);
            keep_alive.end();
            assert_eq!(keep_alive.waiting().unwrap().0, phase, "{reads:?}");
        }
    }
}
