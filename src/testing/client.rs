//! What a client does and what happens to it.

use std::any::type_name;
use std::array;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::{ConnectionClosed, ReceivedCall, Responder, TestConnection};
use super::deadline::fail;
use super::host::ConnectError;
use super::invocation::InvokeFuture;
use super::stream::{ItemStream, UploadHandle};
use crate::connection_info::ConnectionId;
use crate::hub::{Params, macro_support};
use crate::protocol::{Arguments, HubMessage, HubProtocol, WithHeaders, WriteError, handshake};

/// A client of a hub, in memory: what [`TestHost::connect`](super::TestHost::connect) gives.
///
/// It reads all the time, as real clients do, and keeps the calls of the server's until they are received. It sends no
/// pings by itself, so that it can be silent: see [`ping`](Self::ping).
///
/// Dropped, it vanishes without a word, as by [`abort`](Self::abort).
///
/// ```
/// # async fn says_hello(client: signalr::testing::TestClient) -> Result<(), Box<dyn std::error::Error>> {
/// client.invoke::<()>("SayHello", ("Ada",)).await?;
/// assert_eq!(client.receive::<(String,)>("Hello").await, ("Ada".to_owned(),));
/// client.close().await;
/// # Ok(())
/// # }
/// ```
pub struct TestClient {
    connection: TestConnection,
    connection_id: ConnectionId,
}

impl TestClient {
    pub(super) fn new(connection: TestConnection, connection_id: ConnectionId) -> Self {
        Self { connection, connection_id }
    }

