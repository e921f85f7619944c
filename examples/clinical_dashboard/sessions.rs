//! Who signs in, and their tokens: a short-lived access token for the hub, and a handle that gets the next one.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use signalr::auth::JwtBearer;

use crate::locked;

const ISSUER: &str = "clinical-dashboard";
const AUDIENCE: &str = "dashboards";

const ACCESS: Duration = Duration::from_secs(15 * 60);
/// Short enough to see them refreshed.
pub(crate) const SHORT_ACCESS: Duration = Duration::from_secs(60);

/// A session lasts a shift, whether somebody is there or not.
const SHIFT: Duration = Duration::from_secs(8 * 3600);

const MOST_SESSIONS: usize = 1_000;

/// The people of this demonstration. They have no passwords: a real server asks for more than a name.
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

/// The open sessions, and the key that signs their tokens: a new one at each start, so that older tokens are void.
pub(crate) struct Sessions {
    key: [u8; 32],
    short_access: Duration,
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    person: &'static Person,
    access: Duration,
    ends: Instant,
}

/// Why nobody is signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refused {
    /// There is no such person, or their session has ended.
    Unknown,
    /// There are too many sessions.
    Busy,
    /// The server cannot make a token.
    Broken,
}

/// The answer to a login.
#[derive(Serialize)]
pub(crate) struct Login {
    #[serde(flatten)]
    access: Access,
    /// A secret that means nothing to the client: it gets the next access token.
    refresh: String,
    name: &'static str,
    role: &'static str,
    department: &'static str,
}

/// An access token.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Access {
    token: String,
    /// In seconds.
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

/// What is read of a token.
#[derive(Deserialize)]
struct Subject {
    sub: String,
}

impl Sessions {
    pub(crate) fn new(short_access: Duration) -> Result<Self, getrandom::Error> {
        Ok(Self { key: random()?, short_access, open: Mutex::default() })
    }

    /// How the hub knows these people: by the same key, issuer and audience.
    pub(crate) fn bearer(&self) -> JwtBearer {
        JwtBearer::hmac(self.key).issuer(ISSUER).audience(AUDIENCE)
    }

    pub(crate) fn login(&self, person: &str, short_lived: bool) -> Result<Login, Refused> {
        let person = PEOPLE.iter().find(|known| known.key == person).ok_or(Refused::Unknown)?;
        let access = self.access(person, if short_lived { self.short_access } else { ACCESS })?;
        let refresh = BASE64_URL_SAFE_NO_PAD.encode(random().map_err(|_| Refused::Broken)?);

        let now = Instant::now();
        let session = Session { person, access: Duration::from_secs(access.expires_in), ends: now + SHIFT };
        let mut open = locked(&self.open);
        open.retain(|_, session| session.ends > now);
        if open.len() >= MOST_SESSIONS {
            return Err(Refused::Busy);
        }
        open.insert(refresh.clone(), session);
        tracing::info!(user = person.id, short_lived, "signed in");
        Ok(Login { access, refresh, name: person.name, role: person.role, department: person.department })
    }

    /// The next access token of a session.
    pub(crate) fn refresh(&self, handle: &str) -> Result<Access, Refused> {
        let (person, access) = locked(&self.open)
            .get(handle)
            .filter(|session| session.ends > Instant::now())
            .map(|session| (session.person, session.access))
            .ok_or(Refused::Unknown)?;
        tracing::info!(user = person.id, "refreshed a token");
        self.access(person, access)
    }

    pub(crate) fn logout(&self, handle: &str) {
        if let Some(session) = locked(&self.open).remove(handle) {
            tracing::info!(user = session.person.id, "signed out");
        }
    }

    /// Whom a token names, if it is valid.
    pub(crate) fn user_id(&self, token: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        let key = DecodingKey::from_secret(&self.key);
        jsonwebtoken::decode::<Subject>(token, &key, &validation).ok().map(|token| token.claims.sub)
    }

    fn access(&self, person: &'static Person, lifetime: Duration) -> Result<Access, Refused> {
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
            Ok(token) => Ok(Access { token, expires_in }),
            Err(error) => {
                tracing::error!(%error, "a token cannot be made");
                Err(Refused::Broken)
            }
        }
    }
}

/// Prints no secrets.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("open", &locked(&self.open).len()).finish_non_exhaustive()
    }
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
