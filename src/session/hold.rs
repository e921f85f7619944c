//! Reasons why a connection does not take the client's next message, and how each of them ends.
//!
//! | held by | from | taken meanwhile | until | clock |
//! |---|---|---|---|---|
//! | nothing | | every message, in order | | client timeout |
//! | [`Call`](Hold::Call) | a call finds no free slot | nothing | a call of the connection gives its slot back | that of the call itself |
//! | [`Upload`](Hold::Upload) | an item fills the buffer of its upload | nothing | the method reads an item, or ends | that of the method itself |
//! | [`Capacity`](Hold::Capacity) | an answer crosses `transport_max_buffer_size` | nothing | the socket takes enough | `transport_send_timeout` |
//! | [`Acknowledgement`](Hold::Acknowledgement) | an answer crosses `stateful_reconnect_buffer_size` | all but calls and what belongs to them | an Ack frees enough | client timeout; 5 s while a call or a sender waits |
//!
//! The first row that applies counts. What is not taken waits in the [`ReceiveBuffer`](super::receive_buffer::ReceiveBuffer), up to
//! `application_max_buffer_size` bytes; then the socket is not read, and the client timeout stands still, as it does in
//! the rows `Call`, `Upload` and `Capacity`.
//!
//! Where the connection may resume, every message is numbered when it arrives, whatever holds it: repeated ones are
//! dropped, and Ack, Sequence and Ping are dealt with at once, since the hold may end by them. While acknowledgements are
//! missing, stream items, completions and cancellations pass the calls that wait, unless a waiting message in front of
//! them names the same id. Once that message is taken they pass too, so that a method that reads an upload receives its
//! items whatever waits for an Ack. When acknowledgements begin to be missing, the connection's task is woken for this.
//!
//! The sweep compares the clocks once a second. The 5 s begin when the first call or sender waits for an
//! acknowledgement, and end with an Ack that makes room or when none waits any more. `on_connected` and methods that
//! send to their own client wait as senders.

/// Why the next message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// A call waits for a slot.
    Call,
    /// An upload's buffer is full.
    Upload,
    /// The queue of what is to be sent is full.
    Capacity,
    /// The client has not acknowledged enough.
    Acknowledgement,
}
