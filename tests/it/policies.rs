//! Asynchronous policies: what waits for them, and how they end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use signalr::auth::{Authorize, Policy, PolicyError};
use signalr::hosting::BuildError;
use signalr::testing::{ConnectError, InvocationError, TestClient, TestHost, TestHostBuilder, user};
use signalr::{HubProtocolKind, SignalR, UploadStream, hub};
use tokio::sync::{Notify, Semaphore};

/// Records the calls in order.
#[derive(Clone, Default)]
struct Ward {
    done: Arc<Mutex<Vec<&'static str>>>,
    noted: Arc<Notify>,
}

impl Ward {
    fn done(&self) -> Vec<&'static str> {
        self.done.lock().unwrap().clone()
    }

    fn note(&self, what: &'static str) {
        self.done.lock().unwrap().push(what);
        self.noted.notify_one();
    }
}

#[hub]
impl Ward {
    #[authorize(policy = "Later")]
    async fn slow(&self) -> u32 {
        self.note("slow");
        1
    }

    async fn quick(&self) -> u32 {
        self.note("quick");
        2
    }

    #[authorize(policy = "Later")]
    fn watch(&self) -> impl futures_util::Stream<Item = u32> {
        self.note("watch");
        futures_util::stream::iter([1, 2])
    }

    #[authorize(policy = "Later")]
    async fn upload(&self, mut numbers: UploadStream<u32>) -> u32 {
        self.note("upload");
        let mut sum = 0;
        while let Some(Ok(number)) = numbers.next().await {
            sum += number;
        }
        sum
    }

    #[authorize(policy = "OwnWard")]
    async fn own(&self, ward: String) -> String {
        ward
    }
}

/// Allows the user `good`, after a yield.
fn allow_good() -> Policy {
    Policy::require_assertion_async(|user| async move {
        tokio::task::yield_now().await;
        user.id() == Some("good")
    })
}

/// Allows each user once the gate has a permit.
fn gate(gate: &Arc<Semaphore>) -> Policy {
    let gate = Arc::clone(gate);
    Policy::require_assertion_async(move |_| {
        let gate = Arc::clone(&gate);
        async move { gate.acquire().await.map(|permit| permit.forget()).is_ok() }
    })
}

fn host(ward: &Ward, later: Policy) -> TestHostBuilder<Ward> {
    let own = Policy::require_invocation_async(|user, call| async move {
        tokio::task::yield_now().await;
        let ward: Option<String> = call.argument(0);
        let caller = call.caller();
        call.argument_count() == 1
            && caller.user_id() == user.id()
            && caller.request().path() == "/hub"
            && ward.is_some_and(|ward| user.has_claim("ward", &ward))
    });
    TestHost::builder(ward.clone()).policy("Later", later).policy("OwnWard", own)
}

fn refused(method: &str) -> InvocationError {
    InvocationError::Server(format!("Failed to invoke '{method}' because user is unauthorized"))
}

async fn connect(host: &TestHost<Ward>, id: &str) -> TestClient {
    host.connect(HubProtocolKind::Json, user(id)).await
}

#[tokio::test]
async fn asynchronous_policies_guard_every_kind_of_call() {
    for format in [HubProtocolKind::Json, HubProtocolKind::MessagePack] {
        let ward = Ward::default();
        let host = host(&ward, allow_good()).build();
        let client = host.connect(format, user("good")).await;
        assert_eq!(client.invoke::<u32>("slow", ()).await, Ok(1));
        let mut items = client.stream::<u32>("Watch", ());
        assert_eq!([items.next().await, items.next().await, items.next().await], [Some(Ok(1)), Some(Ok(2)), None]);
        let ([numbers], sum) = client.upload::<u32, 1>("Upload", ());
        numbers.send(&20);
        numbers.send(&3);
        numbers.finish();
        assert_eq!(sum.await, Ok(23));
        assert_eq!(ward.done(), ["slow", "watch", "upload"]);

        let client = host.connect(format, user("bad")).await;
        assert_eq!(client.invoke::<u32>("Slow", ()).await, Err(refused("Slow")));
        assert_eq!(client.stream::<u32>("Watch", ()).next().await, Some(Err(refused("Watch"))));
        let ([numbers], sum) = client.upload::<u32, 1>("Upload", ());
        numbers.send(&20);
        assert_eq!(sum.await, Err(refused("Upload")));
        numbers.send(&3);
        client.send("Slow", ()).await;
        // The remaining items of a rejected call do not affect later calls.
        assert_eq!(client.invoke::<u32>("Quick", ()).await, Ok(2));
        assert_eq!(ward.done(), ["slow", "watch", "upload", "quick"]);
    }
}

