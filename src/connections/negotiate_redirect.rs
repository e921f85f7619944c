//! Negotiate responses that redirect clients to another server.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::auth::{RedactedUri, User};
use crate::connection_info::RequestInfo;

/// Redirect of a negotiate request to another server; see
/// [`EndpointBuilder::redirect_negotiate`](crate::hosting::EndpointBuilder::redirect_negotiate).
///
/// C#: `NegotiationResponse` with its `Url` and `AccessToken`.
///
/// ```
/// use signalr::hosting::Redirect;
/// use signalr::SignalR;
/// # struct Chat;
/// # impl signalr::Hub for Chat {
/// #     type Client = signalr::hub::AnyClient;
/// #     type Items = ();
/// #     fn methods(_: &mut signalr::hub::Methods<Self>) {}
/// # }
///
/// let server = SignalR::builder()
///     .hub("/chat", Chat)
///     .redirect_negotiate(|_request, _user| Some(Redirect::to("https://other.example/chat").access_token("for there")))
///     .build()?;
/// # Ok::<_, signalr::hosting::BuildError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Redirect {
    url: String,
    access_token: Option<String>,
}

impl Redirect {
    /// Redirects to the absolute URL of a hub, without `/negotiate`. A query in the URL is kept.
    pub fn to(url: impl Into<String>) -> Self {
        Self { url: url.into(), access_token: None }
    }

    /// Sets the access token for the other server. The client sends this token instead of the token
    /// of its `accessTokenFactory`, until it starts a new connection.
    pub fn access_token(mut self, token: impl Into<String>) -> Self {
        self.access_token = Some(token.into());
        self
    }

    /// Body of the response (`aspnet: NegotiateProtocol.WriteResponse`).
    pub(super) fn response_body(&self, negotiate_version: i32) -> Bytes {
        let given = |text: &str| !text.is_empty();
        let members = RedirectResponse {
            negotiate_version,
            url: Some(&*self.url).filter(|url| given(url)),
            access_token: self.access_token.as_deref().filter(|token| given(token)),
            available_transports: [],
        };
        serde_json::to_vec(&members).expect("numbers and strings are serializable").into()
    }
}

/// Members in the order of ASP.NET Core.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RedirectResponse<'a> {
    negotiate_version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'a str>,
    available_transports: [(); 0],
}

/// Omits the access token and redacts credentials in the URL.
impl fmt::Debug for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.url.parse() {
            Ok(uri) => write!(f, "Redirect({})", RedactedUri::new(&uri)),
            Err(_) => f.write_str("Redirect(invalid URI)"),
        }
    }
}

/// Callback of the application that selects the redirected clients.
#[derive(Clone)]
pub(crate) struct Redirector(Arc<Decide>);

type Decide = dyn Fn(&RequestInfo, &User) -> Option<Redirect> + Send + Sync;

impl Redirector {
    pub(crate) fn new(decide: impl Fn(&RequestInfo, &User) -> Option<Redirect> + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }

    pub(super) fn redirect(&self, request: &RequestInfo, user: &User) -> Option<Redirect> {
        (self.0)(request, user)
    }
}

impl fmt::Debug for Redirector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redirector")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_body_matches_aspnet_core() {
        let redirect = Redirect::to("https://other.test/hub?a=b&c='d'");
        let expected = r#"{"negotiateVersion":1,"url":"https://other.test/hub?a=b&c='d'","availableTransports":[]}"#;
        assert_eq!(redirect.response_body(1), expected);
        let expected = r#"{"negotiateVersion":0,"url":"https://other.test/hub?a=b&c='d'","accessToken":"a.b-c_d","availableTransports":[]}"#;
        assert_eq!(redirect.clone().access_token("a.b-c_d").response_body(0), expected);
        assert_eq!(
            redirect.access_token("").response_body(1),
            Redirect::to("https://other.test/hub?a=b&c='d'").response_body(1)
        );
        assert_eq!(Redirect::to("").response_body(1), r#"{"negotiateVersion":1,"availableTransports":[]}"#);
    }

    #[test]
    fn redirect_body_escapes_strings() {
        let body = Redirect::to("https://other.test/\"}\\").access_token("\u{1}\né").response_body(1);
        let expected = r#"{"negotiateVersion":1,"url":"https://other.test/\"}\\","accessToken":"\u0001\né","availableTransports":[]}"#;
        assert_eq!(body, expected);
    }

    #[test]
    fn debug_output_of_redirects_contains_no_token() {
        let redirect = Redirect::to("https://other.test/hub?access_token=secret&a=b").access_token("secret");
        assert_eq!(format!("{redirect:?}"), "Redirect(https://other.test/hub?access_token=***&a=b)");
    }
}
