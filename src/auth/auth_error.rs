//! Authentication failures, and the `WWW-Authenticate` header that reports them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::HeaderValue;

use super::invariant_date::DateText;

/// Failure to authenticate a request: its token or other credentials are invalid.
///
/// The request is rejected only where authorization is required; elsewhere it is anonymous. The error
/// never contains the token.
///
/// ```
/// use signalr::auth::AuthError;
///
/// let revoked = AuthError::new("session 17 was revoked by admin").with_description("The session has ended");
/// assert_eq!(revoked.to_string(), "session 17 was revoked by admin"); // in the log
/// assert_eq!(revoked.description().as_deref(), Some("The session has ended")); // in the response
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError(pub(super) Reason);

/// Failures that ASP.NET Core distinguishes. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Not a JWT, too long, or claims of the wrong type.
    Malformed,
    /// No key verifies it.
    KeyNotFound,
    /// Unsigned, or not signed by the key that the token names.
    InvalidSignature,
    NoExpiration,
    InvalidLifetime {
        not_before: i64,
        expires: i64,
    },
    NotYetValid {
        not_before: i64,
    },
    Expired {
        expires: i64,
    },
    NoAudience,
    /// Another audience. ASP.NET Core prints `(null)` for it.
    InvalidAudience,
    /// Another issuer; `None` if it is `null`.
    InvalidIssuer(Option<String>),
    /// Failure of a scheme of the application.
    Custom {
        text: Cow<'static, str>,
        description: Option<Cow<'static, str>>,
    },
}

impl AuthError {
    /// Creates a failure of an application's scheme (C#: `AuthenticateResult.Fail`).
    ///
    /// `text` is logged and not sent to the client. It must not contain tokens, cookies or keys.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Reason::Custom { text: text.into(), description: None })
    }

    /// Sets the description for the client, which a challenge may contain.
    pub fn with_description(self, description: impl Into<Cow<'static, str>>) -> Self {
        let text = match self.0 {
            Reason::Custom { text, .. } => text,
            _ => self.to_string().into(),
        };
        Self(Reason::Custom { text, description: Some(description.into()) })
    }

    /// Description for the client, if there is one (aspnet: JwtBearerHandler.cs,
    /// `CreateErrorDescription`).
    pub fn description(&self) -> Option<Cow<'static, str>> {
        let text = match &self.0 {
            Reason::Malformed => return None,
            Reason::Custom { description, .. } => return description.clone(),
            Reason::KeyNotFound => return Some("The signature key was not found".into()),
            Reason::InvalidSignature => return Some("The signature is invalid".into()),
            Reason::NoExpiration => return Some("The token has no expiration".into()),
            Reason::NoAudience => return Some("The audience 'empty' is invalid".into()),
            Reason::InvalidAudience => return Some("The audience '(null)' is invalid".into()),
            Reason::InvalidLifetime { not_before, expires } => {
                let (not_before, expires) = (DateText(*not_before), DateText(*expires));
                format!("The token lifetime is invalid; NotBefore: '{not_before}', Expires: '{expires}'")
            }
            Reason::NotYetValid { not_before } => format!("The token is not valid before '{}'", DateText(*not_before)),
            Reason::Expired { expires } => format!("The token expired at '{}'", DateText(*expires)),
            Reason::InvalidIssuer(issuer) => {
                format!("The issuer '{}' is invalid", issuer.as_deref().unwrap_or("(null)"))
            }
        };
        Some(text.into())
    }
}

/// Prints one line, without control characters: an issuer is text of the client.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.0 {
            Reason::Custom { text, .. } => Some(text.clone()),
            _ => self.description(),
        };
        f.write_str(&quotable(text.as_deref().unwrap_or("The token is malformed")))
    }
}

impl Error for AuthError {}

impl From<Reason> for AuthError {
    fn from(reason: Reason) -> Self {
        Self(reason)
    }
}

/// `WWW-Authenticate` header of a 401: `challenge` and the failure (aspnet: JwtBearerHandler.cs,
/// `HandleChallengeAsync`).
pub(super) fn challenge_header(challenge: &HeaderValue, failure: Option<&AuthError>) -> HeaderValue {
    let Some(failure) = failure else { return challenge.clone() };
    let mut header = challenge.as_bytes().to_vec();
    if header.contains(&b' ') {
        header.push(b',');
    }
    header.extend(b" error=\"invalid_token\"");
    if let Some(text) = failure.description() {
        header.extend(format!(", error_description=\"{}\"", quotable(&text)).bytes());
    }
    HeaderValue::from_bytes(&header).unwrap_or_else(|_| challenge.clone())
}

/// Replaces the characters that an `error_description` cannot contain (RFC 6750 § 3): quotes,
/// backslashes, control characters and all beyond ASCII.
fn quotable(text: &str) -> String {
    let allowed = |c: char| {
        if matches!(c, ' '..='~' if c != '"' && c != '\\') { c } else { '?' }
    };
    text.chars().take(MAX_DESCRIPTION_LENGTH).map(allowed).collect()
}

/// At most 103 characters are fixed text; the rest is for the issuer, which is text of the client.
const MAX_DESCRIPTION_LENGTH: usize = 400;