#[tokio::test]
async fn pending_authorization_delays_later_calls_of_its_connection_only() {
    let (ward, open) = (Ward::default(), Arc::new(Semaphore::new(0)));
    let host = host(&ward, gate(&open)).build();
    let (client, other) = (connect(&host, "a").await, connect(&host, "b").await);
    let slow = client.invoke::<u32>("Slow", ());
    let quick = client.invoke::<u32>("Quick", ());
    client.ping().await;
    assert_eq!(other.invoke::<u32>("Quick", ()).await, Ok(2));
    assert_eq!(ward.done(), ["quick"]);
    open.add_permits(1);
    assert_eq!((slow.await, quick.await), (Ok(1), Ok(2)));
    assert_eq!(ward.done(), ["quick", "slow", "quick"]);
}

#[tokio::test]
async fn parallel_calls_overtake_a_pending_authorization() {
    let (ward, open) = (Ward::default(), Arc::new(Semaphore::new(0)));
    let host = host(&ward, gate(&open)).with(|builder| builder.maximum_parallel_invocations_per_client(2)).build();
    let client = connect(&host, "a").await;
    let slow = client.invoke::<u32>("Slow", ());
    assert_eq!(client.invoke::<u32>("Quick", ()).await, Ok(2));
    open.add_permits(1);
    assert_eq!(slow.await, Ok(1));
}

