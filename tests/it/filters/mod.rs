//! Filters: the calls they run for, their order, and the results they may return.

mod connections;
mod details;
mod streams;

use std::error::Error;
use std::num::ParseIntError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt};
use signalr::auth::{Policy, User};
use signalr::hosting::Builder;
use signalr::hub::{AnyCaller, Reply};
use signalr::testing::{InvokeFuture, TestClient, TestHost};
use signalr::{
    Caller, DisconnectReason, Filter, HubError, HubProtocolKind, HubResult, InvocationContext, Next, SignalR,
    UploadStream, hub,
};
use tokio::time::{sleep, timeout};

type Outcome = Result<(), Box<dyn Error>>;

/// Events in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Logs its begin, its end and the outcome of the inner filters.
struct Trace(&'static str, Log);

impl Trace {
    async fn around<T>(&self, what: &str, next: Next<'_, T>) -> HubResult<T> {
        let Self(name, log) = self;
        log.add(format!("{name} > {what}"));
        let outcome = next.run().await;
        match &outcome {
            Ok(_) => log.add(format!("{name} < {what}")),
            Err(error) => log.add(format!("{name} < {what}: {error}")),
        }
        outcome
    }
}

impl Filter for Trace {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        self.around(call.method(), next).await
    }

    async fn on_connected(&self, _: &AnyCaller, next: Next<'_, ()>) -> HubResult {
        self.around("connected", next).await
    }

    async fn on_disconnected(&self, _: &AnyCaller, reason: Option<&DisconnectReason>, next: Next<'_, ()>) -> HubResult {
        self.around(reason.map_or("disconnected", |reason| reason.type_name()), next).await
    }
}

/// Replies to each call by a function, and never runs the method.
struct ReplyWith<F>(F);

impl<F: Fn(&InvocationContext) -> HubResult<Reply> + Send + Sync + 'static> Filter for ReplyWith<F> {
    async fn invoke(&self, call: &InvocationContext, _: Next<'_>) -> HubResult<Reply> {
        self.0(call)
    }
}

struct Calculator(Log);

#[hub]
impl Calculator {
    async fn on_connected(&self) {
        self.0.add("hub connected");
    }

    async fn on_disconnected(&self) {
        self.0.add("hub disconnected");
    }

    async fn add(&self, a: i32, b: i32) -> i32 {
        self.0.add(format!("Add {a} {b}"));
        a + b
    }

    async fn parse(&self, text: String) -> HubResult<i32> {
        Ok(text.parse()?)
    }

    async fn panic(&self) {
        panic!("on purpose");
    }

