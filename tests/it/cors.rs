//! CORS headers of responses, and preflight requests.

use http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use http::{Request, Response};
use signalr::SignalR;
use signalr::hosting::{Cors, ResponseBody};
use signalr_test_support::{negotiate, serve, within};
use tower::ServiceExt;

use crate::echo_hub::{Echo, Secret, authenticated, open};

async fn request(signalr: &SignalR, method: &str, path: &str, headers: &[(&str, &str)]) -> Response<ResponseBody> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    within(signalr.service().oneshot(request.body(ResponseBody::default()).unwrap())).await.unwrap()
}

/// Returns the allowed origin of a response.
fn allowed(response: &Response<ResponseBody>) -> Option<&str> {
    response.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap())
}

#[tokio::test]
async fn cors_policy_of_the_server_applies_to_every_response() {
    let signalr = authenticated().cors(Cors::origins(["http://app.test"])).hub("/echo", Echo).hub("/secret", Secret);
    let signalr = signalr.transports(signalr::hosting::Transports::WEB_SOCKETS).build().unwrap();
    for (method, path, status) in [
        ("POST", "/echo/negotiate", 200),
        ("OPTIONS", "/echo/negotiate", 405),
        ("GET", "/echo", 400),
        ("GET", "/echo?id=nobody", 404),
        ("POST", "/echo?id=nobody", 404),
        ("DELETE", "/echo?id=nobody", 404),
        ("POST", "/secret/negotiate", 401),
        ("GET", "/nowhere", 404),
    ] {
        let response = request(&signalr, method, path, &[("origin", "http://app.test")]).await;
        assert_eq!((response.status().as_u16(), allowed(&response)), (status, Some("http://app.test")), "{path}");
        for headers in [&[("origin", "http://evil.test")][..], &[]] {
            let response = request(&signalr, method, path, headers).await;
            assert_eq!((response.status().as_u16(), allowed(&response)), (status, None), "{path}");
        }
        let asks = [("origin", "http://app.test"), ("access-control-request-method", "POST")];
        let preflight = request(&signalr, "OPTIONS", path, &asks).await;
        assert_eq!((preflight.status().as_u16(), allowed(&preflight)), (204, Some("http://app.test")), "{path}");
        assert_eq!(preflight.headers()["access-control-allow-methods"], "GET,POST,DELETE");
    }
}

/// Responses that are written later have the headers too.
#[tokio::test]
async fn cors_headers_are_on_polls_posts_and_upgrades() {
    let signalr = SignalR::builder().cors(Cors::origins(["http://app.test"])).hub("/echo", Echo).build().unwrap();
    let addr = serve(&signalr).await;
    let target = format!("/echo?id={}", negotiate(addr, "/echo").await);
    for method in ["GET", "POST", "DELETE"] {
        let response = request(&signalr, method, &target, &[("origin", "http://app.test")]).await;
        assert!(response.status().is_success(), "{method}");
        assert_eq!(allowed(&response), Some("http://app.test"), "{method}");
    }
    let upgraded = open(addr, &[("origin", "http://app.test")]).await;
    assert_eq!(upgraded["access-control-allow-origin"], "http://app.test");
}

#[tokio::test]
async fn cors_policy_of_a_hub_replaces_that_of_the_server() {
    let signalr = SignalR::builder()
        .cors(Cors::any_origin())
        .hub("/own", Echo)
        .cors(Cors::origins(["http://app.test"]))
        .hub("/other", Echo)
        .build()
        .unwrap();
    let from = |origin: &'static str| [("origin", origin)];
    let answer = request(&signalr, "POST", "/own/negotiate", &from("http://app.test")).await;
    assert_eq!(allowed(&answer), Some("http://app.test"));
    assert_eq!(allowed(&request(&signalr, "POST", "/own/negotiate", &from("http://evil.test")).await), None);
    assert_eq!(allowed(&request(&signalr, "POST", "/other/negotiate", &from("http://evil.test")).await), Some("*"));

    let signalr = SignalR::builder().hub("/own", Echo).cors(Cors::any_origin()).hub("/other", Echo).build().unwrap();
    let asks = [("origin", "http://app.test"), ("access-control-request-method", "POST")];
    assert_eq!(request(&signalr, "OPTIONS", "/own/negotiate", &asks).await.status(), 204);
    assert_eq!(request(&signalr, "OPTIONS", "/other/negotiate", &asks).await.status(), 405);
    assert_eq!(request(&signalr, "OPTIONS", "/nowhere", &asks).await.status(), 404);
}
