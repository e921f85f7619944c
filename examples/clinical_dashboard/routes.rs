//! The HTTP routes: the hubs, sign-in and sign-out, and the files of the page.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use signalr::hosting::ResponseBody;

use crate::connection_killer::ConnectionKiller;
use crate::files;
use crate::sessions::{SessionError, Sessions};

/// Maximum size of a request body, in bytes.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// Content security policy of the page: same origin only, no frames.
const PAGE_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// All routes of this server.
pub(crate) struct Routes {
    hubs: signalr::hosting::Service,
    sessions: Arc<Sessions>,
    killer: Arc<ConnectionKiller>,
}

/// An error response: its status, and a text for the user.
struct HttpError(StatusCode, &'static str);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginRequest {
    person: String,
    #[serde(default)]
    short_lived: bool,
}

#[derive(Deserialize)]
struct RefreshHandle {
    refresh: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CutRequest {
    connection_id: String,
}

impl Routes {
    pub(crate) fn new(hubs: signalr::hosting::Service, sessions: Arc<Sessions>, killer: Arc<ConnectionKiller>) -> Self {
        Self { hubs, sessions, killer }
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let mut response = self.route(request).await.unwrap_or_else(|HttpError(status, message)| text(status, message));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_SECURITY_POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // Responses contain tokens, and files that change during development.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, HttpError> {
        let path = request.uri().path();
        if path.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("/hubs/")) {
            let result: Result<_, Infallible> = self.hubs.call(request).await;
            let Ok(response) = result;
            return Ok(response);
        }
        match (request.method(), path) {
            (&Method::POST, "/login") => {
                let LoginRequest { person, short_lived } = body(request).await?;
                json(&self.sessions.login(&person, short_lived)?)
            }
            (&Method::POST, "/refresh") => {
                let RefreshHandle { refresh } = body(request).await?;
                json(&self.sessions.refresh(&refresh)?)
            }
            (&Method::POST, "/logout") => {
                let RefreshHandle { refresh } = body(request).await?;
                self.sessions.logout(&refresh);
                Ok(text(StatusCode::NO_CONTENT, ""))
            }
            (&Method::POST, "/cut") => self.cut(request).await,
            (_, "/login" | "/refresh" | "/logout" | "/cut") => Ok(method_not_allowed("POST")),
            (&Method::GET, path) => Ok(file(path).await),
            _ => Ok(method_not_allowed("GET")),
        }
    }

    /// Cuts a connection of the user whose token the request contains.
    async fn cut(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, HttpError> {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(user_id) = token.and_then(|token| self.sessions.user_id(token)) else {
            return Err(SessionError::Unknown.into());
        };
        let CutRequest { connection_id } = body(request).await?;
        if self.killer.cut(&user_id, &connection_id) {
            tracing::info!(user = user_id, connection = connection_id, "connection cut");
            Ok(text(StatusCode::NO_CONTENT, ""))
        } else {
            Err(HttpError(StatusCode::NOT_FOUND, "You have no such connection."))
        }
    }
}

impl From<SessionError> for HttpError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unknown => Self(StatusCode::UNAUTHORIZED, "Please sign in."),
            SessionError::TooManySessions => Self(StatusCode::SERVICE_UNAVAILABLE, "Too many users are signed in."),
            SessionError::Internal => Self(StatusCode::INTERNAL_SERVER_ERROR, "The server cannot create a token."),
        }
    }
}

async fn file(path: &str) -> Response<ResponseBody> {
    if path == "/"
        && let Some(problem) = files::missing_packages()
    {
        return text(StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    match files::read(path).await {
        Some(Ok((content, content_type))) => with_type(Response::new(content.into()), content_type),
        Some(Err(error)) => {
            tracing::error!(path, %error, "failed to read a file of the page");
            text(StatusCode::INTERNAL_SERVER_ERROR, "This file cannot be read.")
        }
        None => text(StatusCode::NOT_FOUND, "Not found."),
    }
}

/// Reads the body of a request as JSON.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, HttpError> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    let bytes =
        body.map_err(|_| HttpError(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large or incomplete."))?;
    serde_json::from_slice(&bytes.to_bytes()).map_err(|_| HttpError(StatusCode::BAD_REQUEST, "The request is invalid."))
}

fn json(value: &impl Serialize) -> Result<Response<ResponseBody>, HttpError> {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "failed to serialize a response");
        HttpError(StatusCode::INTERNAL_SERVER_ERROR, "The response cannot be serialized.")
    })?;
    Ok(with_type(Response::new(Bytes::from(bytes).into()), "application/json"))
}

fn method_not_allowed(allowed: &'static str) -> Response<ResponseBody> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<ResponseBody> {
    let mut response = Response::new(Bytes::from(text.into()).into());
    *response.status_mut() = status;
    with_type(response, "text/plain; charset=utf-8")
}

fn with_type(mut response: Response<ResponseBody>, content_type: &'static str) -> Response<ResponseBody> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