    async fn wait(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    async fn count(&self, to: u32) -> HubResult<impl Stream<Item = u32> + use<>> {
        if to == 0 {
            return Err(HubError::new("Nothing to count."));
        }
        let log = self.0.clone();
        Ok(stream::iter(0..to).inspect(move |n| log.add(format!("item {n}"))))
    }

    async fn say(&self, mut words: UploadStream<String>, before: String, times: usize) -> HubResult<String> {
        let mut text = before.repeat(times);
        while let Some(word) = words.next().await {
            text.push_str(&word?);
        }
        Ok(text)
    }

    #[authorize(policy = "Nobody")]
    async fn secret(&self) {}
}

/// A host whose hub has one filter.
fn calculator(filter: impl Filter) -> (TestHost<Calculator>, Log) {
    let log = Log::default();
    let host = TestHost::from_builder(server().filter(filter).hub("/calculator", Calculator(log.clone())));
    (host, log)
}

fn server() -> Builder {
    SignalR::builder().policy("Nobody", Policy::require_assertion(|_| false))
}

async fn connect(host: &TestHost<Calculator>) -> TestClient {
    host.connect(HubProtocolKind::Json, User::anonymous()).await
}

/// Returns the error text of a call.
async fn error<R: serde::de::DeserializeOwned + std::fmt::Debug>(answer: InvokeFuture<R>) -> String {
    answer.await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn server_filters_run_outside_of_hub_filters_in_order_of_registration() -> Outcome {
    let log = Log::default();
    let trace = |name| Trace(name, log.clone());
    let server = server()
        .filter(trace("1"))
        .filter(trace("2"))
        .hub("/calculator", Calculator(log.clone()))
        .filter(trace("3"))
        .filter(trace("4"));
    let host = TestHost::from_builder(server);
    let client = connect(&host).await;
    let nested = |what: &str, inside: &str| -> Vec<String> {
        let begin = ["1", "2", "3", "4"].map(|name| format!("{name} > {what}"));
        let end = ["4", "3", "2", "1"].map(|name| format!("{name} < {what}"));
        begin.into_iter().chain([inside.to_owned()]).chain(end).collect()
    };
    assert_eq!(log.take(), nested("connected", "hub connected"));
    assert_eq!(client.invoke::<i32>("add", (1, 2)).await?, 3);
    assert_eq!(log.take(), nested("Add", "Add 1 2"));
    client.send("Add", (3, 4)).await;
    assert_eq!(log.take(), nested("Add", "Add 3 4"));
    client.close().await;
    assert_eq!(log.take(), nested("disconnected", "hub disconnected"));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn each_path_of_a_hub_has_its_own_filters() -> Outcome {
    let log = Log::default();
    let hub = Arc::new(Calculator(log.clone()));
    let server = server()
        .hub("/one", Arc::clone(&hub))
        .filter(Trace("1", log.clone()))
        .hub("/two", Arc::clone(&hub))
        .filter(Trace("2", log.clone()))
        .hub("/none", hub);
    let host = TestHost::from_builder(server);
    for (path, begin) in [("/one", Some("1 > Add")), ("/two", Some("2 > Add")), ("/none", None)] {
        let client = connect(&host.for_path(path)).await;
        log.take();
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 3);
        let lines = log.take();
        assert_eq!(lines.first().map(String::as_str), begin.or(Some("Add 1 2")), "{path}");
        assert_eq!(lines.len(), if begin.is_some() { 3 } else { 1 });
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn filter_replies_without_running_the_method() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let (host, log) = calculator(ReplyWith(|call: &InvocationContext| call.reply(&42)));
        let client = host.connect(format, User::anonymous()).await;
        log.take();
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 42);
        client.send("Add", (1, 2)).await;
        assert_eq!(client.invoke::<i32>("Parse", ("x",)).await?, 42);
        assert_eq!(log.take(), [""; 0], "the method does not run");
    }
    Ok(())
}

/// Doubles the result of `Add`.
struct ResultDoubler;

impl Filter for ResultDoubler {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        let reply = next.run().await?;
        match call.result::<i32>(&reply) {
            Some(result) => call.reply(&(result * 2)),
            None => Ok(reply),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn filter_reads_and_replaces_the_result() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let (host, log) = calculator(ResultDoubler);
        let client = host.connect(format, User::anonymous()).await;
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 6);
        client.send("Add", (3, 4)).await;
        assert_eq!(log.take(), ["hub connected", "Add 1 2", "Add 3 4"]);
        client.invoke::<()>("Wait", (0,)).await?;
        let items: Vec<_> = client.stream::<u32>("Count", (2,)).map(Result::unwrap).collect().await;
        assert_eq!(items, [0, 1]);
    }
    Ok(())
}

/// Logs the first argument, and changes arguments.
struct ArgumentChanger(Log);

impl Filter for ArgumentChanger {
    async fn invoke(&self, call: &InvocationContext, mut next: Next<'_>) -> HubResult<Reply> {
        if let Some(text) = next.argument::<String>(0) {
            self.0.add(text.clone());
            text.push('!');
        }
        if let Some(times) = next.argument::<usize>(1) {
            *times += 1;
        }
        assert_eq!(next.argument::<i64>(0), None, "of another type");
        assert_eq!(next.argument::<String>(2), None, "no such argument");
        assert_eq!(call.argument_count(), if call.method() == "Panic" { 0 } else { 2 });
        next.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn filter_changes_arguments_except_upload_streams() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let seen = Log::default();
        let (host, _) = calculator(ArgumentChanger(seen.clone()));
        let client = host.connect(format, User::anonymous()).await;
        let ([words], answer) = client.upload::<String, 1>("Say", ("a", 1));
        words.send("b");
        words.finish();
        assert_eq!(answer.await?, "a!a!b");
        assert_eq!(seen.take(), ["a"]);
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 3);
    }
    Ok(())
}

/// Replaces one type of error and swallows the others.
struct ErrorTranslator;

