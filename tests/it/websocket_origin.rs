//! The `Origin` header of WebSocket upgrades.

use signalr_test_support::{UPGRADE_HEADERS, http, serve};

use crate::echo_hub::{Echo, Secret, authenticated, open};

#[tokio::test]
async fn websockets_of_other_origins_are_rejected() {
    let signalr = authenticated().allowed_origins(["https://App.test"]).hub("/echo", Echo).hub("/secret", Secret);
    let signalr = signalr.hub("/open", Echo).allowed_origins(["*"]).build().unwrap();
    let addr = serve(&signalr).await;
    let with = |origin: &'static str| [&UPGRADE_HEADERS[..], &[("origin", origin)]].concat();
    for path in ["/echo", "/echo?id=nobody", "/echo/negotiate"] {
        assert_eq!(http(addr, "GET", path, &with("https://evil.test")).await, (403, String::new()), "{path}");
    }
    // Authentication comes first, as in ASP.NET Core.
    assert_eq!(http(addr, "GET", "/secret", &with("https://evil.test")).await.0, 401);
    assert_eq!(signalr.connection_count(), 0);

    assert_eq!(http(addr, "GET", "/echo?id=nobody", &with("https://app.test")).await.0, 404);
    assert_eq!(http(addr, "GET", "/open?id=nobody", &with("https://evil.test")).await.0, 404);
    assert_eq!(http(addr, "GET", "/echo?id=nobody", &UPGRADE_HEADERS).await.0, 404);
    for method in ["GET", "POST"] {
        assert_eq!(http(addr, method, "/echo?id=nobody", &[("origin", "https://evil.test")]).await.0, 404);
    }
    assert_eq!(http(addr, "POST", "/echo/negotiate", &[("origin", "https://evil.test")]).await.0, 200);
    open(addr, &[("origin", "https://app.test")]).await;
    open(addr, &[]).await;
}
