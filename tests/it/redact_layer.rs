//! `SignalR::redact_layer`: an application that logs whole requests logs no secret, and its hubs
//! work as before.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, OriginalUri, Request};
use axum::middleware::map_request;
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::{HeaderName, Response};
use signalr::{Caller, SignalR, hub};
use signalr_test_support::log_capture::{Log, assert_no_secrets};
use signalr_test_support::{ClientKind, bearer, http, token_query};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt as _};
use tower_http::trace::{DefaultMakeSpan, TraceLayer};
use tracing::{Level, Span};

struct Clinic;

#[hub]
#[authorize]
impl Clinic {
    fn who(&self, caller: &Caller<Self>) -> Option<String> {
        caller.user_id().map(str::to_owned)
    }

    fn query(&self, caller: &Caller<Self>) -> (String, bool) {
        (caller.request().query_string().to_owned(), caller.request().peer_addr().is_some())
    }
}

/// Returns all that a handler of the application sees of its request.
async fn shown(OriginalUri(original): OriginalUri, request: Request) -> String {
    format!("{original} {} {:?} {:?}", request.uri(), request.headers(), request.extensions())
}

/// An application that logs each request in full, with hubs at its root and below a prefix.
async fn serve() -> (SignalR, SocketAddr) {
    let signalr = SignalR::builder()
        .authentication(bearer())
        .peer_addr(|extensions| extensions.get().map(|ConnectInfo(addr): &ConnectInfo<SocketAddr>| *addr))
        .hub("/hubs/clinic", Clinic)
        .build()
        .unwrap();
    let trace = TraceLayer::new_for_http()
        .make_span_with(DefaultMakeSpan::new().level(Level::ERROR).include_headers(true))
        .on_request(|request: &Request, _: &Span| tracing::error!("{request:?}"))
        .on_response(|response: &Response<_>, _: Duration, _: &Span| tracing::error!(status = %response.status()));
    let app = Router::new()
        .route("/api/things", get(shown))
        .nest_service("/nested", signalr.service())
        .fallback_service(signalr.service())
        .layer(trace)
        .layer(map_request(async |OriginalUri(original): OriginalUri, request: Request| {
            tracing::error!(%original, ?request, "a layer of the host's");
            request
        }));
    let app = signalr.redact_layer().header(HeaderName::from_static("x-api-key")).layer(app);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(app);
    tokio::spawn(axum::serve(listener, app).into_future());
    (signalr, addr)
}

#[tokio::test]
async fn application_behind_the_layer_logs_no_secret_and_its_hubs_work() {
    let (log, _guard) = Log::of_thread();
    let (_signalr, addr) = serve().await;
    let query = token_query("ann");
    let token = query.strip_prefix("access_token=").unwrap();
    let mut secrets: Vec<String> = token.split('.').map(str::to_owned).collect();
    for path in ["/hubs/clinic", "/nested/hubs/clinic", "/Hubs/Clinic/"] {
        for kind in ClientKind::all() {
            let mut client = kind.connect_with(addr, path.trim_end_matches('/'), &query, &[]).await;
            assert_eq!(client.invoke("Who", &[]).await, "ann", "{kind:?}");
            let seen = client.invoke("Query", &[]).await;
            let id = seen[0].as_str().unwrap().strip_prefix("id=").unwrap().trim_end_matches('&');
            assert_eq!((id.len(), &seen[1]), (22, &true.into()), "{seen}");
            secrets.push(id.to_owned());
            client.send_close_message().await;
        }
    }
    let hidden = ("authorization", &*format!("Bearer {token}"));
    for (target, headers) in [
        (format!("/hubs/wrong?id=5&{query}"), [hidden, ("cookie", "session=c00kie")].as_slice()),
        (format!("/hubs/clinic?%69d=c00kie&access%5FToken={token}&x=1"), &[]),
        (format!("/hubs/clinic?{query}&ID=c00kie&{query}"), &[]),
        (format!("/hubs/clinic?x=1;id=c00kie&y=2?{query}"), &[]),
        ("/hubs/clinic/negotiate?id=5".to_owned(), &[("x-signalr-connection-token", "c00kie")]),
        ("/hubs/clinic/refresh?id=c00kie".to_owned(), &[]),
        ("/hubs/clinic".to_owned(), &[hidden]),
    ] {
        http(addr, "POST", &target, headers).await;
    }
    secrets.push("c00kie".to_owned());

    let text = log.text();
    assert!(text.contains("/nested/hubs/clinic/negotiate?negotiateVersion=1 "), "{text}");
    assert!(text.contains("/hubs/wrong?id=5 ") && text.contains("status=404") && text.contains("status=200"), "{text}");
    assert_no_secrets(&text, &secrets);
}

#[tokio::test]
async fn layers_of_two_servers_can_be_nested() {
    let server = |path: &str| SignalR::builder().authentication(bearer()).hub(path, Clinic).build().unwrap();
    let (inner, outer) = (server("/inner"), server("/outer"));
    let app = Router::new().fallback_service(inner.service()).route_service("/outer/negotiate", outer.service());
    let app = outer.redact_layer().layer(inner.redact_layer().layer(app));
    for path in ["inner", "outer"] {
        let request = Request::post(format!("/{path}/negotiate?id=5&{}", token_query("ann")));
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn other_routes_see_the_request_without_the_token() {
    let (_signalr, addr) = serve().await;
    let headers = [("authorization", "Bearer s3cret"), ("x-api-key", "s3cret"), ("x-other", "seen")];
    let (status, shown) = http(addr, "GET", "/api/things?id=5&access_token=s3cret&x=%26", &headers).await;
    assert_eq!(status, 200);
    assert!(shown.starts_with("/api/things?id=5&x=%26 /api/things?id=5&x=%26 "), "{shown}");
    assert!(shown.contains(r#""authorization": Sensitive"#) && shown.contains(r#""x-other": "seen""#), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let (_, shown) = http(addr, "GET", "/api/things?access_token=s3cret", &[]).await;
    assert!(shown.starts_with("/api/things /api/things "), "{shown}");
}

#[tokio::test]
async fn hidden_token_is_not_carried_over_to_the_next_request() {
    let (_signalr, addr) = serve().await;
    let query = token_query("ann");
    assert_eq!(http(addr, "POST", &format!("/hubs/clinic/negotiate?{query}"), &[]).await.0, 200);
    assert_eq!(http(addr, "POST", "/hubs/clinic/negotiate", &[]).await.0, 401);
    // A repeated token is rejected, as without the layer.
    assert_eq!(http(addr, "POST", &format!("/hubs/clinic/negotiate?{query}&{query}"), &[]).await.0, 401);
}
