//! Streams in both directions, cancellation, and client results.

use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use signalr::hub::{InvokeError, Methods};
use signalr::{Caller, Hub, HubError, HubResult, UploadStream};

use super::common::secret;

/// Adds the methods.
pub(crate) fn methods<H: Hub>(methods: &mut Methods<H>) {
    server_streams(methods);
    uploads(methods);
    cancellation(methods);
    client_results(methods);
}

fn server_streams<H: Hub>(methods: &mut Methods<H>) {
    methods.stream("Counter", |_, _, (count, delay_ms): (i32, u64)| async move {
        Ok(stream::iter(0..count).then(move |n| async move {
            if delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            }
            Ok::<_, HubError>(n)
        }))
    });
    methods.stream("CounterChannel", |_, _, (count,): (i32,)| async move { Ok(count_to(count)) });
    methods.stream("CounterChannelLater", |_, _, (count,): (i32,)| async move {
        tokio::task::yield_now().await;
        Ok(stream::iter(0..count).map(|n| Ok::<_, HubError>(format!("#{n}"))))
    });
    methods.stream("CounterThenThrow", |_, _, (count,): (i32,)| async move { Ok(count_then(count, secret())) });
    methods.stream("CounterThenThrowHub", |_, _, (count,): (i32,)| async move {
        Ok(count_then(count, HubError::new("visible detail")))
    });
    methods.stream("StreamThrowsAtOnce", |_, _, (): ()| async {
        Err::<stream::Empty<HubResult<i32>>, _>(HubError::new("no stream today"))
    });
    methods.optional_stream("NullStream", |_, _, (): ()| async { Ok(None::<stream::Empty<HubResult<i32>>>) });
    methods.stream("Forever", |_, caller: Caller<H>, (): ()| async move {
        Ok(stream::unfold((0, NotifyOnDrop(caller)), |(n, guard)| async move {
            if n > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Some((Ok::<_, HubError>(n), (n + 1, guard)))
        }))
    });
}

fn count_to(count: i32) -> impl Stream<Item = HubResult<i32>> {
    stream::iter(0..count).map(Ok)
}

fn count_then(count: i32, error: HubError) -> impl Stream<Item = HubResult<i32>> {
    count_to(count).chain(stream::once(async { Err(error) }))
}

/// Part of a stream: notifies the other connections when the stream is dropped. A dropped stream
/// cannot await, so a new task sends the message.
struct NotifyOnDrop<H: Hub>(Caller<H>);

impl<H: Hub> Drop for NotifyOnDrop<H> {
    fn drop(&mut self) {
        let caller = self.0.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { caller.others().send("StreamStopped", (caller.connection_id(), true)).await });
        }
    }
}

fn uploads<H: Hub>(methods: &mut Methods<H>) {
    methods.method("Sum", |_, _, (items,): (UploadStream<i32>,)| sum(items));
    methods.method("Concat", |_, _, (items,): (UploadStream<Option<String>>,)| concat(items));
    methods.method(
        "ConcatWith",
        |_, _, (prefix, items, suffix): (Option<String>, UploadStream<Option<String>>, Option<String>)| async move {
            let items = concat(items).await?;
            Ok(format!("{}{items}{}", prefix.unwrap_or_default(), suffix.unwrap_or_default()))
        },
    );
    methods.method("SumTwo", |_, _, (a, b): (UploadStream<i32>, UploadStream<i32>)| async move {
        Ok(sum(a).await?.wrapping_add(sum(b).await?))
    });
    methods.stream("Shout", |_, _, (items,): (UploadStream<String>,)| async move {
        Ok(items.map(|item| item.map(|item| item.to_uppercase())))
    });
    methods.method("UploadError", |_, _, (mut items,): (UploadStream<Option<String>>,)| async move {
        while let Some(item) = items.next().await {
            if let Err(error) = item {
                return Ok(format!("{}: {error}", error.type_name()));
            }
        }
        Ok("completed".to_owned())
    });
    methods.method("IgnoreUpload", |_, _, (_,): (UploadStream<Option<String>>,)| async { Ok("ignored") });
}

pub(crate) async fn sum(mut items: UploadStream<i32>) -> HubResult<i32> {
    let mut sum = 0_i32;
    while let Some(item) = items.next().await {
        sum = sum.wrapping_add(item?);
    }
    Ok(sum)
}

async fn concat(mut items: UploadStream<Option<String>>) -> HubResult<String> {
    let mut text = String::new();
    while let Some(item) = items.next().await {
        text += &item?.unwrap_or_default();
    }
    Ok(text)
}

/// A method that waits at most ten seconds for its cancellation, and sends all clients whether it
/// was cancelled.
fn cancellation<H: Hub>(methods: &mut Methods<H>) {
    methods.method("WaitForCancel", |_, caller: Caller<H>, (key,): (String,)| async move {
        let cancelled = tokio::time::timeout(Duration::from_secs(10), caller.cancelled()).await.is_ok();
        caller.clients().all().send("Cancelled", (key, cancelled)).await?;
        Ok(())
    });
}

fn client_results<H: Hub>(methods: &mut Methods<H>) {
    methods.method("AskCaller", |_, caller: Caller<H>, (text,): (Option<String>,)| async move {
        Ok(caller.clients().client(caller.connection_id()).invoke::<Option<String>>("Answer", (text,)).await?)
    });
    methods.method("AskClient", |_, caller: Caller<H>, (id, text): (String, Option<String>)| async move {
        Ok(client_result_text(caller.clients().client(id).invoke("Answer", (text,)).await))
    });
    methods.method(
        "AskWithTimeout",
        |_, caller: Caller<H>, (id, text, ms): (String, Option<String>, u64)| async move {
            let client = caller.clients().client(id);
            let result = client.invoke("Answer", (text,));
            let result = tokio::time::timeout(Duration::from_millis(ms), result).await;
            let timed_out = || Some("HubException: Invocation canceled by the server.".to_owned());
            Ok(result.map_or_else(|_| timed_out(), client_result_text))
        },
    );
}

/// Returns the client result, or the error in the form in which C# prints exceptions.
pub(crate) fn client_result_text(result: Result<Option<String>, InvokeError>) -> Option<String> {
    result.unwrap_or_else(|error| Some(format!("{}: {error}", error.type_name())))
}
