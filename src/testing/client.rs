//! In-memory client of a hub.

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

/// In-memory client of a hub; see [`TestHost::connect`](super::TestHost::connect).
///
/// The client reads continuously, as real clients do, and stores the invocations of the server
/// until they are received. It sends no pings by itself, so that tests can cause a client timeout;
/// see [`ping`](Self::ping).
///
/// Dropping the client aborts the connection, as [`abort`](Self::abort) does.
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

    /// Sets how long the methods of this client wait before they fail the test. The default is 5
    /// seconds.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.connection.deadline = deadline;
        self
    }

    /// Returns the connection id.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// Performs the handshake of a client that was [opened](super::TestHost::open) without it.
    ///
    /// # Errors
    ///
    /// Returns an error if the server rejects the handshake or the connection ends.
    ///
    /// # Cancel safety
    ///
    /// This method is not cancel safe: after the first poll the request is sent, and a second
    /// handshake request would violate the protocol.
    ///
    /// # Panics
    ///
    /// Panics if no response is received in time.
    pub async fn handshake(&self) -> Result<(), ConnectError> {
        let name = self.connection.protocol.kind().name();
        self.connection.write(|_, out| handshake::write_request(out, name, 1));
        let response = self.connection.wait_for(|state| match (&state.handshake, &state.closed) {
            (Some(response), _) => Some(response.clone().map_err(ConnectError::Handshake)),
            (None, Some(closed)) => Some(Err(ConnectError::Closed(closed.clone()))),
            (None, None) => None,
        });
        response.await.unwrap_or_else(|| panic!("no handshake response within {:?}", self.connection.deadline))
    }

    /// Invokes a hub method (JavaScript: `invoke`). The invocation is sent at once, not when the
    /// returned future is polled. Methods without a result return `()`.
    ///
    /// # Panics
    ///
    /// Panics if an argument cannot be serialized or the completion is not received in time.
    #[track_caller]
    pub fn invoke<R: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> InvokeFuture<R> {
        let id = self.connection.next_id();
        let result = InvokeFuture::new(self.connection.clone(), method, &id);
        self.write(method, |writer, out| writer.write_invocation(out, Some(&id), method, &arguments, None));
        result
    }

    /// Invokes a hub method without a completion (JavaScript: `send`).
    ///
    /// The future completes when the server has read the invocation. The method has then run up to
    /// its first await point, unless it waits for another running call.
    ///
    /// # Cancel safety
    ///
    /// The invocation is sent in the first poll and is not revoked when the future is dropped.
    ///
    /// # Panics
    ///
    /// Panics if an argument cannot be serialized or the server does not read the invocation in
    /// time.
    #[track_caller]
    pub fn send(&self, method: &str, arguments: impl Arguments) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.write(method, |writer, out| writer.write_invocation(out, None, method, &arguments, None));
            self.wait_until_read(caller).await;
        }
    }

    /// Invokes a streaming hub method (JavaScript: `stream`). The invocation is sent at once.
    ///
    /// # Panics
    ///
    /// Panics if an argument cannot be serialized.
    #[track_caller]
    pub fn stream<T: DeserializeOwned>(&self, method: &str, arguments: impl Arguments) -> ItemStream<T> {
        let ([], items) = self.upload_stream(method, arguments);
        items
    }

    /// Invokes a hub method with `N` uploads. The uploads are not part of `arguments`: they are
    /// bound to the stream parameters of the method, in their order.
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
    /// Panics if an argument cannot be serialized or the completion is not received in time.
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

    /// Invokes a streaming hub method with `N` uploads.
    ///
    /// # Panics
    ///
    /// Panics if an argument cannot be serialized.
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

    /// Registers a handler for a client method that returns a client result.
    ///
    /// Without a handler the client completes such invocations with an error, as Microsoft's
    /// clients do. A handler whose future never completes leaves the client result pending.
    ///
    /// [`receive`](Self::receive) does not return invocations that a handler has processed.
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

    /// Completes invocations of this client method that expect a client result with an error.
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

    /// Waits for the next invocation of this client method and returns its arguments. Invocations
    /// of other methods stay stored. The method name is compared without case, as in Microsoft's
    /// clients.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses no invocation.
    ///
    /// # Panics
    ///
    /// Panics if no invocation is received in time, if the connection ends first, or if the
    /// arguments have other types.
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
                Some(Err(closed)) => fail(&format!("connection ended before `{method}` was called: {closed}"), caller),
                None => {
                    let calls = self.connection.lock().describe_calls();
                    let deadline = self.connection.deadline;
                    fail(&format!("`{method}` was not called within {deadline:?}; other calls: {calls}"), caller)
                }
            }
        }
    }

    /// Returns the arguments of the next invocation of this client method, if the server has sent
    /// one.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe: dropping the future loses no invocation.
    ///
    /// # Panics
    ///
    /// Panics if the arguments have other types.
    #[track_caller]
    pub fn try_receive<A: Params>(&self, method: &str) -> impl Future<Output = Option<A>> {
        let caller = Location::caller();
        async move {
            self.wait_until_read(caller).await;
            let call = self.connection.lock().take_call(method);
            call.map(|call| self.arguments(&call, caller))
        }
    }

    /// Sleeps for `during`, which may be zero, and asserts that no invocation of the server is left
    /// to receive.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Panics
    ///
    /// Panics if an invocation was received.
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
                fail(&format!("unexpected calls: {calls}"), caller);
            }
        }
    }

    /// Sends a ping, as real clients do every 15 seconds. The first ping starts the client timeout
    /// of the server. The future completes when the server has read the ping.
    ///
    /// # Cancel safety
    ///
    /// The ping is sent in the first poll.
    ///
    /// # Panics
    ///
    /// Panics if the server does not read the ping in time.
    #[track_caller]
    pub fn ping(&self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.write(HubProtocol::write_ping);
            self.wait_until_read(caller).await;
        }
    }

    /// Returns the number of pings received from the server.
    pub fn pings(&self) -> usize {
        self.connection.lock().pings
    }

    /// Waits for the end of the connection and returns how it ended. Call `tokio::time::sleep`
    /// first if the connection ends after a timeout of the server.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe.
    ///
    /// # Panics
    ///
    /// Panics if the connection does not end in time.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ConnectionClosed> {
        let caller = Location::caller();
        async move {
            let closed = self.connection.wait_for(|state| state.closed.clone()).await;
            closed.unwrap_or_else(|| {
                fail(&format!("connection did not end within {:?}", self.connection.deadline), caller)
            })
        }
    }

    /// Closes the connection as clients do: with a Close message and a close frame. Completes with
    /// the close frame of the server, after `on_disconnected`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the connection.
    ///
    /// # Panics
    ///
    /// Panics if the server does not close the connection in time.
    #[track_caller]
    pub fn close(self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            self.connection.write(|protocol, out| protocol.write_close(out, None, false));
            self.connection.close();
            if self.connection.wait_for(|state| state.closed.clone()).await.is_none() {
                fail(&format!("server did not close the connection within {:?}", self.connection.deadline), caller);
            }
        }
    }

    /// Drops the connection without a close frame, as when the network fails.
    pub fn abort(self) {}

    /// Waits until `on_connected` has returned or the connection has ended.
    pub(super) async fn wait_until_connected(&self) {
        if !self.connection.wait_until_read().await {
            panic!("`on_connected` did not end within {:?}", self.connection.deadline);
        }
    }

    async fn wait_until_read(&self, caller: &Location<'_>) {
        if !self.connection.wait_until_read().await {
            fail(&format!("server did not read all messages within {:?}", self.connection.deadline), caller);
        }
    }

    fn arguments<A: Params>(&self, call: &ReceivedCall, caller: &Location<'_>) -> A {
        bind(self.connection.protocol, &call.frame).unwrap_or_else(|error| {
            let (method, expected) = (&call.method, type_name::<A>());
            let sent = match self.connection.protocol.kind().is_binary() {
                true => call.frame.escape_ascii().to_string(),
                false => String::from_utf8_lossy(&call.frame).into_owned(),
            };
            fail(&format!("`{method}` was called with arguments that are not `{expected}`: {error}\n  {sent}"), caller)
        })
    }

    #[track_caller]
    fn write(&self, method: &str, write: impl FnOnce(WithHeaders<'_>, &mut Vec<u8>) -> Result<(), WriteError>) {
        let mut written = Ok(());
        self.connection.write(|protocol, out| written = write(protocol.with_headers(&[]), out));
        if let Err(error) = written {
            panic!("failed to serialize the arguments of `{method}`: {error}");
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
            .field("protocol", &self.connection.protocol.kind())
            .finish_non_exhaustive()
    }
}

/// Sets the type of a closure.
fn responder(
    respond: impl Fn(TestConnection, String, Vec<u8>) -> BoxFuture<'static, ()> + Send + Sync + 'static,
) -> Responder {
    Arc::new(respond)
}

/// Parses the arguments of an invocation.
fn bind<A: Params>(protocol: HubProtocol, frame: &[u8]) -> Result<A, String> {
    match protocol.parse(frame, |_| true) {
        Ok(Some(HubMessage::Invocation(call))) => macro_support::bind_arguments(&call.arguments)
            .map(|parsed| parsed.params)
            .map_err(|error| error.to_string()),
        Ok(_) => Err("not an invocation".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
