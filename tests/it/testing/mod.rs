//! `signalr::testing`: clients and hosts in memory, and the messages of failing tests.

mod streams;

use std::error::Error;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signalr::auth::{JwtBearer, Policy, User};
use signalr::dotnet::Naming;
use signalr::testing::{ConnectError, InvocationError, TestClient, TestHost, user};
use signalr::{Caller, DisconnectReason, HubError, HubProtocolKind, HubResult, SignalR, hub};
use tokio::sync::Notify;
use tokio::time::sleep;

type Outcome = Result<(), Box<dyn Error>>;

/// A hub with methods of many kinds.
#[derive(Default)]
struct SampleHub {
    left: Mutex<Vec<Option<String>>>,
    notify: Notify,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    written_by: String,
}

#[hub]
impl SampleHub {
    async fn on_connected(&self, caller: &Caller<Self>) -> HubResult {
        if caller.request().query("reject").is_some() {
            return Err(HubError::new("The sample_host is closed."));
        }
        // Completes later than the connect, like a lookup.
        tokio::task::yield_now().await;
        caller.join("everybody").await?;
        Ok(())
    }

    async fn on_disconnected(&self, _: &Caller<Self>, reason: Option<&DisconnectReason>) -> HubResult {
        sleep(Duration::from_millis(1)).await;
        self.left.lock().unwrap().push(reason.map(ToString::to_string));
        Ok(())
    }

    async fn add(&self, a: i32, b: i32) -> i32 {
        a + b
    }

    async fn join(&self, caller: &Caller<Self>, group: String) -> HubResult {
        Ok(caller.join(group).await?)
    }

    async fn fail(&self) -> HubResult {
        Err(HubError::new("No."))
    }

    async fn wait(&self) {
        self.notify.notified().await;
    }

    async fn leave(&self, caller: &Caller<Self>) {
        caller.abort();
    }

    async fn note(&self, note: Note) -> Note {
        note
    }

    async fn who(&self, caller: &Caller<Self>) -> Vec<String> {
        let request = caller.request();
        let of = |value: Option<&str>| value.unwrap_or("-").to_owned();
        vec![of(caller.user_id()), of(request.query("room").as_deref()), of(request.header("x-tenant").as_deref())]
    }

    #[authorize(policy = "Staff")]
    async fn staff_only(&self) {}
}

fn sample_host() -> TestHost<SampleHub> {
    TestHost::builder(SampleHub::default()).policy("Staff", Policy::require_role("Nurse")).build()
}

/// Returns the panic message of a test.
async fn failure(test: impl Future<Output = ()> + Send + 'static) -> String {
    let panicked = tokio::spawn(test).await.unwrap_err().into_panic();
    *panicked.downcast::<String>().unwrap()
}

async fn connect(host: &TestHost<SampleHub>) -> TestClient {
    host.connect(HubProtocolKind::Json, User::anonymous()).await
}

