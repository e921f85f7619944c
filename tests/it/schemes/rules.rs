//! Rules that name schemes, and `allow_anonymous`.

use signalr::auth::{AuthConfigError, Policy, PolicyError};
use signalr::hosting::BuildError;

use super::*;

struct Devices;

#[hub]
#[authorize(schemes = "ApiKey, Cookies")]
impl Devices {
    async fn who(&self, caller: &Caller<Self>) -> (Option<String>, Vec<String>, Option<u64>) {
        describe(caller.user())
    }
}

struct Open;

#[hub]
#[allow_anonymous]
impl Open {
    async fn who(&self, caller: &Caller<Self>) -> (Option<String>, Vec<String>, Option<u64>) {
        describe(caller.user())
    }

    #[authorize(roles = "Device")]
    async fn measure(&self) -> u32 {
        37
    }
}

const KEY: (&str, &str) = ("x-api-key", API_KEY);
const COOKIE: (&str, &str) = ("cookie", "a=b; session=ann%201");

#[tokio::test]
async fn named_schemes_are_the_only_ones_and_their_claims_are_merged() {
    let signalr = three_schemes()
        .scheme("Anybody", accept_everyone)
        .hub("/devices", Devices)
        .hub("/who_am_i", WhoAmI)
        .authorize(Authorize::roles("Nurse").schemes("Cookies"))
        .authorize(Authorize::user().schemes("ApiKey,Cookies"))
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    assert_eq!(who(addr, "/devices", &[KEY]).await, json!(["Pump", ["Device"], 1_900_000_000]));
    assert_eq!(who(addr, "/devices", &[COOKIE]).await, json!(["Ann", ["Nurse"], 2_000_000_000]));
    // The claims of the last scheme come first. Each scheme has its own claim types for names and
    // roles. The earliest expiration applies.
    assert_eq!(who(addr, "/devices", &[COOKIE, KEY]).await, json!(["Ann", ["Nurse", "Device"], 1_900_000_000]));
    assert_eq!(who(addr, "/who_am_i", &[COOKIE, KEY]).await, json!(["Pump", ["Device", "Nurse"], 1_900_000_000]));

    // The first and the last scheme have a user for this request, but are not named. Each named
    // scheme adds its challenge.
    let nobody = "Cookie path=\"/devices/negotiate\", why=\"none\"".to_owned();
    assert_eq!(negotiate(addr, "/devices", &[]).await, (401, vec![nobody]));
    let ended = "Cookie path=\"/devices/negotiate\", why=\"It has ended\"".to_owned();
    assert_eq!(negotiate(addr, "/devices", &[("cookie", "session=x")]).await, (401, vec![ended]));
    assert_eq!(negotiate(addr, "/who_am_i", &[KEY]).await, (403, vec!["/denied".into()]), "the last status counts");
}

async fn accept_everyone(_: &AuthRequest<'_>) -> Authentication {
    Authentication::Authenticated(User::builder().id("anybody").build())
}

#[tokio::test]
async fn each_named_scheme_adds_a_challenge() {
    let rule = Authorize::user().schemes(" Cookies ,Bearer,, Cookies");
    let signalr = three_schemes().hub("/who_am_i", WhoAmI).authorize(rule).build().unwrap();
    let addr = serve(&signalr).await;
    let lines = vec![
        "Cookie path=\"/who_am_i/negotiate\", why=\"none\"".to_owned(),
        "Bearer error=\"invalid_token\"".to_owned(),
    ];
    assert_eq!(negotiate(addr, "/who_am_i", &[("authorization", "Bearer x"), KEY]).await, (401, lines));
}

#[tokio::test]
async fn policies_add_their_schemes() {
    let default = Policy::require_authenticated_user().schemes(["ApiKey"]);
    let signalr = three_schemes()
        .default_policy(default)
        .policy(
            "Signed in",
            Policy::require_role("Nurse").and(Policy::require_assertion(|_| true).schemes(["Cookies"])),
        )
        .hub("/who_am_i", WhoAmI)
        .require_authorization("Signed in")
        .hub("/both", WhoAmI)
        .require_authorization("Signed in")
        .authorize(Authorize::user())
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    assert_eq!(negotiate(addr, "/who_am_i", &[KEY]).await.0, 401);
    assert_eq!(who(addr, "/who_am_i", &[KEY, COOKIE]).await, json!(["Ann", ["Nurse"], 2_000_000_000]));
    assert_eq!(who(addr, "/both", &[KEY, COOKIE]).await, json!(["Pump", ["Device", "Nurse"], 1_900_000_000]));
}

