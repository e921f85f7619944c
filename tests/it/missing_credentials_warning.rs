//! The warning about requests without credentials: logged once for each path, without any content
//! of the request.

use http::header::{ACCEPT, AUTHORIZATION, COOKIE};
use http::{HeaderName, Request, StatusCode};
use signalr::auth::{JwtBearer, QueryToken};
use signalr::hosting::ResponseBody;
use signalr::{SignalR, hub};
use signalr_test_support::log_capture::Log;
use tower::ServiceExt;

struct Closed;

#[hub]
#[authorize]
impl Closed {}

/// Returns the number of warnings that these requests for event streams cause.
async fn warnings(requests: &[(&str, HeaderName, &str)]) -> usize {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let bearer = JwtBearer::hmac("a secret of at least thirty-two bytes").issuer("i").audience("a");
    let bearer = bearer.query_token(QueryToken::under("/hubs"));
    let signalr = SignalR::builder().authentication(bearer).hub("/hubs/a", Closed).hub("/b", Closed).build().unwrap();
    for (path, name, value) in requests {
        let request = Request::get(*path).header(ACCEPT, "text/event-stream").header(name, *value);
        let request = request.body(ResponseBody::default()).unwrap();
        assert_eq!(signalr.service().oneshot(request).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let text = log.text();
    assert!(!text.contains("secret"), "{text}");
    text.lines().filter(|line| line.contains("WARN") && line.contains("access_token")).count()
}

#[tokio::test]
async fn warning_is_logged_once_for_each_path() {
    let silent = |path| (path, HeaderName::from_static("x-nothing"), "1");
    assert_eq!(warnings(&[silent("/hubs/a"), silent("/hubs/a?id=secret"), silent("/hubs/a")]).await, 1);
    assert_eq!(warnings(&[silent("/hubs/a"), silent("/b?access_token=secret")]).await, 2, "it is not read at /b");
}

#[tokio::test]
async fn invalid_credentials_log_no_warning() {
    assert_eq!(warnings(&[("/hubs/a?access_token=secret", HeaderName::from_static("x-nothing"), "1")]).await, 0);
    assert_eq!(
        warnings(&[("/hubs/a", AUTHORIZATION, "Bearer secret"), ("/hubs/a", COOKIE, "session=secret")]).await,
        0
    );
}
