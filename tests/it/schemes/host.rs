//! Users that the host provides: from an axum middleware and from a proxy.

use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use signalr::auth::ExtensionUser;
use tokio::net::TcpListener;

use super::*;

#[derive(Clone)]
struct Account {
    name: String,
}

/// Signs in the user that the query names.
async fn sign_in(mut request: Request, next: Next) -> axum::response::Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let Some((_, name)) = query.split_once("user=") {
        request.extensions_mut().insert(Account { name: name.to_owned() });
    }
    next.run(request).await
}

async fn under_axum(signalr: &SignalR) -> SocketAddr {
    let app = axum::Router::new().fallback_service(signalr.service()).layer(from_fn(sign_in));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).into_future());
    addr
}

fn accounts() -> impl Authenticator {
    ExtensionUser::new(|account: &Account| match &*account.name {
        "" => User::anonymous(),
        name => User::builder().id(name).name(name).build(),
    })
}

#[tokio::test]
async fn user_of_an_axum_middleware_is_used() {
    let signalr = SignalR::builder()
        .scheme("Accounts", accounts())
        .hub("/who_am_i", WhoAmI)
        .authorize(Authorize::user())
        .build()
        .unwrap();
    let addr = under_axum(&signalr).await;
    assert_eq!(who(addr, "/who_am_i?user=eve", &[]).await, json!(["eve", [], null]));
    assert_eq!(request_head(addr, "POST", "/who_am_i/negotiate?user=eve", &[]).await.0, 200);
    assert_eq!(request_head(addr, "POST", "/who_am_i/negotiate?user=", &[]).await.0, 401);
    assert_eq!(negotiate(addr, "/who_am_i", &[]).await, (401, Vec::new()));
}

/// Trusts the header of a proxy at one of these addresses.
struct Proxy(Vec<IpAddr>);

impl Authenticator for Proxy {
    async fn authenticate(&self, request: &AuthRequest<'_>) -> Authentication {
        let Some(name) = request.headers().get("x-forwarded-user") else { return Authentication::Anonymous };
        if !request.peer_addr().is_some_and(|peer| self.0.contains(&peer.ip())) {
            return Authentication::Failed(AuthError::new("no proxy"));
        }
        Authentication::Authenticated(User::builder().name(name.to_str().unwrap()).build())
    }
}

#[tokio::test]
async fn proxy_headers_are_trusted_from_its_address_only() {
    let (here, elsewhere) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
    for (proxies, status) in [(vec![elsewhere, here], 200), (vec![elsewhere], 401), (Vec::new(), 401)] {
        let server = || {
            let builder = SignalR::builder().scheme("Proxy", Proxy(proxies.clone()));
            builder.peer_addr(|extensions| extensions.get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| *addr))
        };
        let signalr = server().hub("/who_am_i", WhoAmI).authorize(Authorize::user()).build().unwrap();
        let addr = under_axum(&signalr).await;
        assert_eq!(negotiate(addr, "/who_am_i", &[("x-forwarded-user", "eve")]).await.0, status);
        assert_eq!(negotiate(addr, "/who_am_i", &[]).await.0, 401);
        // This server provides no peer address.
        let addr = serve(&signalr).await;
        assert_eq!(negotiate(addr, "/who_am_i", &[("x-forwarded-user", "eve")]).await.0, 401);
    }
}
