//! The three parts of a signed token, read and not yet believed.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::json::{self, JsonKind};

/// A JWT in its compact form, taken apart.
pub(super) struct CompactToken<'a> {
    /// What the signature is of: header and payload as they came.
    pub(super) signed: &'a [u8],
    /// Nothing if it is no base64url; empty if the token is unsigned.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    pub(super) algorithm: String,
    /// Which key signed it, if it says so.
    pub(super) kid: Option<String>,
    /// The fingerprint of that key's certificate, if it says so.
    pub(super) x5t: Option<String>,
    /// What kind of token it is, if it says so.
    pub(super) kind: Option<String>,
}

impl<'a> CompactToken<'a> {
    /// Takes a token apart; nothing if it is no JWT, or asks for an extension by `crit`.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if payload.contains('.') {
            return None;
        }
        let mut token = Self {
            signed: signed.as_bytes(),
            signature: BASE64.decode(signature).ok(),
            payload: BASE64.decode(payload).ok()?,
            algorithm: String::new(),
            kid: None,
            x5t: None,
            kind: None,
        };
        token.read_header(&BASE64.decode(header).ok()?)?;
        if token.payload.is_empty() {
            // .NET takes an empty payload for one without claims, and says that it has no expiration.
            token.payload.extend(b"{}");
        }
        Some(token)
    }

    fn read_header(&mut self, header: &[u8]) -> Option<()> {
        for (name, value) in json::members(header)? {
            match name.as_str() {
                // RFC 7515 § 4.1.11: who does not know an extension must refuse the token. We know none.
                "crit" => return None,
                "alg" | "kid" | "typ" | "cty" | "x5t" | "zip" => {}
                _ => continue,
            }
            let text = if json::kind(value) == JsonKind::Null { None } else { Some(json::string(value)?) };
            match name.as_str() {
                "alg" => self.algorithm = text.unwrap_or_default(),
                "kid" => self.kid = text.filter(|kid| !kid.is_empty()),
                "x5t" => self.x5t = text.filter(|x5t| !x5t.is_empty()),
                "typ" => self.kind = text,
                _ => {}
            }
        }
        Some(())
    }
}

/// base64url, with or without padding as .NET reads it.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
