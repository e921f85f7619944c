//! Payload of a token, and its conversion to claims.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::claim_types;
use super::invariant_date;
use super::json::{self, JsonKind};
use super::user::Claim;

/// Claims of a token in JSON, and the parsed values of those that decide on its validity.
pub(super) struct Payload<'a> {
    members: Vec<(String, &'a RawValue)>,
    /// In seconds since 1970, as is `not_before`.
    pub(super) expires: Option<i64>,
    pub(super) not_before: Option<i64>,
    pub(super) issuer: Issuer,
    pub(super) audiences: Vec<String>,
}

/// Value of `iss`.
#[derive(Default)]
pub(super) enum Issuer {
    #[default]
    Missing,
    Null,
    Named(String),
}

impl<'a> Payload<'a> {
    /// Parses the claims; `None` if they are not an object, or if a registered claim has the wrong type.
    ///
    /// The last of several claims with one name counts, at the position of the first. All must be
    /// well-formed.
    pub(super) fn parse(json: &'a [u8]) -> Option<Self> {
        let mut payload = Self {
            members: Vec::new(),
            expires: None,
            not_before: None,
            issuer: Issuer::Missing,
            audiences: Vec::new(),
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        for (name, value) in json::members(json)? {
            payload.read(&name, value)?;
            match places.get(&name) {
                Some(&place) => payload.members[place].1 = value,
                None => {
                    places.insert(name.clone(), payload.members.len());
                    payload.members.push((name, value));
                }
            }
        }
        Some(payload)
    }

    /// Whether the token has this claim, by its name in the token, and it is not `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(found, value)| found == name && json::kind(value) != JsonKind::Null)
    }

    /// Claims, with the types of .NET if `mapped`; `None` if a value is malformed.
    pub(super) fn claims(&self, mapped: bool) -> Option<Vec<Claim>> {
        let mut claims = Vec::with_capacity(self.members.len());
        for (name, value) in &self.members {
            let long = mapped.then(|| claim_types::long_name(name)).flatten();
            let claim_type: Arc<str> = long.unwrap_or(name).into();
            match (name.as_str(), json::kind(value)) {
                ("aud", _) => {
                    claims.extend(self.audiences.iter().map(|audience| Claim::new(claim_type.clone(), &**audience)));
                }
                ("exp" | "nbf" | "iat", _) => claims.push(Claim::new(claim_type, json::integer(value)?.to_string())),
                (_, JsonKind::Array) => {
                    for element in json::elements(value)? {
                        claims.push(Claim::new(claim_type.clone(), text(element)?));
                    }
                }
                _ => claims.push(Claim::new(claim_type, text(value)?)),
            }
        }
        Some(claims)
    }

    /// Parses a registered claim; `None` if it has the wrong type.
    fn read(&mut self, name: &str, value: &RawValue) -> Option<()> {
        match (name, json::kind(value)) {
            ("exp", _) => self.expires = Some(time(value)?),
            ("nbf", _) => self.not_before = Some(time(value)?),
            ("iat", _) => {
                json::integer(value)?;
            }
            ("iss", JsonKind::Null) => self.issuer = Issuer::Null,
            ("iss", _) => self.issuer = Issuer::Named(json::string(value)?),
            ("aud", JsonKind::Null) => self.audiences = Vec::new(),
            ("aud", JsonKind::String) => self.audiences = vec![json::string(value)?],
            ("aud", _) => {
                let named = |element: &&RawValue| json::kind(element) != JsonKind::Null;
                self.audiences =
                    json::elements(value)?.into_iter().filter(named).map(json::string).collect::<Option<_>>()?;
            }
            ("sub", JsonKind::Bool | JsonKind::Array | JsonKind::Object) => return None,
            ("jti" | "azp", kind) if !matches!(kind, JsonKind::String | JsonKind::Null) => return None,
            _ => {}
        }
        Some(())
    }
}

/// Value as text of a claim: a string unchanged, a number in .NET's invariant format, an array or object
/// in JSON.
fn text(value: &RawValue) -> Option<Box<str>> {
    Some(match json::kind(value) {
        JsonKind::String => json::string(value)?.into(),
        JsonKind::Null => "".into(),
        JsonKind::Number => json::number_text(value.get()).into(),
        JsonKind::Bool | JsonKind::Array | JsonKind::Object => value.get().into(),
    })
}

/// IdentityModel: EpochTime.cs, which clamps to the years 1970 to 9999.
fn time(value: &RawValue) -> Option<i64> {
    Some(json::integer(value)?.clamp(0, invariant_date::LATEST))
}
