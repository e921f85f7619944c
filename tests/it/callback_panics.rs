//! Panics in callbacks of the application that run before a hub.

use signalr::hosting::Cors;
use signalr::{SignalR, hub};
use signalr_test_support::{UPGRADE_HEADERS, http, serve};

struct Echo;

#[hub]
impl Echo {}

/// No connection is left afterwards.
#[tokio::test]
async fn panic_in_a_callback_is_a_500_of_its_request() {
    let signalr = SignalR::builder()
        .web_socket_sub_protocol(|asked| panic!("asked for {asked:?}"))
        .redirect_negotiate(|_, _| panic!("sent nowhere"))
        .cors(Cors::origin_allowed(|origin| panic!("{origin}")))
        .hub("/echo", Echo)
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    assert_eq!(http(addr, "GET", "/echo", &UPGRADE_HEADERS).await, (500, String::new()));
    assert_eq!(http(addr, "POST", "/echo/negotiate", &[]).await, (500, String::new()));
    assert_eq!(http(addr, "GET", "/echo", &[("origin", "http://app.test")]).await, (500, String::new()));
    assert_eq!(signalr.connection_count(), 0);
}
