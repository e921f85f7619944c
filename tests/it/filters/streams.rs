//! Filters around calls with streams.

use tokio::sync::Notify;

use super::*;

#[tokio::test(start_paused = true)]
async fn filters_run_around_the_start_of_a_stream() -> Outcome {
    let log = Log::default();
    let server = server().filter(Trace("1", log.clone())).hub("/calculator", Calculator(log.clone()));
    let host = TestHost::from_builder(server);
    let client = connect(&host).await;
    log.take();
    let items: Vec<_> = client.stream::<u32>("Count", (2,)).map(Result::unwrap).collect().await;
    assert_eq!(items, [0, 1]);
    assert_eq!(log.take(), ["1 > Count", "1 < Count", "item 0", "item 1"]);
    let error = client.stream::<u32>("Count", (0,)).next().await.unwrap().unwrap_err().to_string();
    assert!(error.ends_with("HubException: Nothing to count."), "{error}");
    assert_eq!(log.take(), ["1 > Count", "1 < Count: Nothing to count."]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn filter_replies_with_another_stream() -> Outcome {
    let own = ReplyWith(|call: &InvocationContext| call.reply_stream(stream::iter(["a", "b"]).map(HubResult::Ok)));
    let (host, log) = calculator(own);
    for &format in HubProtocolKind::ALL {
        let client = host.connect(format, User::anonymous()).await;
        log.take();
        let items: Vec<_> = client.stream::<String>("Count", (2,)).map(Result::unwrap).collect().await;
        assert_eq!(items, ["a", "b"]);
        let expected = "An unexpected error occurred invoking 'Add' on the server.";
        assert_eq!(error(client.invoke::<i32>("Add", (1, 2))).await, expected, "the client expects no stream");
        assert_eq!(log.take(), [""; 0]);
    }

    let (host, _) = calculator(ReplyWith(|call: &InvocationContext| call.reply(&1)));
    let client = connect(&host).await;
    let mut items = client.stream::<u32>("Count", (2,));
    assert_eq!(
        items.next().await.unwrap().unwrap_err().to_string(),
        "The value returned by the streaming method 'Count' is not a ChannelReader<> or IAsyncEnumerable<>."
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn call_that_a_filter_does_not_run_discards_its_uploads() -> Outcome {
    let (host, _) = calculator(ReplyWith(|call: &InvocationContext| call.reply("no")));
    let client = connect(&host).await;
    let ([words], answer) = client.upload::<String, 1>("Say", ("a", 1));
    assert_eq!(answer.await?, "no");
    // More items than a method that reads would buffer.
    for _ in 0..50 {
        words.send("b");
    }
    words.finish();
    assert_eq!(client.invoke::<String>("Parse", ("7",)).await?, "no");
    Ok(())
}

/// Never starts a stream, and notifies when it is dropped.
struct NeverStarts(Arc<Notify>);

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Filter for NeverStarts {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        if call.is_stream() {
            let _dropped = NotifyOnDrop(Arc::clone(&self.0));
            std::future::pending::<()>().await;
        }
        next.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_stream_drops_its_pending_filters() -> Outcome {
    let dropped = Arc::new(Notify::new());
    let (host, log) = calculator(NeverStarts(Arc::clone(&dropped)));
    let client = connect(&host).await;
    let items = client.stream::<u32>("Count", (2,));
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 3, "streams do not delay calls");
    drop(items);
    timeout(Duration::from_secs(5), dropped.notified()).await?;
    assert_eq!(log.take(), ["hub connected", "Add 1 2"]);
    Ok(())
}
