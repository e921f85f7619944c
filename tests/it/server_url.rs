//! Negotiate redirects to the URL of the server itself.

use std::net::SocketAddr;

use serde_json::{Value, json};
use signalr::auth::User;
use signalr::hosting::{BuildError, Redirect, RequestInfo};
use signalr::testing::TestHost;
use signalr::{Caller, HubProtocolKind, SignalR, hub};
use signalr_test_support::log_capture::Log;
use signalr_test_support::{Client, ClientKind, http, serve, upgrade_status};

use crate::echo_hub::{Secret, authenticated};

struct Queries;

#[hub]
impl Queries {
    fn query(&self, caller: &Caller<Self>) -> String {
        caller.request().query_string().to_owned()
    }
}

const NODE: &str = "https://node-3.app.test/behind";

fn server() -> SignalR {
    SignalR::builder().server_url(NODE).hub("/queries", Queries).allow_stateful_reconnects(true).build().unwrap()
}

/// Negotiates with a query.
async fn negotiate(addr: SocketAddr, query: &str) -> Value {
    let (status, body) = http(addr, "POST", &format!("/queries/negotiate?{query}"), &[]).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Returns the query of the redirect of a negotiate request.
async fn redirected(addr: SocketAddr, query: &str) -> String {
    let body = negotiate(addr, query).await;
    body["url"].as_str().unwrap().strip_prefix(&format!("{NODE}/queries?")).unwrap().to_owned()
}

#[tokio::test]
async fn clients_of_every_kind_follow_the_redirect_to_the_server() {
    let signalr = server();
    let addr = serve(&signalr).await;
    let query = redirected(addr, "tenant=a%20b&access_token=s3cret&negotiateVersion=1&useStatefulReconnect=true").await;
    let (kept, mark) = query.split_once('&').unwrap();
    assert_eq!(kept, "tenant=a%20b");
    assert!(mark.starts_with("signalr_server="), "{mark}");
    assert_eq!(signalr.connection_count(), 0);

    for kind in ClientKind::all() {
        let mut client = kind.connect_with(addr, "/queries", &query, &[]).await;
        let seen = client.invoke("Query", &[]).await;
        assert!(seen.as_str().unwrap().ends_with("&tenant=a%20b"), "{seen}");
        client.close().await;
    }
}

#[tokio::test]
async fn redirect_has_a_url_alone_and_the_second_negotiate_has_all_features() {
    let addr = serve(&server()).await;
    let body = negotiate(addr, "negotiateVersion=1&useStatefulReconnect=true").await;
    let url = body["url"].as_str().unwrap();
    assert_eq!(body, json!({ "negotiateVersion": 1, "url": url, "availableTransports": [] }));

    // The .NET client appends its parameters to those of the redirect.
    let mark = url.split_once('?').unwrap().1;
    let body = negotiate(addr, &format!("{mark}&negotiateVersion=1&useStatefulReconnect=true")).await;
    assert_eq!(body["useStatefulReconnect"], true, "{body}");
    assert_eq!(body["availableTransports"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn mark_of_another_server_is_answered_with_a_connection_and_one_warning() {
    let (log, _guard) = Log::of_thread();
    let signalr = server();
    let addr = serve(&signalr).await;
    for _ in 0..2 {
        let body = negotiate(addr, "negotiateVersion=1&signalr_server=0123456789abcdef").await;
        assert!(body["connectionToken"].is_string() && body.get("url").is_none(), "{body}");
    }
    assert_eq!(signalr.connection_count(), 2);
    let text = log.text();
    let warning = "redirected negotiate reached another server";
    assert_eq!(text.lines().filter(|line| line.contains("WARN") && line.contains(warning)).count(), 1, "{text}");

    // A parameter of the application is no mark.
    assert!(redirected(addr, "signalr_server=blue").await.starts_with("signalr_server=blue&signalr_server="));
}

#[tokio::test]
async fn skipped_negotiation_and_other_servers_are_unaffected() {
    let addr = serve(&server()).await;
    let mut client = Client::open(addr, "/queries?a=1", HubProtocolKind::Json).await;
    client.handshake().await;
    assert_eq!(client.invoke("Query", &[]).await, "a=1");
    assert_eq!(upgrade_status(addr, "/queries?id=unknown").await, 404);

    let signalr = SignalR::builder().hub("/queries", Queries).build().unwrap();
    let query = "signalr_server=0123456789abcdef";
    let mut client = ClientKind::LONG_POLLING.connect_with(serve(&signalr).await, "/queries", query, &[]).await;
    let seen = client.invoke("Query", &[]).await;
    assert!(seen.as_str().unwrap().ends_with(query), "{seen}");
}

#[tokio::test]
async fn redirect_of_the_application_takes_precedence() {
    let to = |request: &RequestInfo| {
        let tenant = request.query("tenant")?;
        assert_eq!(request.query("signalr_server"), None);
        Some(Redirect::to(format!("https://{tenant}.app.test/chat")))
    };
    let signalr = SignalR::builder().server_url(NODE).redirect_negotiate(move |request, _| to(request));
    let addr = serve(&signalr.hub("/queries", Queries).build().unwrap()).await;
    let mark = redirected(addr, "").await;
    for query in ["tenant=north", &format!("tenant=north&{mark}")] {
        assert_eq!(negotiate(addr, query).await["url"], "https://north.app.test/chat");
    }
    assert!(negotiate(addr, &mark).await["connectionId"].is_string());
}

#[tokio::test]
async fn only_authorized_clients_are_redirected() {
    let signalr = authenticated().server_url(NODE).hub("/queries", Secret).build().unwrap();
    let addr = serve(&signalr).await;
    let (status, body) = http(addr, "POST", "/queries/negotiate?negotiateVersion=1", &[]).await;
    assert_eq!((status, &*body), (401, ""));
}

#[tokio::test(start_paused = true)]
async fn hosts_of_tests_do_not_redirect() {
    let host = TestHost::from_builder(SignalR::builder().server_url(NODE).hub("/queries", Queries));
    let client = host.connect(HubProtocolKind::Json, User::anonymous()).await;
    let seen: String = client.invoke("Query", ()).await.unwrap();
    assert!(!seen.contains("signalr_server"), "{seen}");
}

#[test]
fn invalid_server_url_is_an_error_that_hides_credentials() {
    let error = SignalR::builder().server_url("https://user:s3cret@node.test").build().unwrap_err();
    assert!(matches!(error, BuildError::InvalidServerUrl(_)));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    let error = SignalR::builder().server_url("node.test").build().unwrap_err();
    assert_eq!(error.to_string(), "invalid server URL: expected `http://` or `https://` and a host");
}
