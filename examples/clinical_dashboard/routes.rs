//! The HTTP side: what goes to the hub, signing in and out, and the files of the page.

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
use signalr::Body;

use crate::connection_killer::Cuts;
use crate::files;
use crate::sessions::{Refused, Sessions};

/// The largest body that is read.
const LARGEST_BODY: usize = 4 * 1024;

/// Everything comes from here and goes to here; no frames, no forms that are sent elsewhere.
const SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// Answers every request to this server.
pub(crate) struct Site {
    hubs: signalr::Service,
    sessions: Arc<Sessions>,
    cuts: Arc<Cuts>,
}

/// Why there is no better answer, in words for a person.
struct Problem(StatusCode, &'static str);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    person: String,
    #[serde(default)]
    short_lived: bool,
}

#[derive(Deserialize)]
struct Handle {
    refresh: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cut {
    connection_id: String,
}

impl Site {
    pub(crate) fn new(hubs: signalr::Service, sessions: Arc<Sessions>, cuts: Arc<Cuts>) -> Self {
        Self { hubs, sessions, cuts }
    }

    pub(crate) async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let mut response = self.route(request).await.unwrap_or_else(|Problem(status, why)| text(status, why));
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY_POLICY));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        // Tokens come from here, and the page as it is on the disk.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
        let path = request.uri().path();
        if path.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("/hubs/")) {
            let answered: Result<_, Infallible> = self.hubs.call(request).await;
            let Ok(response) = answered;
            return Ok(response);
        }
        match (request.method(), path) {
            (&Method::POST, "/login") => {
                let Login { person, short_lived } = body(request).await?;
                json(&self.sessions.login(&person, short_lived)?)
            }
            (&Method::POST, "/refresh") => {
                let Handle { refresh } = body(request).await?;
                json(&self.sessions.refresh(&refresh)?)
            }
            (&Method::POST, "/logout") => {
                let Handle { refresh } = body(request).await?;
                self.sessions.logout(&refresh);
                Ok(text(StatusCode::NO_CONTENT, ""))
            }
            (&Method::POST, "/cut") => self.cut(request).await,
            (_, "/login" | "/refresh" | "/logout" | "/cut") => Ok(not_allowed("POST")),
            (&Method::GET, path) => Ok(file(path).await),
            _ => Ok(not_allowed("GET")),
        }
    }

    /// Cuts a connection of the person whose token the request carries.
    async fn cut(&self, request: Request<Incoming>) -> Result<Response<Body>, Problem> {
        let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(user_id) = token.and_then(|token| self.sessions.user_id(token)) else {
            return Err(Refused::Unknown.into());
        };
        let Cut { connection_id } = body(request).await?;
        if self.cuts.cut(&user_id, &connection_id) {
            tracing::info!(user = user_id, connection = connection_id, "cut");
            Ok(text(StatusCode::NO_CONTENT, ""))
        } else {
            Err(Problem(StatusCode::NOT_FOUND, "You have no such connection."))
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self(StatusCode::UNAUTHORIZED, "Sign in, please."),
            Refused::Busy => Self(StatusCode::SERVICE_UNAVAILABLE, "Too many people are signed in."),
            Refused::Broken => Self(StatusCode::INTERNAL_SERVER_ERROR, "Signing in does not work."),
        }
    }
}

async fn file(path: &str) -> Response<Body> {
    if path == "/"
        && let Some(problem) = files::missing()
    {
        return text(StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    match files::read(path).await {
        Some(Ok((content, content_type))) => with_type(Response::new(content.into()), content_type),
        Some(Err(error)) => {
            tracing::error!(path, %error, "a file of the page cannot be read");
            text(StatusCode::INTERNAL_SERVER_ERROR, "This file cannot be read.")
        }
        None => text(StatusCode::NOT_FOUND, "There is nothing here."),
    }
}

/// The body of a request, from JSON.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Problem> {
    let body = Limited::new(request.into_body(), LARGEST_BODY).collect().await;
    let bytes = body.map_err(|_| Problem(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large or broke off."))?;
    serde_json::from_slice(&bytes.to_bytes())
        .map_err(|_| Problem(StatusCode::BAD_REQUEST, "The request is not of the form that is asked for."))
}

fn json(value: &impl Serialize) -> Result<Response<Body>, Problem> {
    let bytes = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Problem(StatusCode::INTERNAL_SERVER_ERROR, "The answer cannot be written.")
    })?;
    Ok(with_type(Response::new(Bytes::from(bytes).into()), "application/json"))
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn text(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Bytes::from(text.into()).into());
    *response.status_mut() = status;
    with_type(response, "text/plain; charset=utf-8")
}

fn with_type(mut response: Response<Body>, content_type: &'static str) -> Response<Body> {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
