//! Details of a call that filters and policies can read.

use serde_json::Value;
use signalr::Hub;
use signalr::auth::{Authorize, Policy};
use signalr::hosting::BuildError;
use signalr::hub::{AnyClient, Methods};
use signalr::testing::user;

use super::*;

#[derive(Debug, PartialEq)]
struct RateLimit {
    per_second: u32,
}

struct Danger(u8);

struct Area(&'static str);

#[derive(Default)]
struct Session {
    calls: std::sync::atomic::AtomicU32,
}

struct Pumps;

#[hub(items = Session, attribute = Area("icu"), attribute = Danger(1))]
impl Pumps {
    #[hub(attribute = RateLimit { per_second: 5 })]
    #[hub(name = "SetRate", attribute = Danger(9))]
    #[authorize(policy = "OwnWard")]
    async fn set(&self, ward: String, rate: f64) -> String {
        format!("{ward}: {rate}")
    }

    fn watch(&self) -> impl Stream<Item = u32> {
        stream::empty()
    }

    #[authorize(policy = "Harmless")]
    async fn harmless(&self) {}

    #[authorize(policy = "Odd")]
    async fn odd(&self, _: Option<u32>) {}

    #[authorize(policy = "Strange")]
    async fn strange(&self) {}
}

/// Logs all details of each call.
struct Recorder(Log);

impl Filter for Recorder {
    async fn invoke(&self, call: &InvocationContext, next: Next<'_>) -> HubResult<Reply> {
        let dangers: Vec<_> = call.attributes::<Danger>().map(|danger| danger.0).collect();
        let arguments: Vec<Value> = (0..call.argument_count()).map(|at| call.argument(at).unwrap()).collect();
        let calls = call.caller().typed::<Pumps>().map(|caller| {
            caller.items().calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            caller.items().calls.load(std::sync::atomic::Ordering::SeqCst)
        });
        self.0.add(format!(
            "{} {} {:?} {dangers:?} {:?} {arguments:?} {:?} {calls:?} {:?} {:?}",
            call.method(),
            call.is_stream(),
            call.attribute::<RateLimit>().map(|limit| limit.per_second),
            call.attribute::<Area>().map(|area| area.0),
            call.user().id(),
            call.caller().request().query("bed"),
            call.caller().transport(),
        ));
        assert!(call.caller().typed::<Calculator>().is_none());
        assert_eq!(call.argument::<u8>(call.argument_count()), None);
        assert_eq!(call.argument::<Vec<u8>>(0), None);
        assert_eq!(call.caller().user_id(), call.user().id());
        next.run().await
    }
}

fn pumps(filter: impl Filter) -> TestHost<Pumps> {
    let own_ward = Policy::require_invocation(|user, call| {
        call.argument(0).is_some_and(|ward: String| user.has_claim("ward", &ward))
            && call.attribute::<RateLimit>() == Some(&RateLimit { per_second: 5 })
    });
    let harmless = Policy::require_invocation(|_, call| call.attribute().is_none_or(|Danger(level)| *level < 5));
    let odd = Policy::require_invocation(|_, call| match call.argument::<Option<u32>>(0) {
        Some(number) => number.is_some_and(|number| number % 2 == 1),
        None => panic!("no number"),
    });
    let strange = Policy::any_of([
        Policy::require_role("Admin"),
        Policy::require_invocation(|_, call| !call.is_stream()).allow_anonymous(),
    ]);
    TestHost::builder(Pumps)
        .policy("OwnWard", own_ward)
        .policy("Harmless", harmless)
        .policy("Odd", odd)
        .policy("Strange", strange)
        .with(|builder| builder.filter(filter))
        .build()
}

/// A filter without an effect.
struct NoFilter;

impl Filter for NoFilter {}

#[tokio::test(start_paused = true)]
async fn filters_see_method_attributes_arguments_and_caller() -> Outcome {
    for &format in HubProtocolKind::ALL {
        let log = Log::default();
        let host = pumps(Recorder(log.clone())).for_path::<Pumps>("/hub?bed=7");
        let client = host.connect(format, user("n1").claim("ward", "icu")).await;
        assert_eq!(client.invoke::<String>("setRATE", ("icu", 1.5)).await?, "icu: 1.5");
        assert!(client.stream::<u32>("Watch", ()).next().await.is_none());
        assert_eq!(
            log.take(),
            [
                r#"SetRate false Some(5) [9, 1] Some("icu") [String("icu"), Number(1.5)] Some("n1") Some(1) Some("7") WebSockets"#,
                r#"Watch true None [1] Some("icu") [] Some("n1") Some(2) Some("7") WebSockets"#,
            ]
        );
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn policies_see_attributes_and_arguments_of_a_call() -> Outcome {
    for &format in HubProtocolKind::ALL {
        // The result is the same with and without filters.
        let seen = Log::default();
        for host in [pumps(NoFilter), pumps(Trace("1", seen.clone()))] {
            let nurse = host.connect(format, user("n1").claim("ward", "icu")).await;
            let unauthorized = |method: &str| format!("Failed to invoke '{method}' because user is unauthorized");
            assert_eq!(nurse.invoke::<String>("SetRate", ("icu", 2.5)).await?, "icu: 2.5");
            seen.take();
            assert_eq!(error(nurse.invoke::<String>("SetRate", ("er", 2.5))).await, unauthorized("SetRate"));
            assert_eq!(error(nurse.invoke::<String>("SetRate", ())).await, unauthorized("SetRate"));
            assert_eq!(error(nurse.invoke::<String>("SetRate", (1, "x"))).await, unauthorized("SetRate"));
            assert_eq!(seen.take(), [""; 0], "filters are inside of authorization");
            nurse.invoke::<()>("Harmless", ()).await?;
            nurse.invoke::<()>("Odd", (7,)).await?;
            assert_eq!(error(nurse.invoke::<()>("Odd", (8,))).await, unauthorized("Odd"));
            assert_eq!(error(nurse.invoke::<()>("Odd", ((),))).await, unauthorized("Odd"), "null is an argument");
            let panicked = "An unexpected error occurred invoking 'Odd' on the server.";
            assert_eq!(error(nurse.invoke::<()>("Odd", ())).await, panicked, "the policy panicked");
            nurse.invoke::<()>("Strange", ()).await?;

            let anonymous = host.connect(format, User::anonymous()).await;
            assert_eq!(error(anonymous.invoke::<String>("SetRate", ("icu", 2.5))).await, unauthorized("SetRate"));
            assert_eq!(error(anonymous.invoke::<()>("Harmless", ())).await, unauthorized("Harmless"));
            anonymous.invoke::<()>("Strange", ()).await?;
        }
    }
    Ok(())
}

/// A hub without macros.
struct ByHand;

impl Hub for ByHand {
    type Client = AnyClient;
    type Items = ();

    fn methods(methods: &mut Methods<Self>) {
        methods.method("Plain", |_, _, (_,): (Value,)| async { Ok(()) }).authorize(Authorize::policy("Count"));
        methods.method("Marked", |_, _, (): ()| async { Ok(()) }).attribute(Danger(3)).attribute(Danger(4));
        methods.attribute(Danger(5));
    }
}

#[tokio::test(start_paused = true)]
async fn attributes_can_be_added_without_macros() -> Outcome {
    let dangers = ReplyWith(|call: &InvocationContext| {
        call.reply(&call.attributes::<Danger>().map(|danger| danger.0).collect::<Vec<_>>())
    });
    let anybody = Policy::require_invocation(|_, _| true);
    let server = SignalR::builder().policy("Count", anybody).hub("/list", ByHand).filter(dangers);
    let host = TestHost::from_builder(server);
    let client = host.connect(HubProtocolKind::Json, user("u")).await;
    assert_eq!(client.invoke::<Vec<u8>>("Marked", ()).await?, [3, 4, 5]);
    assert_eq!(client.invoke::<Vec<u8>>("Plain", (1,)).await?, [5]);
    Ok(())
}

#[test]
fn policies_that_inspect_calls_cannot_guard_connections() {
    let looks = || Policy::require_invocation(|_, _| true);
    let either = || Policy::any_of([looks(), Policy::require_role("Admin")]);
    let server = || {
        let bearer = signalr::auth::JwtBearer::hmac("0123456789abcdef0123456789abcdef").issuer("i").audience("a");
        SignalR::builder().authentication(bearer).policy("Count", looks()).policy("Either", either())
    };
    let error_text = |built: Result<SignalR, BuildError>| {
        let error: &dyn Error = &built.unwrap_err();
        error.source().map_or_else(|| error.to_string(), ToString::to_string)
    };
    let text =
        |name: &str| format!("authorization policy \"{name}\" can never succeed for a connection: it examines calls");
    assert!(server().hub("/list", ByHand).build().is_ok(), "methods may use it");
    assert!(server().hub("/list", ByHand).require_authorization("Either").build().is_ok());
    assert_eq!(error_text(server().hub("/list", ByHand).require_authorization("count").build()), text("count"));
    let by_default = server().default_policy(looks()).hub("/list", ByHand).authorize(Authorize::user());
    assert_eq!(error_text(by_default.build()), text("default"));
    assert_eq!(error_text(server().fallback_policy(looks()).hub("/list", ByHand).build()), text("fallback"));
    assert!(!looks().allows(&User::builder().id("u").build()));
}