#[tokio::test]
async fn allow_anonymous_opens_a_path_but_not_its_methods() {
    let signalr = three_schemes()
        .fallback_policy(Policy::require_authenticated_user())
        .policy("Nobody", Policy::require_assertion(|_| false))
        .hub("/open", Open)
        .require_authorization("Nobody")
        .hub("/route", WhoAmI)
        .authorize(Authorize::roles("Nurse"))
        .allow_anonymous()
        .hub("/closed", WhoAmI)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    assert_eq!(negotiate(addr, "/closed", &[]).await.0, 401);
    for path in ["/open", "/route"] {
        let mut anonymous = connect(addr, path, &[]).await;
        assert_eq!(invoke(&mut anonymous, "Who").await, json!([null, [], null]));
        assert_eq!(
            invoke(&mut anonymous, "Measure").await,
            json!("Failed to invoke 'Measure' because user is unauthorized")
        );
        let mut device = connect(addr, path, &[KEY]).await;
        assert_eq!(invoke(&mut device, "Who").await, json!(["Pump", ["Device"], 1_900_000_000]));
        assert_eq!(invoke(&mut device, "Measure").await, json!(37));
    }
}

#[test]
fn invalid_schemes_and_rules_fail_the_build() {
    let rule = |built: Result<SignalR, BuildError>| match built {
        Err(BuildError::Rule { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let unknown = |name: &str| PolicyError::UnknownScheme { name: name.into() };
    let hub = || three_schemes().hub("/who_am_i", WhoAmI);
    assert_eq!(rule(hub().authorize(Authorize::user().schemes("ApiKey, apikey")).build()), unknown("apikey"));
    let closed = hub().authorize(Authorize::user().schemes("Nothing")).allow_anonymous();
    assert_eq!(rule(closed.build()), unknown("Nothing"));
    let blank = PolicyError::NoSchemes { schemes: " ,".into() };
    assert_eq!(rule(hub().authorize(Authorize::user().schemes(" ,")).build()), blank);
    assert_eq!(rule(SignalR::builder().hub("/devices", Devices).build()), unknown("ApiKey"));

    let elsewhere = || Policy::require_authenticated_user().schemes(["Elsewhere"]);
    for builder in [
        three_schemes().policy("Unused", elsewhere()),
        three_schemes().default_policy(elsewhere()),
        three_schemes().fallback_policy(Policy::any_of([elsewhere()])),
    ] {
        match builder.build() {
            Err(BuildError::Policies(error)) => assert_eq!(error, unknown("Elsewhere")),
            other => panic!("{other:?}"),
        }
    }
    assert!(
        matches!(three_schemes().authentication(bearer()).build(), Err(BuildError::DuplicateScheme(name)) if name == "Bearer")
    );
    assert!(three_schemes().scheme("bearer", bearer()).build().is_ok(), "scheme names are case-sensitive");

    let short = ApiKeys::in_header(HeaderName::from_static("x-key")).key(API_KEY, device()).key("", ann());
    let built = SignalR::builder().scheme("Short", short).build();
    assert!(matches!(built, Err(BuildError::Authentication(AuthConfigError::ShortApiKey))));
    let second = SignalR::builder().scheme("A", Cookies).scheme("B", JwtBearer::hmac("short")).build();
    assert!(matches!(second, Err(BuildError::Authentication(AuthConfigError::ShortSecret))));
}

#[test]
fn schemes_on_a_method_fail_the_build() {
    struct ByHand;
    impl signalr::Hub for ByHand {
        type Client = hub::AnyClient;
        type Items = ();
        fn methods(methods: &mut hub::Methods<Self>) {
            let rule = Authorize::roles("Nurse").schemes("Cookies");
            methods.method("Who", |_, _, (): ()| async { Ok(()) }).authorize(rule);
        }
    }
    match three_schemes().hub("/hand", ByHand).build() {
        Err(BuildError::Rule { source, .. }) => {
            assert_eq!(source, PolicyError::SchemesOnMethod { schemes: "Cookies".into() });
        }
        other => panic!("{other:?}"),
    }
}
