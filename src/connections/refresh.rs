//! Authentication refresh: new credentials for an open connection by `POST {path}/refresh`, by a
//! poll or by the WebSocket of a reconnect.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;
use http::{HeaderMap, Method, Response, StatusCode};

use super::ResponseBody;
use super::endpoint::{AuthenticatedRequest, Endpoint, EndpointResponse, connection_token, json, plain};
use super::http_connection::{HttpConnection, Renewal};
use crate::auth::User;
use crate::connection_info::{ConnectionId, RequestInfo};

/// Options of the authentication refresh of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefreshOptions {
    pub(crate) is_enabled: bool,
    pub(crate) check: Option<RefreshCheck>,
    /// Longest time for which a connection relies on credentials before a refresh.
    pub(crate) max_lifetime: Option<Duration>,
}

/// Request of a client to replace the credentials of its open connection; see
/// [`EndpointBuilder::on_authentication_refresh`](crate::hosting::EndpointBuilder::on_authentication_refresh).
///
/// C#: `AuthenticationRefreshContext`.
///
/// ```
/// use signalr::hosting::AuthenticationRefresh;
///
/// fn keeps_the_tenant(refresh: &AuthenticationRefresh) -> bool {
///     refresh.previous_user().claim("tenant") == refresh.new_user().claim("tenant")
/// }
/// ```
#[derive(Debug)]
pub struct AuthenticationRefresh {
    connection_id: ConnectionId,
    previous: User,
    new: Credential,
    request: RequestInfo,
}

/// User of a request, and the time until which its connection relies on the credentials.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub(super) user: User,
    pub(super) expires_at: Option<SystemTime>,
}

/// Callback of the application that accepts or rejects new credentials.
#[derive(Clone)]
pub(crate) struct RefreshCheck(Arc<Check>);

type Check = dyn Fn(AuthenticationRefresh) -> BoxFuture<'static, bool> + Send + Sync;

/// Rejection of new credentials. The connection keeps its current ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RefreshError(StatusCode, &'static str);

impl AuthenticationRefresh {
    /// Returns the id of the connection.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// Returns the user of the current credentials.
    pub fn previous_user(&self) -> &User {
        &self.previous
    }

    /// Returns the same user with the claims of the new credentials.
    pub fn new_user(&self) -> &User {
        &self.new.user
    }

    /// Returns the time until which the connection relies on the new credentials, or `None` if they
    /// do not expire.
    pub fn new_expiration(&self) -> Option<SystemTime> {
        self.new.expires_at
    }

    /// Returns the request with the new credentials: a `POST` to `{path}/refresh`, a poll, or the
    /// request of a new WebSocket.
    pub fn request(&self) -> &RequestInfo {
        &self.request
    }
}

impl Credential {
    /// Returns whether these credentials expire before `other`: by their own expiration, or else by
    /// the time until which the connection relies on them. Credentials that never expire are
    /// neither older nor newer.
    pub(super) fn is_older_than(&self, other: &Self) -> bool {
        let order = |this: Option<SystemTime>, other| this.zip(other).map(|(this, other)| this.cmp(&other));
        let by_word = order(self.user.expires_at(), other.user.expires_at()).filter(|order| order.is_ne());
        by_word.or_else(|| order(self.expires_at, other.expires_at)) == Some(Ordering::Less)
    }

    /// Returns the remaining lifetime in whole seconds (`tokenLifetimeSeconds`), or `None` if the
    /// credentials never expire or have expired.
    pub(super) fn lifetime(&self) -> Option<i32> {
        let left = self.expires_at?.duration_since(SystemTime::now()).ok().filter(|left| !left.is_zero())?;
        Some(i32::try_from(left.as_secs()).unwrap_or(i32::MAX))
    }
}

impl RefreshCheck {
    pub(crate) fn new<F, R>(check: F) -> Self
    where
        F: Fn(AuthenticationRefresh) -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        Self(Arc::new(move |refresh| Box::pin(check(refresh))))
    }

    async fn accepts(&self, refresh: AuthenticationRefresh) -> bool {
        (self.0)(refresh).await
    }
}

impl Endpoint {
    /// Whether the endpoint serves `{path}/refresh`.
    pub(crate) fn is_refresh_enabled(&self) -> bool {
        self.options.refresh.is_enabled
    }

