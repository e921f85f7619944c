//! Validation of a token: signature, lifetime, audience and issuer, in the order of .NET.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::JwtBearer;
use crate::auth::auth_error::{AuthError, Reason};
use crate::auth::claims::{Issuer, Payload};
use crate::auth::invariant_date;
use crate::auth::key::SigningKey;
use crate::auth::token::CompactToken;
use crate::auth::user::User;

/// Keys and issuer that an identity provider publishes; valid beside those of the options.
#[derive(Clone, Copy, Default)]
pub(in crate::auth) struct ProviderKeys<'a> {
    pub(in crate::auth) keys: &'a [SigningKey],
    pub(in crate::auth) issuer: Option<&'a str>,
}

impl JwtBearer {
    /// Validates a token and returns its user.
    pub(super) async fn user(&self, token: &str) -> Result<User, Reason> {
        if token.len() > self.max_token_bytes {
            return Err(Reason::Malformed);
        }
        let token = CompactToken::parse(token).ok_or(Reason::Malformed)?;
        let payload = Payload::parse(&token.payload).ok_or(Reason::Malformed)?;
        self.check_with_provider(&token, &payload).await?;

        let claims = payload.claims(self.map_inbound_claims).ok_or(Reason::Malformed)?;
        let user =
            User::builder().name_claim(self.name_claim.clone()).role_claim(self.role_claim.clone()).with_claims(claims);
        let user = match payload.expires.and_then(time) {
            Some(at) => user.expires_at(at).build(),
            None => user.build(),
        };
        match &self.on_token_validated {
            Some(hook) => hook(user).await.map_err(|failure| failure.0),
            None => Ok(user),
        }
    }

    /// Checks a token with the keys of the options and of the provider.
    async fn check_with_provider(&self, token: &CompactToken<'_>, payload: &Payload<'_>) -> Result<(), Reason> {
        #[cfg(feature = "oidc")]
        if let Some(provider) = &self.provider {
            return provider.check(token, (self.clock)(), |published| self.check(token, payload, published)).await;
        }
        self.check(token, payload, ProviderKeys::default())
    }

    /// Checks in the order of IdentityModel: JsonWebTokenHandler.ValidateToken.cs.
    fn check(
        &self,
        token: &CompactToken<'_>,
        payload: &Payload<'_>,
        published: ProviderKeys<'_>,
    ) -> Result<(), Reason> {
        self.check_signature(token, payload, published)?;
        self.check_lifetime(payload.expires, payload.not_before)?;
        self.check_audience(payload)?;
        self.check_issuer(payload, published)?;
        self.check_kind(token)?;
        match self.required_claims.iter().find(|name| !payload.has(name)) {
            Some(missing) => Err(AuthError::new(format!("token has no claim '{missing}'")).0),
            None => Ok(()),
        }
    }

    /// IdentityModel: JsonWebTokenHandler.ValidateSignature.cs.
    fn check_signature(
        &self,
        token: &CompactToken<'_>,
        payload: &Payload<'_>,
        published: ProviderKeys<'_>,
    ) -> Result<(), Reason> {
        if token.signature.as_ref().is_some_and(Vec::is_empty) {
            return Err(Reason::InvalidSignature);
        }
        let allowed = self.algorithms.is_empty() || self.algorithms.contains(&token.algorithm);
        let verifies = |key: &SigningKey| {
            let signature = token.signature.as_ref();
            allowed && signature.is_some_and(|signature| key.verifies(&token.algorithm, token.signed, signature))
        };
        let mut keys = published.keys.iter().chain(&self.keys);
        match keys.clone().find(|key| key.is_named_by(token)) {
            Some(key) if verifies(key) => return Ok(()),
            Some(_) if token.kid.is_some() => return Err(Reason::InvalidSignature),
            Some(_) => return Err(Reason::KeyNotFound),
            None if keys.any(verifies) => return Ok(()),
            None => {}
        }
        if token.kid.is_some() {
            // An unknown key may be a new one. It is not fetched for a token that is invalid in other ways. .NET
            // replaces missing times by the year 1 here.
            let expires = payload.expires.or(Some(invariant_date::EARLIEST));
            self.check_lifetime(expires, payload.not_before.or(Some(invariant_date::EARLIEST)))?;
            self.check_issuer(payload, published)?;
            self.check_audience(payload)?;
        }
        Err(Reason::KeyNotFound)
    }

    /// IdentityModel: Validators.cs, `ValidateLifetime`. Only the current time has fractions of a second.
    fn check_lifetime(&self, expires: Option<i64>, not_before: Option<i64>) -> Result<(), Reason> {
        if expires.is_none() && self.require_expiration {
            return Err(Reason::NoExpiration);
        }
        if let (Some(not_before), Some(expires)) = (not_before, expires)
            && not_before > expires
        {
            return Err(Reason::InvalidLifetime { not_before, expires });
        }
        let now = nanoseconds((self.clock)());
        let skew = i128::try_from(self.clock_skew.as_nanos()).unwrap_or(i128::MAX / 2);
        if let Some(not_before) = not_before
            && i128::from(not_before) * NANOSECONDS > now + skew
        {
            return Err(Reason::NotYetValid { not_before });
        }
        match expires {
            Some(expires) if i128::from(expires) * NANOSECONDS < now - skew => Err(Reason::Expired { expires }),
            _ => Ok(()),
        }
    }

    /// IdentityModel: Validators.cs, `ValidateAudience`.
    fn check_audience(&self, payload: &Payload<'_>) -> Result<(), Reason> {
        let known = |audience: &String| self.audiences.iter().any(|valid| is_same_audience(audience, valid));
        if self.any_audience {
            Ok(())
        } else if payload.audiences.is_empty() {
            Err(Reason::NoAudience)
        } else if payload.audiences.iter().any(known) {
            Ok(())
        } else {
            Err(Reason::InvalidAudience)
        }
    }

    /// IdentityModel: Validators.cs, `ValidateIssuer`.
    fn check_issuer(&self, payload: &Payload<'_>, published: ProviderKeys<'_>) -> Result<(), Reason> {
        let known = |issuer: &String| self.issuers.contains(issuer) || published.issuer == Some(issuer);
        let issuer = match &payload.issuer {
            _ if self.any_issuer => return Ok(()),
            Issuer::Named(issuer) if known(issuer) => return Ok(()),
            Issuer::Named(issuer) => Some(issuer.clone()),
            Issuer::Missing => Some(String::new()),
            Issuer::Null => None,
        };
        Err(Reason::InvalidIssuer(issuer))
    }

    /// IdentityModel: Validators.cs, `ValidateTokenType`; clients receive no description.
    fn check_kind(&self, token: &CompactToken<'_>) -> Result<(), Reason> {
        let valid = |kind: &String| self.token_types.contains(kind);
        if self.token_types.is_empty() || token.kind.as_ref().is_some_and(valid) {
            Ok(())
        } else {
            Err(AuthError::new("token type is not accepted").0)
        }
    }
}

/// Compares exactly, except for one `/` at the end (IdentityModel:
/// `IgnoreTrailingSlashWhenValidatingAudience`).
fn is_same_audience(a: &str, b: &str) -> bool {
    !a.trim().is_empty() && (a == b || a.strip_suffix('/') == Some(b) || b.strip_suffix('/') == Some(a))
}

fn time(seconds: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

fn nanoseconds(time: SystemTime) -> i128 {
    let whole = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX / 2);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

const NANOSECONDS: i128 = 1_000_000_000;