#[tokio::test]
async fn call_runs_after_its_client_disconnected_during_authorization() {
    let (ward, begun, open) = (Ward::default(), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let later = {
        let (begun, open) = (Arc::clone(&begun), Arc::clone(&open));
        Policy::require_assertion_async(move |_| {
            begun.add_permits(1);
            let open = Arc::clone(&open);
            async move { open.acquire().await.is_ok() }
        })
    };
    let host = host(&ward, later).build();
    let client = connect(&host, "a").await;
    client.send("Slow", ()).await;
    tokio::time::timeout(DEADLINE, begun.acquire()).await.unwrap().unwrap().forget();
    client.abort();
    open.add_permits(1);
    tokio::time::timeout(DEADLINE, ward.noted.notified()).await.unwrap();
    assert_eq!(ward.done(), ["slow"]);
}

#[tokio::test]
async fn pending_authorization_of_a_stream_is_dropped_with_its_connection() {
    /// Adds a permit when it is dropped.
    struct SignalOnDrop(Arc<Semaphore>);
    impl Drop for SignalOnDrop {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let (ward, begun, dropped) = (Ward::default(), Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let never = {
        let (begun, dropped) = (Arc::clone(&begun), Arc::clone(&dropped));
        Policy::require_assertion_async(move |_| {
            let told = SignalOnDrop(Arc::clone(&dropped));
            begun.add_permits(1);
            async move {
                std::future::pending::<()>().await;
                drop(told);
                true
            }
        })
    };
    let host = host(&ward, never).build();
    let client = connect(&host, "a").await;
    let items = client.stream::<u32>("Watch", ());
    tokio::time::timeout(DEADLINE, begun.acquire()).await.unwrap().unwrap().forget();
    client.abort();
    tokio::time::timeout(DEADLINE, dropped.acquire()).await.unwrap().unwrap().forget();
    drop(items);
    assert_eq!(ward.done(), [""; 0]);
}

#[tokio::test]
async fn panic_in_a_policy_fails_only_its_call() {
    for at_once in [true, false] {
        let panics = Policy::require_assertion_async(move |_| {
            assert!(!at_once, "the policy");
            async { panic!("the policy, later") }
        });
        let ward = Ward::default();
        let host = host(&ward, panics).build();
        let client = connect(&host, "a").await;
        let failed = |method: &str| {
            InvocationError::Server(format!("An unexpected error occurred invoking '{method}' on the server."))
        };
        assert_eq!(client.invoke::<u32>("Slow", ()).await, Err(failed("Slow")));
        assert_eq!(client.stream::<u32>("Watch", ()).next().await, Some(Err(failed("Watch"))));
        assert_eq!(client.invoke::<u32>("Quick", ()).await, Ok(2));
        assert_eq!(ward.done(), ["quick"]);
    }
}

#[tokio::test]
async fn asynchronous_policies_can_inspect_the_call() {
    let host = host(&Ward::default(), allow_good()).build();
    let client = host.connect(HubProtocolKind::MessagePack, user("a").claim("ward", "7")).await;
    assert_eq!(client.invoke::<String>("Own", ("7",)).await, Ok("7".to_owned()));
    assert_eq!(client.invoke::<String>("Own", ("8",)).await, Err(refused("Own")));

    let later = Policy::require_invocation_async(|_, _| async { true });
    let rule = |policy: Policy| {
        let server = SignalR::builder().policy("Later", Policy::require_assertion(|_| true)).policy("OwnWard", policy);
        server.hub("/ward", Ward::default()).authorize(Authorize::policy("OwnWard")).build()
    };
    for policy in [later.clone(), Policy::any_of([later.clone()]), Policy::require_role("x").and(later.clone())] {
        match rule(policy) {
            Err(BuildError::Rule { source, .. }) => {
                assert_eq!(source, PolicyError::NeedsCall { name: "OwnWard".into() });
            }
            other => panic!("{other:?}"),
        }
    }
    let either = rule(Policy::any_of([later, Policy::require_role("x")]));
    assert!(matches!(either, Err(BuildError::NoAuthentication(_))), "{either:?}");
}

#[tokio::test]
async fn synchronous_requirements_short_circuit_async_ones() {
    let asked = Arc::new(AtomicUsize::new(0));
    let later = || {
        let asked = Arc::clone(&asked);
        Policy::require_assertion_async(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            async { true }
        })
    };
    let admin = || Policy::require_role("Admin");
    let (nobody, known) = (user("a").build(), user("a").role("Admin").build());
    for (policy, user, allowed, asks) in [
        (later(), &nobody, true, 1),
        (later().and(admin()), &nobody, false, 0),
        (later().and(admin()), &known, true, 1),
        (Policy::any_of([later(), admin()]), &known, true, 0),
        (Policy::any_of([admin(), later()]), &nobody, true, 1),
        (Policy::any_of([admin().and(later()), admin()]), &nobody, false, 0),
    ] {
        asked.store(0, Ordering::SeqCst);
        assert_eq!(policy.allows_async(user).await, allowed, "{policy:?}");
        assert_eq!(asked.load(Ordering::SeqCst), asks, "{policy:?}");
        assert_eq!(policy.allows(user), allowed && asks == 0, "asynchronous requirements are not met yet: {policy:?}");
    }
    let anonymous = signalr::auth::User::anonymous();
    assert!(!later().allows_async(&anonymous).await && later().allow_anonymous().allows_async(&anonymous).await);
}

#[tokio::test]
async fn negotiate_requests_wait_for_asynchronous_policies() {
    let panics = Policy::require_assertion_async(|user| async move {
        tokio::task::yield_now().await;
        assert_ne!(user.id(), Some("panics"), "the policy");
        true
    });
    let host = |later: Policy| {
        let builder = SignalR::builder().policy("Later", later).policy("OwnWard", allow_good());
        TestHost::from_builder(builder.hub("/hub", Ward::default()).require_authorization("Later"))
    };
    let (accepting, panicking) = (host(allow_good()), host(panics));
    for (host, id, status) in [
        (&accepting, "good", StatusCode::OK),
        (&accepting, "bad", StatusCode::FORBIDDEN),
        (&panicking, "panics", StatusCode::INTERNAL_SERVER_ERROR),
        (&panicking, "good", StatusCode::OK),
    ] {
        let answered = match host.try_connect(HubProtocolKind::Json, user(id)).await {
            Ok(_) => StatusCode::OK,
            Err(ConnectError::Refused { status, .. }) => status,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(answered, status, "{id}");
    }
}

/// Far longer than any step takes.
const DEADLINE: Duration = Duration::from_secs(10);
