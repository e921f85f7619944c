//! What has arrived on a connection and is not read yet.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// Why no more is read from a [`RawConnection`](crate::raw::RawConnection).
///
/// ```
/// use signalr::raw::{RawConnection, RawEnd};
///
/// /// Reads to the end, and says whether the client meant it.
/// async fn drain(mut connection: RawConnection) -> bool {
///     while connection.read().await.is_some() {}
///     connection.end() == Some(RawEnd::Closed)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RawEnd {
    /// The client said goodbye in the transport's own way.
    Closed,
    /// The client vanished, or read too slowly and was cut.
    Lost,
    /// The client broke the rules of the transport.
    Broken,
    /// This side ended it: by [`abort`](crate::raw::RawConnection::abort), or as its handler returned.
    Aborted,
    /// The connection is to end, for the server goes away or the client's token has expired; the handler returns when
    /// it has written what it has to. (C#: `ConnectionClosedRequested`)
    Requested,
}

/// A pipe from the task that reads the transport to whoever reads the connection, bounded in bytes.
pub(super) struct InputPipe {
    state: Mutex<PipeState>,
    limit: usize,
}

#[derive(Default)]
struct PipeState {
    bytes: Vec<u8>,
    /// So many bytes at the end wait: for the rest of a character, or until all that comes with them is pushed.
    unpublished: usize,
    end: Option<RawEnd>,
    /// Nobody will ever read: what arrives is dropped.
    is_discarding: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// In bytes of UTF-8. Where less may wait, a cut one would leave no room for its end.
const MAX_CHARACTER_BYTES: usize = 4;

impl InputPipe {
    /// `limit` is how much may be unread before no more is pushed.
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), limit: limit.max(MAX_CHARACTER_BYTES) }
    }

    /// Takes what there is; `None` when that was all.
    pub(super) fn poll_read(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        let whole = state.bytes.len() - state.unpublished;
        if whole > 0 {
            let rest = state.bytes.split_off(whole);
            let bytes = mem::replace(&mut state.bytes, rest);
            let writer = state.writer.take();
            drop(state);
            wake(writer);
            return Poll::Ready(Some(bytes.into()));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Ready when more may be pushed. After the end all of it is dropped.
    pub(super) fn poll_reserve(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.end.is_some() || state.bytes.len() < self.limit {
            return Poll::Ready(());
        }
        state.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Adds a piece of what arrived; [`publish`](Self::publish) follows the last one.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut state = self.lock();
        if state.end.is_none() && !state.is_discarding {
            state.bytes.extend_from_slice(bytes);
            state.unpublished += bytes.len();
        }
    }

    /// Lets the reader see what was pushed. Where the rest of a text is on its way, a character that is not whole
    /// waits for it.
    pub(super) fn publish(&self, within_text: bool) {
        let mut state = self.lock();
        state.unpublished = if within_text && state.end.is_none() { incomplete_suffix(&state.bytes) } else { 0 };
        let reader = if state.bytes.len() > state.unpublished { state.reader.take() } else { None };
        drop(state);
        wake(reader);
    }

    /// The reader gets no more than there is. Says whether this is the first reason for it, which counts.
    pub(super) fn close(&self, end: RawEnd) -> bool {
        let mut state = self.lock();
        let first = state.end.is_none();
        state.end.get_or_insert(end);
        state.unpublished = 0;
        let readers = [state.reader.take(), state.writer.take()];
        drop(state);
        readers.into_iter().for_each(wake);
        first
    }

    pub(super) fn end(&self) -> Option<RawEnd> {
        self.lock().end
    }

    /// Drops what there is and what still arrives.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        state.is_discarding = true;
        state.unpublished = 0;
        state.bytes = Vec::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many bytes at the end begin a character and are not all of it.
fn incomplete_suffix(bytes: &[u8]) -> usize {
    let is_beginning = |length: &usize| {
        let character = str::from_utf8(&bytes[bytes.len() - length..]);
        character.is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_beginning).unwrap_or(0)
}

/// Outside the lock: it may run anybody's code.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    const LIMIT: usize = 1024;

    fn pipe() -> InputPipe {
        InputPipe::new(LIMIT)
    }

    fn take(pipe: &InputPipe) -> Poll<Option<Bytes>> {
        pipe.poll_read(&Context::from_waker(Waker::noop()))
    }

    fn some(bytes: &'static [u8]) -> Poll<Option<Bytes>> {
        Poll::Ready(Some(Bytes::from_static(bytes)))
    }

    #[test]
    fn what_arrived_is_taken_together_and_the_reader_is_woken_for_it() {
        let pipe = pipe();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        assert!(pipe.poll_read(&Context::from_waker(&waker)).is_pending());
        pipe.push(b"ab");
        pipe.push(b"c");
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        pipe.publish(false);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(take(&pipe), some(b"abc"));
        assert!(take(&pipe).is_pending());
    }

    /// It may be on another thread than whoever fills it in.
    #[test]
    fn what_is_being_filled_in_is_not_taken_in_the_middle_of_a_character() {
        let pipe = pipe();
        pipe.push(b"ab\xe2\x82");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"ab"));
        pipe.push(b"\xac\xe2\x82\xac");
        assert!(take(&pipe).is_pending());
        pipe.publish(false);
        assert_eq!(take(&pipe), some("€€".as_bytes()));
    }

    #[test]
    fn what_arrived_before_the_end_is_still_read() {
        let pipe = pipe();
        pipe.push(b"last");
        assert!(pipe.close(RawEnd::Closed));
        assert!(!pipe.close(RawEnd::Lost));
        pipe.push(b"too late");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"last"));
        assert_eq!(take(&pipe), Poll::Ready(None));
        assert_eq!(pipe.end(), Some(RawEnd::Closed));
    }

    #[test]
    fn a_character_waits_for_its_rest_while_that_is_on_its_way() {
        let pipe = pipe();
        pipe.push(b"a\xe2\x82");
        pipe.publish(true);
        assert_eq!(take(&pipe), some(b"a"));
        assert!(take(&pipe).is_pending());
        pipe.push(b"\xacb\xc3");
        pipe.publish(true);
        assert_eq!(take(&pipe), some("€b".as_bytes()));
        pipe.publish(false);
        assert_eq!(take(&pipe), some(b"\xc3"));
        pipe.push(b"\xf0\x9f\x98");
        pipe.publish(true);
        assert!(take(&pipe).is_pending());
        pipe.close(RawEnd::Lost);
        assert_eq!(take(&pipe), some(b"\xf0\x9f\x98"));
    }

    #[test]
    fn only_the_beginning_of_a_character_is_cut() {
        for (bytes, cut) in [
            (&b""[..], 0),
            (b"a", 0),
            (b"\xc3", 1),
            (b"\xc3\xa9", 0),
            (b"\xe2\x82", 2),
            ("a€".as_bytes(), 0),
            (b"a\xf0\x9f\x98", 3),
            ("😀".as_bytes(), 0),
            (b"\x82", 0),
            (b"\x82\x82\x82", 0),
            (b"\xff", 0),
            (b"\xe2(", 0),
        ] {
            assert_eq!(incomplete_suffix(bytes), cut, "{bytes:x?}");
        }
    }

    #[test]
    fn a_full_inbox_has_room_when_it_is_read() {
        let pipe = pipe();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        pipe.push(&[0; LIMIT - 1]);
        pipe.publish(false);
        assert!(pipe.poll_reserve(&cx).is_ready());
        pipe.push(&[0; 2]);
        pipe.publish(false);
        assert!(pipe.poll_reserve(&cx).is_pending());
        assert!(take(&pipe).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(pipe.poll_reserve(&cx).is_ready());
    }

    #[test]
    fn nothing_is_kept_that_nobody_will_read() {
        let pipe = pipe();
        pipe.push(&[0; LIMIT]);
        pipe.publish(true);
        pipe.discard();
        pipe.push(&[0; LIMIT]);
        pipe.publish(true);
        assert!(pipe.poll_reserve(&Context::from_waker(Waker::noop())).is_ready());
        assert!(take(&pipe).is_pending());
    }
}