impl Filter for ErrorTranslator {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        match next.run().await {
            Err(error) if error.downcast_ref::<ParseIntError>().is_some() => {
                Err(HubError::new("That is no number.").with_type_name("FormatException"))
            }
            Err(_) => call.reply("swallowed"),
            ok => ok,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn filter_replaces_and_swallows_errors() -> Outcome {
    let (host, _) = calculator(ErrorTranslator);
    let client = connect(&host).await;
    assert_eq!(
        error(client.invoke::<i32>("Parse", ("x",))).await,
        "An unexpected error occurred invoking 'Parse' on the server. FormatException: That is no number."
    );
    assert_eq!(client.invoke::<i32>("Parse", ("7",)).await?, 7);
    assert_eq!(client.invoke::<String>("Panic", ()).await?, "swallowed", "a panic of the method is an error, too");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn panic_in_a_filter_fails_only_its_call() -> Outcome {
    let log = Log::default();
    let bad = ReplyWith(
        |call: &InvocationContext| if call.method() == "Add" { panic!("on purpose") } else { call.reply(&1) },
    );
    let server = server().filter(Trace("1", log.clone())).hub("/calculator", Calculator(log.clone())).filter(bad);
    let host = TestHost::from_builder(server);
    let client = connect(&host).await;
    log.take();
    let expected = "An unexpected error occurred invoking 'Add' on the server.";
    assert_eq!(error(client.invoke::<i32>("Add", (1, 2))).await, expected);
    assert_eq!(log.take(), ["1 > Add", "1 < Add: the hub method panicked"]);
    assert_eq!(client.invoke::<i32>("Wait", (1,)).await?, 1);
    Ok(())
}

/// Panics before it returns its future.
struct PanicsBeforeFuture;

impl Filter for PanicsBeforeFuture {
    fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> impl Future<Output = HubResult<Reply>> + Send {
        assert_ne!(call.method(), "Add");
        async { next.run().await }
    }
}

#[tokio::test(start_paused = true)]
async fn panic_while_a_filter_creates_its_future_fails_only_its_call() -> Outcome {
    let (host, _) = calculator(PanicsBeforeFuture);
    let client = connect(&host).await;
    let expected = "An unexpected error occurred invoking 'Add' on the server.";
    assert_eq!(error(client.invoke::<i32>("Add", (1, 2))).await, expected);
    assert_eq!(client.invoke::<i32>("Parse", ("7",)).await?, 7);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn filters_run_once_for_calls_that_bind_and_are_authorized() -> Outcome {
    let log = Log::default();
    let (host, _) = calculator(Trace("1", log.clone()));
    let client = connect(&host).await;
    log.take();
    assert!(error(client.invoke::<()>("Unknown", ())).await.ends_with("Method does not exist."));
    assert!(error(client.invoke::<i32>("Add", (1,))).await.starts_with("Failed to invoke 'Add'"));
    assert!(error(client.invoke::<i32>("Add", ("x", 1))).await.starts_with("Failed to invoke 'Add'"));
    assert!(error(client.invoke::<()>("Secret", ())).await.ends_with("because user is unauthorized"));
    assert!(error(client.invoke::<u32>("Count", (2,))).await.contains("with a non-streaming invocation"));
    let mut items = client.stream::<i32>("Add", (1, 2));
    assert!(items.next().await.unwrap().unwrap_err().to_string().contains("with a streaming invocation"));
    assert!(error(client.invoke::<String>("Say", ("a", 1))).await.contains("Client sent 0 stream(s)"));
    let ([_one], answer) = client.upload::<i32, 1>("Add", (1, 2));
    assert!(error(answer).await.contains("Client sent 1 stream(s)"));
    assert_eq!(log.take(), [""; 0]);

    let ([words], answer) = client.upload::<String, 1>("Say", ("a", 1));
    words.send("b");
    words.finish();
    assert_eq!(answer.await?, "ab");
    assert_eq!(log.take(), ["1 > Say", "1 < Say"]);
    Ok(())
}

/// Waits before it runs the method `Wait`.
struct Delay;

impl Filter for Delay {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        if call.method() == "Wait" {
            sleep(Duration::from_secs(2)).await;
        }
        next.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_filter_delays_the_next_call_unless_calls_run_in_parallel() -> Outcome {
    for (slots, waits) in [(1, true), (2, false)] {
        let server = server().filter(Delay).maximum_parallel_invocations_per_client(slots);
        let host = TestHost::from_builder(server.hub("/calculator", Calculator(Log::default())));
        let client = connect(&host).await;
        let first = client.invoke::<()>("Wait", (0,));
        let mut second = std::pin::pin!(client.invoke::<i32>("Add", (1, 2)));
        let waited = timeout(Duration::from_secs(1), second.as_mut()).await;
        assert_eq!(waited.is_err(), waits, "{slots}");
        if waits {
            assert_eq!(second.await?, 3);
        }
        first.await?;
    }
    Ok(())
}

/// Requests permission from the caller.
struct AskCaller;

impl Filter for AskCaller {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        let caller: &Caller<Calculator> = call.caller().typed().ok_or_else(|| HubError::new("another hub"))?;
        if caller.client().invoke::<bool>("MayI", (call.method(),)).await? {
            next.run().await
        } else {
            Err(HubError::new("Better not."))
        }
    }
}

#[tokio::test(start_paused = true)]
async fn filter_requests_a_client_result_of_the_caller() -> Outcome {
    let (host, _) = calculator(AskCaller);
    let client = connect(&host).await;
    client.on("MayI", |(method,): (String,)| async move { method == "Add" });
    assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 3);
    assert!(error(client.invoke::<i32>("Parse", ("7",))).await.ends_with("HubException: Better not."));
    Ok(())
}