    /// Waits so long for what does not come, before the test fails; 5 seconds by default. For what comes later by right.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.connection.deadline = deadline;
        self
    }

    /// The id by which hubs address this client.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// Shakes hands; for a client that was [opened](super::TestHost::open) without.
    ///
    /// # Errors
    ///
    /// The server refuses the handshake.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the request was sent, and a second one would break the protocol.
    ///
    /// # Panics
    ///
    /// When no answer comes in time.
    pub async fn handshake(&self) -> Result<(), ConnectError> {
        let name = self.connection.protocol.kind().name();
        self.connection.write(|_, out| handshake::write_request(out, name, 1));
        let response = self.connection.wait_for(|state| match (&state.handshake, &state.closed) {
            (Some(response), _) => Some(response.clone().map_err(ConnectError::Handshake)),
            (None, Some(closed)) => Some(Err(ConnectError::Closed(closed.clone()))),
            (None, None) => None,
        });
        response.await.unwrap_or_else(|| panic!("the handshake was not answered within {:?}", self.connection.deadline))
    }

    /// Calls a method of the hub, at once and not when the answer is awaited (JavaScript: `invoke`). A method that
    /// returns nothing gives a `()`.
    ///
    /// # Panics
    ///
    /// When an argument cannot be written, or the answer does not come in time.
    #[track_caller]
    pub fn invoke<R: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> InvokeFuture<R> {
        let id = self.connection.next_id();
        let result = InvokeFuture::new(self.connection.clone(), method, &id);
        self.write(method, |writer, out| writer.write_invocation(out, Some(&id), method, &arguments, None));
        result
    }

    /// Calls a method of the hub and asks for no answer (JavaScript: `send`). Ready when the server has taken the call;
    /// what the method does without waiting is done then, unless another call runs before it.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was polled, the call was made.
    ///
    /// # Panics
    ///
    /// When an argument cannot be written, or the server does not take the call in time.
    #[track_caller]
    pub fn send(&self, method: &str, arguments: impl Arguments) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.write(method, |writer, out| writer.write_invocation(out, None, method, &arguments, None));
            self.wait_until_read(caller).await;
        }
    }

    /// Calls a method of the hub that answers with a stream, at once (JavaScript: `stream`).
    ///
    /// # Panics
    ///
    /// When an argument cannot be written.
    #[track_caller]
    pub fn stream<T: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> ItemStream<T> {
        let ([], items) = self.upload_stream(method, arguments);
        items
    }

    /// Calls a method of the hub and uploads `N` streams with it, which are no arguments: they fill the parameters that
    /// are streams, in their order.
    ///
    /// ```no_run
    /// # use signalr::testing::TestClient;
    /// # async fn upload(client: TestClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let ([rates], average) = client.upload("AverageOf", ("ward 7",));
    /// rates.send(&71);
    /// rates.send(&73);
    /// rates.finish();
    /// let average: f64 = average.await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When an argument cannot be written, or the answer does not come in time.
    #[track_caller]
    pub fn upload<R: DeserializeOwned, const N: usize>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> ([UploadHandle; N], InvokeFuture<R>) {
        let id = self.connection.next_id();
        let ids = self.stream_ids();
        let result = InvokeFuture::new(self.connection.clone(), method, &id);
        self.write(method, |writer, out| {
            writer.write_invocation(out, Some(&id), method, &arguments, Some(&ids.each_ref().map(String::as_str)))
        });
        (self.uploads(ids), result)
    }

    /// Calls a method of the hub that takes `N` streams and answers with one.
    ///
    /// # Panics
    ///
    /// When an argument cannot be written.
    #[track_caller]
    pub fn upload_stream<T: DeserializeOwned, const N: usize>(
        &self,
        method: &str,
        arguments: impl Arguments,
    ) -> ([UploadHandle; N], ItemStream<T>) {
        let id = self.connection.next_id();
        let ids = self.stream_ids();
        let items = ItemStream::new(self.connection.clone(), method, id.clone());
        self.write(method, |writer, out| {
            let ids = ids.each_ref().map(String::as_str);
            let ids = (N > 0).then_some(&ids[..]);
            writer.write_stream_invocation(out, &id, method, &arguments, ids)
        });
        (self.uploads(ids), items)
    }

    /// Answers calls of a method of the client's that ask for a result. Without it they are answered as by all clients
    /// that do not have the method: with an error. A future that never ends leaves them unanswered.
    ///
    /// Calls that are answered here cannot be received.
    pub fn on<A, R, F>(&self, method: &str, handler: impl Fn(A) -> F + Send + Sync + 'static)
    where
        A: Params,
        R: Serialize + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let handler = Arc::new(handler);
        self.connection.set_responder(
            method,
            responder(move |connection, id, frame| {
                let handler = Arc::clone(&handler);
                Box::pin(async move {
                    let result = match bind::<A>(connection.protocol, &frame) {
                        Ok(arguments) => Ok(handler(arguments).await),
                        Err(error) => Err(error),
                    };
                    connection.write(|protocol, out| {
                        let written = result.and_then(|result| {
                            protocol.write_result(out, &id, &result).map_err(|error| error.to_string())
                        });
                        if let Err(error) = written {
                            protocol.write_error(out, &id, &error);
                        }
                    });
                })
            }),
        );
    }

    /// Answers calls of a method of the client's that ask for a result with this error.
    pub fn refuse(&self, method: &str, error: impl Into<String>) {
        let error = error.into();
        self.connection.set_responder(
            method,
            responder(move |connection, id, _| {
                connection.write(|protocol, out| protocol.write_error(out, &id, &error));
                Box::pin(std::future::ready(()))
            }),
        );
    }

    /// Waits for the next call of a method of the client's, and takes its arguments; calls of others are kept. The name
    /// ignores case, as in all clients.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, no call is lost.
    ///
    /// # Panics
    ///
    /// When no call comes in time, the connection ends first, or the arguments are of other types.
    #[track_caller]
    pub fn receive<A: Params>(&self, method: &str) -> impl Future<Output = A> {
        let caller = Location::caller();
        async move {
            let received = self.connection.wait_for(|state| match (state.take_call(method), &state.closed) {
                (Some(call), _) => Some(Ok(call)),
                (None, Some(closed)) => Some(Err(closed.clone())),
                (None, None) => None,
            });
            match received.await {
                Some(Ok(call)) => self.arguments(&call, caller),
                Some(Err(closed)) => {
                    fail(&format!("the connection ended before `{method}` was called: {closed}"), caller)
                }
                None => {
                    let calls = self.connection.lock().describe_calls();
                    let deadline = self.connection.deadline;
                    fail(&format!("`{method}` was not called within {deadline:?}; waiting: {calls}"), caller)
                }
            }
        }
    }

    /// Takes the arguments of the next call of a method of the client's, if the server has made one.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, no call is lost.
    ///
    /// # Panics
    ///
    /// When the arguments are of other types.
    #[track_caller]
    pub fn try_receive<A: Params>(&self, method: &str) -> impl Future<Output = Option<A>> {
        let caller = Location::caller();
        async move {
            self.wait_until_read(caller).await;
            let call = self.connection.lock().take_call(method);
            call.map(|call| self.arguments(&call, caller))
        }
    }

    /// Lets so much time pass, which may be none, and sees that the server has made no call by then but those that were
    /// received.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Panics
    ///
    /// When there is a call.
    #[track_caller]
    pub fn expect_nothing(&self, during: Duration) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            tokio::time::sleep(during).await;
            self.wait_until_read(caller).await;
            let state = self.connection.lock();
            if !state.calls.is_empty() {
                let calls = state.describe_calls();
                drop(state);
                fail(&format!("nothing was to be called, but was: {calls}"), caller);
            }
        }
    }

    /// Sends a ping, as real clients do every 15 seconds: from the first one on, the server notices when the client is
    /// silent for too long. Ready when the server has taken it.
    ///
    /// # Cancel safety
    ///
    /// Dropped after it was polled, the ping was sent.
    ///
    /// # Panics
    ///
    /// When the server does not take it in time.
    #[track_caller]
    pub fn ping(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.write(HubProtocol::write_ping);
            self.wait_until_read(caller).await;
        }
    }

    /// How many pings of the server have arrived.
    pub fn pings(&self) -> usize {
        self.connection.lock().pings
    }

    /// Waits until the connection has ended, and says how. What ends it after a while by right, such as a timeout, needs
    /// `tokio::time::sleep` before.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ConnectionClosed> {
        let caller = Location::caller();
        async move {
            let closed = self.connection.wait_for(|state| state.closed.clone()).await;
            closed.unwrap_or_else(|| fail(&format!("not closed within {:?}", self.connection.deadline), caller))
        }
    }

    /// Says goodbye as clients do, with a Close message and then the WebSocket's own; ready when the server has answered
    /// it, after `on_disconnected`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the connection is cut.
    ///
    /// # Panics
    ///
    /// When the server does not answer in time.
    #[track_caller]
    pub fn close(self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.write(|protocol, out| protocol.write_close(out, None, false));
            self.connection.close();
            if self.connection.wait_for(|state| state.closed.clone()).await.is_none() {
                fail(&format!("the goodbye was not answered within {:?}", self.connection.deadline), caller);
            }
        }
    }

    /// Vanishes without a word, as when the network fails.
    pub fn abort(self) {}

    /// Waits until `on_connected` is done, or the connection has ended.
    pub(super) async fn wait_until_connected(&self) {
        if !self.connection.wait_until_read().await {
            panic!("`on_connected` did not end within {:?}", self.connection.deadline);
        }
    }

    async fn wait_until_read(&self, caller: &Location<'_>) {
        if !self.connection.wait_until_read().await {
            fail(&format!("the server has not read what was sent within {:?}", self.connection.deadline), caller);
        }
    }

    fn arguments<A: Params>(&self, call: &ReceivedCall, caller: &Location<'_>) -> A {
        bind(self.connection.protocol, &call.frame).unwrap_or_else(|error| {
            let (method, expected) = (&call.method, type_name::<A>());
            let sent = match self.connection.protocol.kind().is_binary() {
                true => call.frame.escape_ascii().to_string(),
                false => String::from_utf8_lossy(&call.frame).into_owned(),
            };
            fail(&format!("`{method}` was called with arguments that are no `{expected}`: {error}\n  {sent}"), caller)
        })
    }

    #[track_caller]
    fn write(&self, method: &str, write: impl FnOnce(WithHeaders<'_>, &mut Vec<u8>) -> Result<(), WriteError>) {
        let mut written = Ok(());
        self.connection.write(|protocol, out| written = write(protocol.with_headers(&[]), out));
        if let Err(error) = written {
            panic!("the arguments of `{method}` cannot be written: {error}");
        }
    }

    fn stream_ids<const N: usize>(&self) -> [String; N] {
        array::from_fn(|_| self.connection.next_id())
    }

    fn uploads<const N: usize>(&self, ids: [String; N]) -> [UploadHandle; N] {
        ids.map(|id| UploadHandle::new(self.connection.clone(), id))
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("connection_id", &self.connection_id)
            .field("format", &self.connection.protocol.kind())
            .finish_non_exhaustive()
    }
}

/// Tells the compiler the type of a closure.
fn responder(
    respond: impl Fn(TestConnection, String, Vec<u8>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
) -> Responder {
    Arc::new(respond)
}

/// The arguments in the message of a call.
fn bind<A: Params>(protocol: HubProtocol, frame: &[u8]) -> Result<A, String> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::Invocation(call))) => macro_support::bind_arguments(&call.arguments)
            .map(|parsed| parsed.params)
            .map_err(|error| error.to_string()),
        Ok(_) => Err("it is no call".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
