//! The hubs of the test server, and its connection handler.

use std::error::Error;

use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use signalr::dotnet::{Binary, DateTime};
use signalr::raw::RawConnection;
use signalr::{Caller, ConnectionId, HubContext, HubError, HubResult, UploadStream, hub};
use uuid::Uuid;

/// Serialized with the member names as declared, in both hub protocols: the server has no naming
/// policy.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CustomObject {
    name: String,
    value: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ComplexObject {
    string: String,
    int_array: Vec<i32>,
    byte_array: Binary,
    guid: Uuid,
    date_time: DateTime,
}

pub(crate) struct TestHub;

#[hub]
impl TestHub {
    fn echo(&self, message: String) -> String {
        message
    }

    fn get_caller_connection_id(&self, caller: &Caller<Self>) -> ConnectionId {
        caller.connection_id()
    }

    fn get_num_redirects(&self, caller: &Caller<Self>) -> HubResult<i32> {
        Ok(caller.request().query("numRedirects").unwrap_or_default().parse()?)
    }

    fn throw_exception(&self, message: String) -> HubResult {
        Err(invalid_operation(message))
    }

    async fn invoke_with_string(&self, caller: &Caller<Self>, message: String) -> HubResult {
        caller.clients().client(caller.connection_id()).send("Message", (message,)).await?;
        Ok(())
    }

    async fn send_custom_object(&self, caller: &Caller<Self>, object: CustomObject) -> HubResult {
        caller.clients().client(caller.connection_id()).send("CustomObject", (object,)).await?;
        Ok(())
    }

    fn stream(&self) -> impl Stream<Item = &'static str> {
        stream::iter(["a", "b", "c"])
    }

    /// Sends no item and never completes. Sends `StreamCanceled` to the client when it is dropped.
    fn infinite_stream(&self, caller: &Caller<Self>) -> impl Stream<Item = String> + use<> {
        let guard = NotifyOnDrop { context: caller.context().clone(), connection: caller.connection_id() };
        stream::once(async move {
            std::future::pending::<()>().await;
            drop(guard);
            String::new()
        })
    }

    async fn streaming_concat(&self, mut items: UploadStream<String>) -> HubResult<String> {
        let mut text = String::new();
        while let Some(item) = items.next().await {
            text += &item?;
        }
        Ok(text)
    }

    fn empty_stream(&self) -> impl Stream<Item = i32> {
        stream::empty()
    }

    fn stream_throw_exception(&self, message: String) -> HubResult<impl Stream<Item = String>> {
        Err::<stream::Empty<String>, _>(invalid_operation(message))
    }

    fn get_active_transport_name(&self, caller: &Caller<Self>) -> String {
        caller.transport().to_string()
    }

    fn echo_complex_object(&self, object: ComplexObject) -> ComplexObject {
        object
    }

    fn send_complex_object(&self) -> HubResult<ComplexObject> {
        Ok(ComplexObject {
            string: "hello world".to_owned(),
            int_array: vec![1, 2, 3],
            byte_array: Binary::from(vec![1, 2, 3]),
            guid: Uuid::from_u128(0x0001_0203_0405_0607_0706_0504_0302_0100),
            date_time: "2000-01-01T00:00:00Z".parse()?,
        })
    }

    fn get_content_type_header(&self, caller: &Caller<Self>) -> Option<String> {
        header(caller, "content-type")
    }

    fn get_header(&self, caller: &Caller<Self>, name: String) -> Option<String> {
        header(caller, &name)
    }

    fn get_cookie(&self, caller: &Caller<Self>, name: String) -> Option<String> {
        caller.request().cookie(&name).map(Into::into)
    }
}

fn header(caller: &Caller<TestHub>, name: &str) -> Option<String> {
    caller.request().header(name).map(Into::into)
}

/// Returns the error of C#'s `throw new InvalidOperationException(message)`.
fn invalid_operation(message: impl Into<String>) -> HubError {
    HubError::internal(message.into()).with_type_name("InvalidOperationException")
}

struct NotifyOnDrop {
    context: HubContext<TestHub>,
    connection: ConnectionId,
}

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        let client = self.context.clients().client(self.connection);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { client.send("StreamCanceled", ()).await });
        }
    }
}

/// A hub that C# cannot construct because a service is missing.
pub(crate) struct UncreatableHub;

#[hub]
impl UncreatableHub {
    fn on_connected(&self) -> HubResult {
        Err(invalid_operation("Unable to resolve a service of the hub."))
    }
}

pub(crate) struct HubWithAuthorization;

#[hub]
impl HubWithAuthorization {
    fn echo(&self, message: String) -> String {
        message
    }
}

/// Echoes all bytes until the client disconnects.
pub(crate) async fn echo(mut connection: RawConnection) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(bytes) = connection.read().await {
        connection.write(bytes).await?;
    }
    Ok(())
}
