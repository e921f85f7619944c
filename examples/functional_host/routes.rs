//! Routes and middleware around the hubs: cookies, redirects, errors, tokens and files.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Path as Segment, Query, Request};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, LOCATION,
    ORIGIN, SET_COOKIE,
};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use signalr::{HubContext, SignalR};

use super::hubs::TestHub;

/// Lifetime of issued tokens, in seconds.
const TOKEN_LIFETIME_SECONDS: u64 = 5;

pub(crate) fn router(signalr: &SignalR, key: [u8; 32], wwwroot: Option<PathBuf>) -> Router {
    let tests: HubContext<TestHub> = signalr.context();
    let client_result = move |Segment(id): Segment<String>| async move {
        let result = tests.clients().client(id).invoke::<i32>("Result", ()).await;
        result.map_or_else(|error| error.to_string(), |number| number.to_string())
    };
    let redirects = Arc::new(AtomicU32::new(0));
    let redirect = move |Query(query): Query<RedirectQuery>| async move {
        let redirects = redirects.fetch_add(1, Ordering::Relaxed) + 1;
        json!({ "url": format!("{}/testHub?numRedirects={redirects}", query.base_url) }).to_string()
    };
    let wwwroot = wwwroot.map(Arc::<Path>::from);
    let files = from_fn(move |request: Request, next: Next| {
        let wwwroot = wwwroot.clone();
        async move {
            let file = match &wwwroot {
                Some(root) if request.method() == Method::GET => file(root, request.uri().path()).await,
                _ => None,
            };
            match file {
                Some(file) => file,
                None => next.run(request).await,
            }
        }
    });
    Router::new()
        .route("/generateJwtToken", get(move || async move { token(&key) }))
        .route("/clientresult/{id}", get(client_result))
        .route("/deployment", get(|| async { Json(json!({ "version": env!("CARGO_PKG_VERSION") })) }))
        .route("/redirect/{*rest}", any(redirect))
        .route("/echoredirect", any(redirect_to_echo))
        .route("/echoredirect/{*rest}", any(redirect_to_echo))
        .route("/bad-negotiate/{*rest}", any(|| async { (StatusCode::BAD_REQUEST, "Some response from server") }))
        .fallback_service(signalr.service())
        .layer(from_fn(cookies))
        .layer(from_fn(cors))
        .layer(files)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedirectQuery {
    base_url: String,
}

/// Redirects a request to `/echo` and keeps its method: negotiate, polls, sends and DELETE.
async fn redirect_to_echo(request: Request) -> Response {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let location = target.replacen("echoredirect", "echo", 1);
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response()
}

/// Extension of requests over TLS.
#[derive(Clone, Copy)]
pub(crate) struct Secure;

/// Adds cookies to negotiate responses; one of them has expired.
async fn cookies(secure: Option<Extension<Secure>>, request: Request, next: Next) -> Response {
    const COOKIES: [&str; 3] = [
        "testCookie=testValue; path=/",
        "testCookie2=testValue2; path=/",
        "expiredCookie=doesntmatter; expires=Thu, 01 Jan 1970 00:00:00 GMT; path=/",
    ];
    let is_negotiate = request.uri().path().contains("/negotiate");
    let mut response = next.run(request).await;
    if is_negotiate {
        let attributes = if secure.is_some() { "; secure; samesite=none; partitioned" } else { "" };
        for cookie in COOKIES {
            if let Ok(cookie) = HeaderValue::try_from(format!("{cookie}{attributes}")) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
        }
    }
    response
}

/// Allows all cross-origin requests.
async fn cors(request: Request, next: Next) -> Response {
    let request_headers = request.headers().clone();
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if let Some(origin) = request_headers.get(ORIGIN) {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        for (from, to) in [
            (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
            (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        ] {
            if let Some(value) = request_headers.get(from) {
                headers.insert(to, value.clone());
            }
        }
    }
    response
}

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    nameid: &'static str,
    exp: u64,
}

fn token(key: &[u8]) -> Result<String, StatusCode> {
    let claims = Claims {
        iss: "SignalRTestServer",
        aud: "SignalRTests",
        nameid: "testuser",
        exp: jsonwebtoken::get_current_timestamp() + TOKEN_LIFETIME_SECONDS,
    };
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns the file at `path` below `root`, if it exists.
async fn file(root: &Path, path: &str) -> Option<Response> {
    let path = Path::new(path.trim_start_matches('/'));
    let is_below = path.components().all(|component| matches!(component, Component::Normal(_)));
    let content_type = match path.extension()?.to_str()? {
        "html" => "text/html",
        "js" | "mjs" => "text/javascript",
        "css" => "text/css",
        "map" | "json" => "application/json",
        _ => "application/octet-stream",
    };
    let bytes = if is_below { tokio::fs::read(root.join(path)).await.ok()? } else { return None };
    Some(([(CONTENT_TYPE, content_type)], bytes).into_response())
}
