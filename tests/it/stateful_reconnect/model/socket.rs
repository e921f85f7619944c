//! A minimal WebSocket that can end within a frame.

use std::pin::Pin;
use std::task::{Context, Poll};

use signalr::HubProtocolKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) trait ClientIo: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> ClientIo for T {}

/// The client's end of a pipe or of a socket, with hand-written WebSocket frames.
pub(super) struct Socket {
    pub(super) io: Box<dyn ClientIo>,
    pub(super) to_write: Vec<u8>,
    pub(super) read: Vec<u8>,
}

impl Socket {
    /// Runs the server, and moves all bytes that can be moved without waiting.
    pub(super) async fn pump(&mut self, reads: bool) {
        for _ in 0..12 {
            std::future::poll_fn(|cx| {
                while !self.to_write.is_empty()
                    && let Poll::Ready(Ok(written)) = Pin::new(&mut self.io).poll_write(cx, &self.to_write)
                {
                    self.to_write.drain(..written);
                }
                while reads && self.read_some(cx) {}
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
    }

    /// Returns whether bytes were read.
    fn read_some(&mut self, cx: &mut Context<'_>) -> bool {
        let mut buffer = [0; 4096];
        let mut space = ReadBuf::new(&mut buffer);
        let read = Pin::new(&mut self.io).poll_read(cx, &mut space);
        self.read.extend_from_slice(space.filled());
        read.is_ready() && !space.filled().is_empty()
    }

    /// Writes a frame with a mask of zeros.
    pub(super) fn frame(&mut self, format: HubProtocolKind, payload: &[u8], length: usize) {
        let opcode = if format.is_binary() { 0x82 } else { 0x81 };
        self.to_write.extend_from_slice(&[opcode, 0xfe]);
        self.to_write.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        self.to_write.extend_from_slice(&[0; 4]);
        self.to_write.extend_from_slice(payload);
    }

    /// Returns the payloads of all complete messages.
    pub(super) fn messages(&mut self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        loop {
            let bytes = &self.read;
            let Some((start, length)) = (match bytes.get(1) {
                Some(126) if bytes.len() >= 4 => Some((4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]])))),
                Some(&short @ 0..126) => Some((2, usize::from(short))),
                Some(127) => panic!("no message is so long"),
                _ => None,
            }) else {
                return messages;
            };
            if bytes.len() < start + length {
                return messages;
            }
            if matches!(bytes[0], 0x81 | 0x82) {
                messages.push(bytes[start..start + length].to_vec());
            }
            self.read.drain(..start + length);
        }
    }
}