#[tokio::test(start_paused = true)]
async fn calls_work_in_both_directions_in_each_hub_protocol() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let host = sample_host();
        let client = host.connect(format, user("n1")).await;
        assert_eq!(client.invoke::<i32>("Add", (1, 2)).await?, 3);
        assert_eq!(client.invoke::<Vec<String>>("Who", ()).await?, ["n1", "-", "-"]);
        client.send("Join", ("ward",)).await;
        let ward = host.context().clients();
        ward.group("ward").send("First", (1,)).await?;
        ward.client(client.connection_id()).send("Second", (2, "two")).await?;
        // Messages can be received in any order, and names ignore case.
        assert_eq!(client.receive::<(i32, String)>("second").await, (2, "two".to_owned()));
        assert_eq!(client.try_receive::<(i32,)>("First").await, Some((1,)));
        assert_eq!(client.try_receive::<(i32,)>("First").await, None);
        client.expect_nothing(Duration::from_secs(60)).await;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn connect_waits_for_on_connected() -> Outcome {
    let host = sample_host();
    let client = connect(&host).await;
    host.context().clients().group("everybody").send("Hello", ()).await?;
    assert_eq!(client.try_receive::<()>("Hello").await, Some(()));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn calls_of_one_client_run_one_after_another() -> Outcome {
    let host = sample_host();
    let client = connect(&host).await;
    let (first, second) = (client.invoke::<()>("Wait", ()), client.invoke::<i32>("Add", (1, 1)));
    let mut second = std::pin::pin!(second);
    assert!(tokio::time::timeout(Duration::from_secs(1), second.as_mut()).await.is_err());
    client.abort();
    assert!(matches!(first.await, Err(InvocationError::Closed(_))));
    assert!(matches!(second.await, Err(InvocationError::Closed(_))));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn call_errors_have_the_text_of_the_server() {
    let host = sample_host();
    let client = connect(&host).await;
    let server = |text: &str| InvocationError::Server(text.to_owned());
    assert_eq!(
        client.invoke::<()>("Fail", ()).await,
        Err(server("An unexpected error occurred invoking 'Fail' on the server. HubException: No."))
    );
    assert_eq!(
        client.invoke::<()>("StaffOnly", ()).await,
        Err(server("Failed to invoke 'StaffOnly' because user is unauthorized"))
    );
    assert!(matches!(client.invoke::<String>("Add", (1, 2)).await, Err(InvocationError::Unreadable(_))));
    let nurse = host.connect(HubProtocolKind::Json, user("n1").role("Nurse")).await;
    assert_eq!(nurse.invoke::<()>("StaffOnly", ()).await, Ok(()));
}

#[hub]
#[authorize]
impl Guarded {
    async fn hello(&self) -> u8 {
        1
    }
}

struct Guarded;

#[tokio::test(start_paused = true)]
async fn rules_of_hubs_and_paths_reject_connections() {
    let server = SignalR::builder()
        .policy("Staff", Policy::require_role("Nurse"))
        .hub("/guarded", Guarded)
        .require_authorization("Staff");
    let host = TestHost::from_builder(server);
    let refused = async |user: User| match host.try_connect(HubProtocolKind::Json, user).await {
        Err(ConnectError::Refused { status, .. }) => status.as_u16(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(User::anonymous()).await, 401);
    assert_eq!(refused(user("d1").role("Doctor").build()).await, 403);
    let nurse = host.connect(HubProtocolKind::Json, user("n1").role("Nurse")).await;
    assert_eq!(nurse.invoke("Hello", ()).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn anonymous_clients_are_authenticated_by_the_server() {
    let bearer = JwtBearer::hmac("a key of at least thirty-two bytes").issuer("i").audience("a");
    let host = TestHost::from_builder(SignalR::builder().authentication(bearer).hub("/guarded", Guarded));
    let host = host.with_header("authorization", "Bearer nonsense");
    assert!(host.try_connect(HubProtocolKind::Json, User::anonymous()).await.is_err());
    assert!(host.try_connect(HubProtocolKind::Json, user("n1")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn host_serves_all_hubs_with_query_and_headers() -> Outcome {
    let staff = Policy::require_role("Nurse");
    let server =
        SignalR::builder().policy("Staff", staff).hub("/guarded", Guarded).hub("/sample_host", SampleHub::default());
    let host = TestHost::from_builder(server);
    let guarded = host.for_path::<Guarded>("/guarded").connect(HubProtocolKind::Json, user("n1")).await;
    assert_eq!(guarded.invoke("Hello", ()).await, Ok(1));
    let host = host.for_path::<SampleHub>("/sample_host?room=blue%20sky").with_header("x-tenant", "north");
    let client = connect(&host).await;
    assert_eq!(client.invoke::<Vec<String>>("Who", ()).await?, ["-", "blue sky", "north"]);
    assert_eq!((host.context().connection_count(), host.signalr().connection_count()), (1, 2));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn member_names_follow_the_naming_of_the_hub() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let host = TestHost::builder(SampleHub::default())
            .policy("Staff", Policy::require_role("Nurse"))
            .with(|builder| builder.naming(Naming::DotNet))
            .build();
        let client = host.connect(format, User::anonymous()).await;
        let note = Note { written_by: "n1".to_owned() };
        assert_eq!(client.invoke::<Note>("Note", (&note,)).await?, note);
        host.context().clients().all().send("Note", (&note,)).await?;
        assert_eq!(client.receive::<(Note,)>("Note").await, (note,));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn closed_reports_error_code_and_reconnect_flag() {
    let host = sample_host();
    let aborted = connect(&host).await;
    aborted.send("Leave", ()).await;
    let closed = aborted.closed().await;
    assert_eq!((closed.error, closed.allow_reconnect, closed.code), (None, false, Some(1000)));

    let rejected = connect(&host.for_path("/hub?reject=1")).await.closed().await;
    let error = "Connection closed with an error. HubException: The sample_host is closed.";
    assert_eq!((rejected.error.as_deref(), rejected.allow_reconnect, rejected.code), (Some(error), false, Some(1000)));

    let left = connect(&host).await;
    host.signalr().shutdown(Duration::from_secs(1)).await;
    let closed = left.closed().await;
    assert_eq!((closed.error, closed.allow_reconnect, closed.code), (None, true, Some(1000)));
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_on_disconnected_and_abort_does_not() {
    let hub = std::sync::Arc::new(SampleHub::default());
    let host = TestHost::builder(std::sync::Arc::clone(&hub)).policy("Staff", Policy::require_role("Nurse")).build();
    connect(&host).await.close().await;
    assert_eq!(*hub.left.lock().unwrap(), [None]);
    assert_eq!(host.signalr().connection_count(), 0);
    connect(&host).await.abort();
    sleep(Duration::from_millis(2)).await;
    assert_eq!(*hub.left.lock().unwrap(), [None, None]);
    assert_eq!(host.signalr().connection_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn server_sends_pings_and_applies_the_client_timeout() {
    let host = sample_host();
    let client = connect(&host).await;
    sleep(Duration::from_secs(120)).await;
    assert!((6..=8).contains(&client.pings()), "{}", client.pings());
    client.ping().await;
    sleep(Duration::from_secs(28)).await;
    client.ping().await;
    sleep(Duration::from_secs(32)).await;
    let closed = client.closed().await;
    assert_eq!((closed.error.as_deref(), closed.allow_reconnect), (Some("Connection closed with an error."), true));
}

#[tokio::test(start_paused = true)]
async fn handshake_has_a_timeout() {
    let host = sample_host();
    let client = host.open(HubProtocolKind::Json, User::anonymous()).await.unwrap();
    sleep(Duration::from_secs(14)).await;
    assert_eq!(client.handshake().await, Ok(()));
    assert_eq!(client.invoke("Add", (1, 2)).await, Ok(3));
    let late = host.open(HubProtocolKind::Json, User::anonymous()).await.unwrap();
    sleep(Duration::from_secs(16)).await;
    assert_eq!(late.closed().await.error.as_deref(), Some("Handshake was canceled."));
    assert_eq!(late.handshake().await, Err(ConnectError::Handshake("Handshake was canceled.".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn timeouts_fail_with_the_missing_method_name() {
    let host = sample_host();
    let clients = [connect(&host).await, connect(&host).await, connect(&host).await, connect(&host).await];
    host.context().clients().all().send("Other", ("text",)).await.unwrap();
    let [silent, waiting, mistaken, noisy] = clients;
    let text = failure(async move { silent.receive("Missing").await }).await;
    assert!(
        text.starts_with(
            "`Missing` was not called within 5s; other calls: `Other`\n  called at tests/it/testing/mod.rs:"
        ),
        "{text}"
    );
    let waiting = waiting.with_deadline(Duration::from_secs(60));
    let text = failure(async move { waiting.invoke::<()>("Wait", ()).await.unwrap() }).await;
    assert!(text.starts_with("`Wait` did not complete within 60s\n  called at tests/it/testing/mod.rs:"), "{text}");
    let text = failure(async move {
        mistaken.receive::<(i32,)>("Other").await;
    })
    .await;
    assert!(text.starts_with("`Other` was called with arguments that are not `(i32,)`: "), "{text}");
    assert!(text.contains(r#"["text"]"#), "{text}");
    let text = failure(async move { noisy.expect_nothing(Duration::ZERO).await }).await;
    assert!(text.starts_with("unexpected calls: `Other`\n"), "{text}");
    let gone = connect(&host).await;
    gone.send("Leave", ()).await;
    let text = failure(async move { gone.receive("Late").await }).await;
    assert!(
        text.starts_with("connection ended before `Late` was called: closed without an error (code 1000)"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn rejected_connect_fails_the_test() {
    let host = TestHost::from_builder(SignalR::builder().hub("/guarded", Guarded));
    let text = failure(async move { drop(host.connect(HubProtocolKind::Json, User::anonymous()).await) }).await;
    assert!(
        text.starts_with(
            "failed to connect: server responded with 401 Unauthorized: \n  called at tests/it/testing/mod.rs:"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn messages_are_buffered_until_they_are_received() -> Outcome {
    let host = sample_host();
    let client = connect(&host).await;
    let text = "x".repeat(20_000);
    for number in 0..100 {
        host.context().clients().all().send("Bulk", (number, &text)).await?;
    }
    for number in 0..100 {
        assert_eq!(client.receive::<(i32, String)>("Bulk").await.0, number);
    }
    Ok(())
}

/// Time is not paused, and there are several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_receive_broadcasts() -> Outcome {
    let host = sample_host();
    let mut clients = Vec::new();
    for number in 0..50 {
        clients.push(
            host.connect(HubProtocolKind::ALL[number % HubProtocolKind::ALL.len()], user(number.to_string())).await,
        );
    }
    host.context().clients().group("everybody").send("Hello", ("all",)).await?;
    for client in &clients {
        assert_eq!(client.receive::<(String,)>("Hello").await, ("all".to_owned(),));
    }
    Ok(())
}