    /// `POST {path}/refresh` (`aspnet: HttpConnectionDispatcher.ProcessRefresh`).
    pub(crate) fn refresh(self: &Arc<Self>, exchange: AuthenticatedRequest) -> EndpointResponse {
        if exchange.parts.method != Method::POST {
            return EndpointResponse::Ready(plain(StatusCode::METHOD_NOT_ALLOWED, ""));
        }
        let entry = match self.refreshable(&exchange) {
            Ok(entry) => entry,
            Err(refused) => return EndpointResponse::Ready(refused.into()),
        };
        let endpoint = Arc::clone(self);
        EndpointResponse::Pending(Box::pin(async move {
            let credential = endpoint.credential(&exchange.user);
            let lifetime = credential.lifetime();
            match endpoint.renew(&entry, credential, &exchange, true).await {
                Ok(()) => json(lifetime_body(lifetime).into()),
                Err(refused) => refused.into(),
            }
        }))
    }

    /// Finds and checks the connection of a refresh request.
    fn refreshable(&self, exchange: &AuthenticatedRequest) -> Result<Arc<HttpConnection>, RefreshError> {
        if !self.options.refresh.is_enabled {
            return Err(RefreshError(StatusCode::NOT_FOUND, "refresh_disabled"));
        }
        let token = header(&exchange.parts.headers).map(Cow::Borrowed);
        let token = token.or_else(|| connection_token(exchange.query.as_deref()));
        let token = token.ok_or(RefreshError(StatusCode::BAD_REQUEST, "missing_connection_token"))?;
        let entry = self.table.find(self.index, &token).filter(|entry| entry.is_open());
        let entry = entry.ok_or(RefreshError(StatusCode::NOT_FOUND, "connection_not_found"))?;
        if entry.has_public_token() {
            return Err(RefreshError(StatusCode::BAD_REQUEST, "unsupported_negotiate_version"));
        }
        if !exchange.user.is_authenticated() {
            return Err(RefreshError(StatusCode::UNAUTHORIZED, "invalid_token"));
        }
        if !self.is_owner(&entry, &exchange.user) {
            tracing::warn!(target: "signalr::connection", connection = %entry.id, "authentication refresh rejected: user does not match connection user");
            return Err(RefreshError(StatusCode::FORBIDDEN, "user_changed"));
        }
        Ok(entry)
    }

    /// Applies the credentials if they are newer credentials of the user of the connection and the
    /// application accepts them. With `prolong`, unchanged credentials extend the time until which
    /// the connection relies on them.
    pub(super) async fn renew(
        &self,
        entry: &HttpConnection,
        credential: Credential,
        exchange: &AuthenticatedRequest,
        prolong: bool,
    ) -> Result<(), RefreshError> {
        if !self.is_owner(entry, &credential.user) {
            return Ok(());
        }
        let Some(Renewal { number, previous }) = entry.begin_renewal(&credential, prolong) else { return Ok(()) };
        let RefreshOptions { is_enabled, check, .. } = &self.options.refresh;
        if let Some(check) = check.as_ref().filter(|_| *is_enabled) {
            let new = credential.clone();
            let request = exchange.info();
            let refresh = AuthenticationRefresh { connection_id: entry.id, previous, new, request };
            if !check.accepts(refresh).await {
                tracing::debug!(target: "signalr::connection", connection = %entry.id, "authentication refresh rejected by the application");
                // Newer credentials that were applied in the meantime stay valid.
                return if entry.is_outdated(&credential) { Ok(()) } else { Err(REJECTED) };
            }
        }
        entry.renew(credential, number);
        Ok(())
    }

    /// Returns the credentials of a request, with their expiration.
    pub(super) fn credential(&self, user: &User) -> Credential {
        let RefreshOptions { is_enabled, max_lifetime: maximum, .. } = self.options.refresh;
        let latest = maximum.filter(|_| is_enabled && user.is_authenticated()).map(|most| SystemTime::now() + most);
        let expires_at = [user.expires_at(), latest].into_iter().flatten().min();
        Credential { user: user.clone(), expires_at }
    }
}

/// Response to a poll with expired credentials: the client refreshes them and polls again.
pub(super) const REQUIRED: RefreshError = RefreshError(StatusCode::CONFLICT, "authentication_refresh_required");

const REJECTED: RefreshError = RefreshError(StatusCode::FORBIDDEN, "permission_change_rejected");

impl From<RefreshError> for Response<ResponseBody> {
    fn from(RefreshError(status, code): RefreshError) -> Self {
        let mut response = json(format!(r#"{{"error":"{code}"}}"#).into());
        *response.status_mut() = status;
        response
    }
}

/// Header in which the client of .NET 11 sends the connection token.
fn header(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-signalr-connection-token")?.to_str().ok().filter(|token| !token.is_empty())
}

fn lifetime_body(lifetime: Option<i32>) -> String {
    lifetime.map_or_else(|| "{}".to_owned(), |seconds| format!(r#"{{"tokenLifetimeSeconds":{seconds}}}"#))
}

impl fmt::Debug for RefreshCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshCheck")
    }
}
