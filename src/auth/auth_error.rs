//! Why a user was not found out, and how a client is told.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::HeaderValue;

use super::invariant_date::DateText;

/// Why the token of a request was refused, or what else a scheme found there.
///
/// It matters only when something asks for authorization: elsewhere a request with a bad token is anonymous.
/// It never holds the token.
///
/// ```
/// use signalr::auth::AuthError;
///
/// let revoked = AuthError::new("session 17 was revoked by admin").with_description("The session has ended");
/// assert_eq!(revoked.to_string(), "session 17 was revoked by admin"); // for the log
/// assert_eq!(revoked.description().as_deref(), Some("The session has ended")); // for the client
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError(pub(super) Reason);

/// The failures that ASP.NET tells apart. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Not a JWT, too long, or claims of the wrong type.
    Malformed,
    /// No key verifies it.
    KeyNotFound,
    /// Unsigned, or not signed with the key that it names.
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
    /// For somebody else. ASP.NET prints `(null)` for the audience.
    InvalidAudience,
    /// From somebody else; nothing if the issuer was `null`.
    InvalidIssuer(Option<String>),
    /// Of a scheme of the application's.
    Own {
        text: Cow<'static, str>,
        description: Option<Cow<'static, str>>,
    },
}

impl AuthError {
    /// A failure of a scheme of your own (C#: `AuthenticateResult.Fail`). The text goes to the log and stays on the server:
    /// keep tokens, cookies and keys out of it.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Reason::Own { text: text.into(), description: None })
    }

    /// Adds the sentence for the client, which a challenge may tell.
    pub fn with_description(self, description: impl Into<Cow<'static, str>>) -> Self {
        let text = match self.0 {
            Reason::Own { text, .. } => text,
            _ => self.to_string().into(),
        };
        Self(Reason::Own { text, description: Some(description.into()) })
    }

    /// The sentence for the client, or nothing where there is none. aspnet: JwtBearerHandler.cs, `CreateErrorDescription`.
    pub fn description(&self) -> Option<Cow<'static, str>> {
        let text = match &self.0 {
            Reason::Malformed => return None,
            Reason::Own { description, .. } => return description.clone(),
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

/// In one line: an issuer is what the client wrote.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.0 {
            Reason::Own { text, .. } => Some(text.clone()),
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

/// The `WWW-Authenticate` header of a 401: `challenge`, and what is wrong. aspnet: JwtBearerHandler.cs,
/// `HandleChallengeAsync`.
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

/// What may stand between the quotes of an `error_description` (RFC 6750 § 3): no quote, backslash or control character, and ASCII only.
fn quotable(text: &str) -> String {
    let allowed = |c: char| {
        if matches!(c, ' '..='~' if c != '"' && c != '\\') { c } else { '?' }
    };
    text.chars().take(MAX_DESCRIPTION_LENGTH).map(allowed).collect()
}

/// The fixed texts take at most 103 characters; the rest is room for an issuer, which the client chose.
const MAX_DESCRIPTION_LENGTH: usize = 400;
