//! Sign-in and sessions: a short-lived access token for the hub, and a refresh handle for further
//! tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use signalr::auth::JwtBearer;

use crate::lock;

const ISSUER: &str = "clinical-dashboard";
const AUDIENCE: &str = "dashboards";

const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Lifetime of short-lived tokens, with which a user can watch refreshes.
pub(crate) const SHORT_TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// Lifetime of a session: one shift.
const SESSION_LIFETIME: Duration = Duration::from_secs(8 * 3600);

const MAX_SESSIONS: usize = 1_000;

/// The users of this demonstration. They have no passwords; a real application has to verify
/// credentials.
const PEOPLE: [Person; 3] = [
    Person { key: "nurse", id: "nurse-1", name: "Amara Okafor", role: "Nurse", department: "ICU" },
    Person { key: "doctor", id: "doctor-1", name: "Jonas Lindqvist", role: "Doctor", department: "Cardiology" },
    Person { key: "admin", id: "admin-1", name: "Mei Tanaka", role: "Admin", department: "Administration" },
];

struct Person {
    key: &'static str,
    id: &'static str,
    name: &'static str,
    role: &'static str,
    department: &'static str,
}

/// The open sessions, and the key that signs their tokens. Each start of the server generates a new
/// key, which makes older tokens invalid.
pub(crate) struct Sessions {
    key: [u8; 32],
    short_token_lifetime: Duration,
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    person: &'static Person,
    token_lifetime: Duration,
    expires_at: Instant,
}

/// Error of a sign-in or a refresh.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SessionError {
    /// The user or the session does not exist, or the session has expired.
    Unknown,
    /// The maximum number of sessions is reached.
    TooManySessions,
    /// The server failed to create a token.
    Internal,
}

/// Response to a login.
#[derive(Serialize)]
pub(crate) struct LoginResponse {
    #[serde(flatten)]
    access: AccessToken,
    /// Opaque secret with which the client requests the next access token.
    refresh: String,
    name: &'static str,
    role: &'static str,
    department: &'static str,
}

/// An access token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessToken {
    token: String,
    /// Lifetime in seconds.
    expires_in: u64,
}

#[derive(Serialize)]
struct Claims {
    iss: &'static str,
    aud: &'static str,
    sub: &'static str,
    unique_name: &'static str,
    role: &'static str,
    department: &'static str,
    iat: u64,
    exp: u64,
}

/// The claims that are read from a token.
#[derive(Deserialize)]
struct Subject {
    sub: String,
}

impl Sessions {
    pub(crate) fn new(short_token_lifetime: Duration) -> Result<Self, getrandom::Error> {
        Ok(Self { key: random()?, short_token_lifetime, open: Mutex::default() })
    }

    /// Returns the authentication of the hub, with the key, issuer and audience of these tokens.
    pub(crate) fn bearer(&self) -> JwtBearer {
        JwtBearer::hmac(self.key).issuer(ISSUER).audience(AUDIENCE)
    }

    pub(crate) fn login(&self, person: &str, short_lived: bool) -> Result<LoginResponse, SessionError> {
        let person = PEOPLE.iter().find(|known| known.key == person).ok_or(SessionError::Unknown)?;
        let access = self.issue_token(person, if short_lived { self.short_token_lifetime } else { TOKEN_LIFETIME })?;
        let refresh = BASE64_URL_SAFE_NO_PAD.encode(random().map_err(|_| SessionError::Internal)?);

        let now = Instant::now();
        let token_lifetime = Duration::from_secs(access.expires_in);
        let session = Session { person, token_lifetime, expires_at: now + SESSION_LIFETIME };
        let mut open = lock(&self.open);
        open.retain(|_, session| session.expires_at > now);
        if open.len() >= MAX_SESSIONS {
            return Err(SessionError::TooManySessions);
        }
        open.insert(refresh.clone(), session);
        tracing::info!(user = person.id, short_lived, "user signed in");
        Ok(LoginResponse { access, refresh, name: person.name, role: person.role, department: person.department })
    }

    /// Issues the next access token of a session.
    pub(crate) fn refresh(&self, handle: &str) -> Result<AccessToken, SessionError> {
        let (person, token_lifetime) = lock(&self.open)
            .get(handle)
            .filter(|session| session.expires_at > Instant::now())
            .map(|session| (session.person, session.token_lifetime))
            .ok_or(SessionError::Unknown)?;
        tracing::info!(user = person.id, "token refreshed");
        self.issue_token(person, token_lifetime)
    }

    pub(crate) fn logout(&self, handle: &str) {
        if let Some(session) = lock(&self.open).remove(handle) {
            tracing::info!(user = session.person.id, "user signed out");
        }
    }

    /// Returns the user id of a token if the token is valid.
    pub(crate) fn user_id(&self, token: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        let key = DecodingKey::from_secret(&self.key);
        jsonwebtoken::decode::<Subject>(token, &key, &validation).ok().map(|token| token.claims.sub)
    }

    fn issue_token(&self, person: &'static Person, lifetime: Duration) -> Result<AccessToken, SessionError> {
        let now = jsonwebtoken::get_current_timestamp();
        let expires_in = lifetime.as_secs();
        let claims = Claims {
            iss: ISSUER,
            aud: AUDIENCE,
            sub: person.id,
            unique_name: person.name,
            role: person.role,
            department: person.department,
            iat: now,
            exp: now + expires_in,
        };
        let key = EncodingKey::from_secret(&self.key);
        match jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key) {
            Ok(token) => Ok(AccessToken { token, expires_in }),
            Err(error) => {
                tracing::error!(%error, "failed to create a token");
                Err(SessionError::Internal)
            }
        }
    }
}

/// Omits the key and the refresh handles.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &lock(&self.open).len()).finish_non_exhaustive()
    }
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
