//! Reasons why a connection does not dispatch the next message of its client, and conditions that
//! end them.
//!
//! | hold | begins when | dispatched meanwhile | ends when | time limit |
//! |---|---|---|---|---|
//! | none | | every message, in order | | client timeout |
//! | [`Call`](Hold::Call) | a call finds no free slot | nothing | a call of the connection releases its slot | none but that of the method |
//! | [`Upload`](Hold::Upload) | an item fills the buffer of its upload | nothing | the method reads an item, or ends | none but that of the method |
//! | [`Capacity`](Hold::Capacity) | the queue exceeds `transport_max_buffer_size` after a completion | nothing | enough bytes are written to the socket | `transport_send_timeout` |
//! | [`Acknowledgement`](Hold::Acknowledgement) | the messages without acknowledgement exceed `stateful_reconnect_buffer_size` after a completion | all messages but calls, and messages that name a waiting call or its uploads (see below) | an Ack frees enough bytes | client timeout; 5 s while a call or a sender waits |
//!
//! The first row that applies counts. Received messages wait in the
//! [`ReceiveBuffer`](super::receive_buffer::ReceiveBuffer), up to `application_max_buffer_size`
//! bytes. With more, the socket is not read, and the client timeout is paused. It is also paused in
//! the rows `Call`, `Upload` and `Capacity`.
//!
//! If the connection supports stateful reconnect, every message is numbered when it arrives,
//! whatever the hold: repeated messages are dropped, and Ack, Sequence and Ping are handled at
//! once, because they can end the hold. While acknowledgements are missing, stream items,
//! completions and cancellations pass the calls that wait, unless a waiting message in front of
//! them names the same id. After that message is dispatched they can pass too, so that a method
//! that reads an upload receives its items whatever waits for an Ack. For this, the connection task
//! is woken when the hold for acknowledgements begins.
//!
//! The time limits are checked once a second. The 5 s begin when the first call or sender waits for
//! an acknowledgement. They end with an Ack that frees capacity, or when no call and no sender
//! waits any more. `on_connected`, and methods that send to their own client, count as senders.

/// Reason why the next message is not dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// A call waits for a slot.
    Call,
    /// The buffer of an upload is full.
    Upload,
    /// The outbound queue is full.
    Capacity,
    /// Too many messages are not acknowledged.
    Acknowledgement,
}
