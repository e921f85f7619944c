//! A hub with methods of every kind. They have the names of those in `examples/conformance`, which
//! the transcripts call, but each ends within [`MAX_WAIT`] and sends few messages.

use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use signalr::dotnet::{Binary, DateTime, TimeSpan};
use signalr::hosting::EndpointBuilder;
use signalr::hub::{AnyClient, Methods};
use signalr::{Caller, Hub, HubError, HubResult, SignalR, UploadStream};
use tokio::time::{sleep, timeout};

use crate::framing::Sample;

pub(crate) struct Conformance;

/// Creates a server with the hub at `/hub` and with buffers that are small enough for inputs to
/// fill.
pub(crate) fn server(options: impl FnOnce(EndpointBuilder<Conformance>) -> EndpointBuilder<Conformance>) -> SignalR {
    let builder = SignalR::builder().disconnect_timeout(Duration::from_secs(2));
    let hub = builder
        .hub("/hub", Conformance)
        .enable_detailed_errors(true)
        .application_max_buffer_size(1024)
        .transport_max_buffer_size(1024)
        .stateful_reconnect_buffer_size(512)
        .stream_buffer_capacity(2)
        .max_streams(8);
    options(hub).build().expect("one endpoint")
}

impl Hub for Conformance {
    type Client = AnyClient;
    type Items = ();

    fn methods(methods: &mut Methods<Self>) {
        methods.include(values);
        methods.include(calls);
        methods.include(sends);
        methods.include(streams);
        methods.include(uploads);
        methods.include(client_results);
    }

    /// Sends more bytes than a buffer takes if the request has the query parameter `welcome`.
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        if caller.request().query("welcome").is_some() {
            for _ in 0..3 {
                caller.client().send("Welcome", ("x".repeat(400),)).await?;
            }
        }
        Ok(())
    }
}

fn values(methods: &mut Methods<Conformance>) {
    macro_rules! echo {
        ($($name:literal: $type:ty),* $(,)?) => {
            $(methods.method($name, |_, _, (value,): ($type,)| async move { Ok(value) });)*
        };
    }
    echo! {
        "Echo": Option<String>,
        "EchoObject": Value,
        "EchoPerson": Option<Sample>,
        "EchoInts": Option<Vec<i32>>,
        "EchoBytes": Option<Binary>,
        "EchoDateTime": DateTime,
        "EchoTimeSpan": TimeSpan,
        "EchoChar": char,
    }
    methods.method("Add", |_, _, (a, b): (i32, i32)| async move { Ok(a.wrapping_add(b)) });
}

fn calls(methods: &mut Methods<Conformance>) {
    methods.method("ReturnsVoid", |_, _, (): ()| async { Ok(()) });
    methods.method("ReturnsTask", |_, _, (): ()| async {
        tokio::task::yield_now().await;
        Ok(())
    });
    methods.method("ThrowHub", |_, _, (): ()| async { Err::<(), _>(HubError::new("visible detail")) });
    methods.method("Slow", |_, _, (ms, value): (u64, i32)| async move {
        sleep(Duration::from_millis(ms).min(MAX_WAIT)).await;
        Ok(value)
    });
    methods.method("SlowEcho", |_, _, (ms, text): (u64, String)| async move {
        sleep(Duration::from_millis(ms).min(MAX_WAIT)).await;
        Ok(text)
    });
    methods.method("WaitForCancel", |_, caller: Caller<Conformance>, (_,): (String,)| async move {
        Ok(timeout(MAX_WAIT, caller.cancelled()).await.is_ok())
    });
    methods.method("AbortMe", |_, caller: Caller<Conformance>, (): ()| async move {
        caller.abort();
        Ok(())
    });
}

fn sends(methods: &mut Methods<Conformance>) {
    methods.method("Join", |_, caller: Caller<Conformance>, (group,): (String,)| async move {
        caller.join(group).await?;
        Ok(())
    });
    methods.method("Leave", |_, caller: Caller<Conformance>, (group,): (String,)| async move {
        caller.leave(group).await?;
        Ok(())
    });
    methods.method("ToGroup", |_, caller: Caller<Conformance>, (group, text): (String, String)| async move {
        caller.clients().group(group).send("Message", (text,)).await?;
        Ok(())
    });
    methods.method("ToAll", |_, caller: Caller<Conformance>, (text,): (Option<String>,)| async move {
        caller.clients().all().send("Message", (text,)).await?;
        Ok(())
    });
    methods.method("Notify", |_, caller: Caller<Conformance>, (text,): (String,)| async move {
        caller.client().send("Notified", (text,)).await?;
        Ok(())
    });
}

fn streams(methods: &mut Methods<Conformance>) {
    methods.stream("Counter", |_, _, (count, delay_ms): (i32, u64)| async move {
        let delay = Duration::from_millis(delay_ms).min(MAX_WAIT / MAX_ITEMS);
        Ok(stream::iter(0..count.min(MAX_ITEMS as i32)).then(move |n| async move {
            sleep(delay).await;
            Ok::<_, HubError>(n)
        }))
    });
    methods.stream("CounterChannel", |_, _, (count,): (i32,)| async move {
        Ok(stream::iter(0..count.min(MAX_ITEMS as i32)).map(Ok::<_, HubError>))
    });
    methods.stream("StreamThrowsAtOnce", |_, _, (): ()| async {
        Err::<stream::Empty<HubResult<i32>>, _>(HubError::new("no stream today"))
    });
    methods.optional_stream("NullStream", |_, _, (): ()| async { Ok(None::<stream::Empty<HubResult<i32>>>) });
}

fn uploads(methods: &mut Methods<Conformance>) {
    methods.method("Sum", |_, _, (items,): (UploadStream<i32>,)| sum(items));
    // Concurrently: unread items of a stream block all messages after them.
    methods.method("SumTwo", |_, _, (a, b): (UploadStream<i32>, UploadStream<i32>)| async move {
        let (a, b) = join(sum(a), sum(b)).await;
        Ok(a?.wrapping_add(b?))
    });
    methods.method("Concat", |_, _, (mut items,): (UploadStream<Option<String>>,)| async move {
        let mut text = String::new();
        while let Some(item) = items.next().await {
            text += &item?.unwrap_or_default();
        }
        Ok(text)
    });
    methods.method("IgnoreUpload", |_, _, (_,): (UploadStream<Option<String>>,)| async { Ok("ignored") });
    methods.stream("Shout", |_, _, (items,): (UploadStream<String>,)| async move {
        Ok(items.map(|item| item.map(|item| item.to_uppercase())))
    });
}

async fn sum(mut items: UploadStream<i32>) -> HubResult<i32> {
    let mut sum = 0_i32;
    while let Some(item) = items.next().await {
        sum = sum.wrapping_add(item?);
    }
    Ok(sum)
}

fn client_results(methods: &mut Methods<Conformance>) {
    methods.method("AskCaller", |_, caller: Caller<Conformance>, (question,): (Option<String>,)| async move {
        Ok(caller.clients().client(caller.connection_id()).invoke::<Option<String>>("Answer", (question,)).await?)
    });
}

/// Maximum time that a method waits on its own.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Maximum number of items of a server stream.
const MAX_ITEMS: u32 = 8;
