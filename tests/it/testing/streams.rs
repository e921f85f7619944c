//! Streams in both directions, and client results.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use signalr::auth::User;
use signalr::hub::{AnyClient, InvokeError, Methods};
use signalr::testing::{InvocationError, TestClient, TestHost};
use signalr::{Caller, Hub, HubError, HubProtocolKind, HubResult, UploadStream};

#[derive(Default)]
struct Streams {
    stopped: AtomicBool,
}

/// Part of an endless stream; records that it was dropped.
struct Stopped(Arc<Streams>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }
}

impl Hub for Streams {
    type Client = AnyClient;
    type Items = ();

    fn methods(methods: &mut Methods<Self>) {
        methods.stream("Count", |_, _, (to,): (u32,)| async move {
            Ok(stream::iter(0..to).then(|n| async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if n == 3 { Err(HubError::new("Three is too much.")) } else { Ok(n) }
            }))
        });
        methods.stream("Forever", |hub, _, (): ()| async move {
            Ok(stream::unfold(Stopped(hub), |stopped| async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((HubResult::Ok(1), stopped))
            }))
        });
        methods.stream("Refuse", |_, _, (): ()| async move {
            Err::<stream::Empty<HubResult<u32>>, _>(HubError::new("Not today."))
        });
        methods.method("Sum", |_, _, (from, items): (u32, UploadStream<u32>)| async move { sum(from, items).await });
        methods.method("Difference", |_, _, (a, b): (UploadStream<u32>, UploadStream<u32>)| async move {
            Ok(sum(0, a).await? - sum(0, b).await?)
        });
        methods.stream("Double", |_, _, (items,): (UploadStream<u32>,)| async move {
            Ok(items.map(|item| Ok::<_, HubError>(item? * 2)))
        });
        methods.method("Ask", |_, caller: Caller<Self>, (method,): (String,)| async move {
            Ok(caller.client().invoke::<u32>(&method, (20, 1)).await?)
        });
    }
}

async fn sum(from: u32, mut items: UploadStream<u32>) -> HubResult<u32> {
    let mut sum = from;
    while let Some(item) = items.next().await {
        sum += item?;
    }
    Ok(sum)
}

async fn connected(format: HubProtocolKind) -> (TestHost<Streams>, Arc<Streams>, TestClient) {
    let hub = Arc::new(Streams::default());
    let host = TestHost::builder(Arc::clone(&hub)).build();
    let client = host.connect(format, User::anonymous()).await;
    (host, hub, client)
}

fn refused(method: &str, why: &str) -> InvocationError {
    InvocationError::Server(format!("An unexpected error occurred invoking '{method}' on the server. {why}"))
}

#[tokio::test(start_paused = true)]
async fn stream_yields_items_and_its_end() {
    for &format in HubProtocolKind::ALL {
        let (_host, _, client) = connected(format).await;
        let mut items = client.stream::<u32>("Count", (2,));
        assert_eq!((items.next().await, items.next().await), (Some(Ok(0)), Some(Ok(1))));
        assert_eq!((items.next().await, items.next().await), (None, None));
        let all: Vec<_> = client.stream::<u32>("Count", (9,)).collect().await;
        let error = InvocationError::Server(
            "An error occurred on the server while streaming results. HubException: Three is too much.".to_owned(),
        );
        assert_eq!(all, [Ok(0), Ok(1), Ok(2), Err(error)]);
        let mut none = client.stream::<u32>("None", ());
        assert!(matches!(none.next().await, Some(Err(InvocationError::Server(_)))));
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_stream_is_cancelled_on_the_server() {
    for &format in HubProtocolKind::ALL {
        let (_host, hub, client) = connected(format).await;
        let mut items = client.stream::<u32>("Forever", ());
        for _ in 0..100 {
            assert_eq!(items.next().await, Some(Ok(1)));
        }
        drop(items);
        // Arrives after the cancellation.
        client.ping().await;
        assert!(hub.stopped.load(Ordering::SeqCst));
        assert_eq!(
            client.invoke("Sum", (1,)).await,
            Err::<u32, _>(refused("Sum", "HubException: Client sent 0 stream(s), Hub method expects 1."))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn stream_ends_with_its_connection() {
    let (host, _, client) = connected(HubProtocolKind::Json).await;
    let mut items = client.stream::<u32>("Forever", ());
    assert_eq!(items.next().await, Some(Ok(1)));
    host.signalr().shutdown(Duration::ZERO).await;
    let closed = client.closed().await;
    let end = loop {
        match items.next().await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert_eq!(end, Some(Err(InvocationError::Closed(closed))));
}

#[tokio::test(start_paused = true)]
async fn upload_items_reach_the_method() {
    for &format in HubProtocolKind::ALL {
        let (_host, _, client) = connected(format).await;
        let ([items], total) = client.upload("Sum", (1,));
        items.send(&2);
        items.send(&3);
        items.finish();
        assert_eq!(total.await, Ok(6));

        let ([a, b], difference) = client.upload("Difference", ());
        b.send(&3);
        a.send(&10);
        drop((a, b));
        assert_eq!(difference.await, Ok(7));

        let ([items], total) = client.upload::<u32, 1>("Sum", (1,));
        items.fail("broken");
        assert!(matches!(total.await, Err(InvocationError::Server(_))));

        let ([items], mut doubled) = client.upload_stream("Double", ());
        for number in 1..=3 {
            items.send(&number);
            assert_eq!(doubled.next().await, Some(Ok(number * 2)));
        }
        items.finish();
        assert_eq!(doubled.next().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn client_handlers_return_client_results() {
    for &format in HubProtocolKind::ALL {
        let (host, _, client) = connected(format).await;
        client.on("Add", |(a, b): (u32, u32)| async move { a + b });
        client.on("AddSlowly", |(a, b): (u32, u32)| async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            a + b
        });
        client.refuse("Refuse", "Not today.");
        assert_eq!(client.invoke("Ask", ("Add",)).await, Ok(21));
        assert_eq!(client.invoke("Ask", ("AddSlowly",)).await, Ok(21));
        let ask = async |method: &str| client.invoke::<u32>("Ask", (method,)).await;
        assert_eq!(ask("Refuse").await, Err(refused("Ask", "HubException: Not today.")));
        assert_eq!(ask("Other").await, Err(refused("Ask", "HubException: Client didn't provide a result.")));
        assert_eq!(client.receive::<(u32, u32)>("Other").await, (20, 1));

        client.on("Never", |_: (u32, u32)| pending::<u32>());
        let asked = host.context().clients().client(client.connection_id());
        let id = client.connection_id().to_string();
        let never = asked.invoke::<u32>("Never", (1, 2));
        let cut = async {
            tokio::task::yield_now().await;
            client.ping().await;
            client.abort();
        };
        let (never, ()) = tokio::join!(never, cut);
        assert_eq!(never, Err(InvokeError::Disconnected(id)));
    }
}

/// As in ASP.NET Core, whose MessagePack reader does not look up the target of a stream invocation.
#[tokio::test(start_paused = true)]
async fn stream_errors_name_the_method_as_the_hub_protocol_does() {
    for (format, shown) in [(HubProtocolKind::Json, "Refuse"), (HubProtocolKind::MessagePack, "REFUSE")] {
        let (_host, _, client) = connected(format).await;
        let refused = client.stream::<u32>("REFUSE", ()).next().await.unwrap().unwrap_err();
        let told = format!("An unexpected error occurred invoking '{shown}' on the server. HubException: Not today.");
        assert_eq!(refused.to_string(), told);
    }
}
