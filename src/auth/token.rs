//! The three parts of a signed token, parsed and not yet verified.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::json::{self, JsonKind};

/// JWT in its compact form.
pub(super) struct CompactToken<'a> {
    /// Signed bytes: header and payload as received.
    pub(super) signed: &'a [u8],
    /// `None` if it is not base64url; empty if the token is unsigned.
    pub(super) signature: Option<Vec<u8>>,
    pub(super) payload: Vec<u8>,
    pub(super) algorithm: String,
    /// Name of the key that signed it.
    pub(super) kid: Option<String>,
    /// Fingerprint of the certificate of that key.
    pub(super) x5t: Option<String>,
    /// Type of the token (`typ`).
    pub(super) kind: Option<String>,
}

impl<'a> CompactToken<'a> {
    /// Parses a token; `None` if it is not a JWT, or requires an extension by `crit`.
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
            // .NET reads an empty payload as one without claims, and reports a missing expiration.
            token.payload.extend(b"{}");
        }
        Some(token)
    }

    fn read_header(&mut self, header: &[u8]) -> Option<()> {
        for (name, value) in json::members(header)? {
            match name.as_str() {
                // RFC 7515 § 4.1.11: a token with an unsupported extension is rejected; none is supported.
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
