//! The limit of negotiate requests of one address.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, RETRY_AFTER};
use http::{Request, Response};
use signalr::hosting::{Cors, NegotiateLimit, PeerAddr, ResponseBody};
use signalr::{HubProtocolKind, SignalR, hub};
use signalr_test_support::{Client, bearer, http, serve, token_query, upgrade_status, within};
use tower::ServiceExt;

struct Clinic;

#[hub]
impl Clinic {
    async fn echo(&self, text: String) -> String {
        text
    }
}

struct Closed;

#[hub]
#[authorize]
impl Closed {}

const LIMIT: u32 = 3;

fn limited() -> SignalR {
    SignalR::builder()
        .authentication(bearer())
        .cors(Cors::origins(["https://app.test"]).allow_any_method())
        .negotiate_limit(NegotiateLimit::per_minute(1).burst(LIMIT))
        .hub("/clinic", Clinic)
        .hub("/closed", Closed)
        .build()
        .unwrap()
}

async fn request(signalr: &SignalR, method: &str, path: &str, from: Option<&str>) -> Response<ResponseBody> {
    let mut request = Request::builder().method(method).uri(path).header("origin", "https://app.test");
    if method == "OPTIONS" {
        request = request.header("access-control-request-method", "POST");
    }
    let mut request = request.body(ResponseBody::default()).unwrap();
    if let Some(from) = from {
        request.extensions_mut().insert(PeerAddr(from.parse().unwrap()));
    }
    within(signalr.service().oneshot(request)).await.unwrap()
}

#[tokio::test]
async fn negotiations_beyond_the_limit_are_rejected_before_authentication() {
    let signalr = limited();
    let here = Some("192.0.2.1:1000");
    // The limit covers all paths, and rejected requests count.
    for (path, status) in [("/clinic/negotiate", 200), ("/closed/negotiate", 401), ("/Clinic/Negotiate/", 200)] {
        assert_eq!(request(&signalr, "POST", path, here).await.status(), status, "{path}");
    }
    for path in ["/clinic/negotiate", "/closed/negotiate", &format!("/closed/negotiate?{}", token_query("ann"))] {
        let refused = request(&signalr, "POST", path, Some("192.0.2.1:1001")).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()[RETRY_AFTER], "60");
        assert_eq!(refused.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.test");
    }
    assert_eq!(request(&signalr, "OPTIONS", "/clinic/negotiate", here).await.status(), 204);
    // Other requests neither count nor are limited.
    for path in ["/clinic", "/clinic?id=unknown", "/nowhere"] {
        assert_ne!(request(&signalr, "GET", path, here).await.status(), 429, "{path}");
    }
    assert_eq!(request(&signalr, "POST", "/clinic/negotiate", Some("192.0.2.2:1000")).await.status(), 200);
    for _ in 0..=LIMIT {
        assert_eq!(request(&signalr, "POST", "/clinic/negotiate", None).await.status(), 200);
    }
}

#[tokio::test]
async fn websockets_without_negotiation_count_against_the_limit() {
    let signalr = limited();
    let addr = serve(&signalr).await;
    let mut first = Client::connect(addr, "/clinic", HubProtocolKind::Json).await;
    for expected in [101, 101, 429] {
        assert_eq!(upgrade_status(addr, "/clinic").await, expected);
    }
    assert_eq!(upgrade_status(addr, "/clinic?id=").await, 429);
    assert_eq!(upgrade_status(addr, "/clinic?id=AAAAAAAAAAAAAAAAAAAAAA").await, 404);
    assert_eq!(http(addr, "POST", "/clinic/negotiate", &[]).await.0, 429);
    first.echo("still here").await;
}
