//! Negotiate: parses the query of the request and writes the response
//! (`TransportProtocols.md § POST endpoint-base/negotiate`).

use bytes::Bytes;

use crate::connection_info::{ConnectionId, ConnectionToken, TransportType, Transports, query};

/// Highest negotiate version. Version 1 has a secret connection token beside the connection id.
const MAX_NEGOTIATE_VERSION: i32 = 1;

/// Capabilities of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    pub(crate) transports: Transports,
    /// Lowest accepted negotiate version (C#:
    /// `HttpConnectionDispatcherOptions.MinimumProtocolVersion`).
    pub(crate) minimum_version: i32,
    pub(crate) allow_stateful_reconnects: bool,
}

/// Outcome of a negotiate request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Negotiation {
    /// Error text for the client. The status is 200 nevertheless.
    Refused(String),
    Accepted {
        version: i32,
        stateful_reconnect: bool,
    },
}

/// `aspnet: HttpConnectionDispatcher.ProcessNegotiate`.
pub(crate) fn negotiate(query: Option<&str>, offer: &Offer) -> Negotiation {
    let version = match query::value(query, "negotiateVersion") {
        None => 0,
        Some(text) => match parse_integer(&text) {
            Some(version) => version,
            None => return Negotiation::Refused(NOT_AN_INTEGER.to_owned()),
        },
    };
    if version < offer.minimum_version {
        let text = format!("The client requested version '{version}', but the server does not support this version.");
        return Negotiation::Refused(text);
    }
    let requested = || query::value(query, "useStatefulReconnect").is_some_and(|text| parse_boolean(&text));
    Negotiation::Accepted {
        version: version.min(MAX_NEGOTIATE_VERSION),
        stateful_reconnect: offer.allow_stateful_reconnects && requested(),
    }
}

const NOT_AN_INTEGER: &str = "The client requested a non-integer protocol version.";

impl Negotiation {
    /// Returns the body of the response, with members in the order of
    /// `aspnet: NegotiateProtocol.WriteResponse`. `ids` is `None` for a rejected negotiate.
    pub(crate) fn response_body(
        &self,
        ids: Option<(ConnectionId, ConnectionToken)>,
        transports: Transports,
        token_lifetime: Option<i32>,
    ) -> Bytes {
        match self {
            // The texts of `negotiate` contain nothing to escape.
            Self::Refused(text) => format!(r#"{{"error":"{text}"}}"#).into(),
            Self::Accepted { version, stateful_reconnect } => {
                accepted_body(*version, *stateful_reconnect, ids, transports, token_lifetime).into()
            }
        }
    }
}

fn accepted_body(
    version: i32,
    stateful_reconnect: bool,
    ids: Option<(ConnectionId, ConnectionToken)>,
    transports: Transports,
    token_lifetime: Option<i32>,
) -> String {
    let mut body = String::with_capacity(MAX_RESPONSE_BYTES);
    // Never written as `false`: the JavaScript client checks only that the member exists.
    body.push_str(if stateful_reconnect { r#"{"useStatefulReconnect":true,"# } else { "{" });
    body.push_str(r#""negotiateVersion":"#);
    body.push_str(&version.to_string());
    if let Some((id, token)) = ids {
        body.push_str(r#","connectionId":""#);
        body.push_str(id.as_str());
        if version > 0 {
            body.push_str(r#"","connectionToken":""#);
            body.push_str(token.as_str());
        }
        body.push('"');
    }
    if let Some(seconds) = token_lifetime {
        body.push_str(r#","tokenLifetimeSeconds":"#);
        body.push_str(&seconds.to_string());
    }
    body.push_str(r#","availableTransports":["#);
    for (index, transport) in transports.iter().enumerate() {
        body.push_str(if index > 0 { "," } else { "" });
        body.push_str(offer(transport));
    }
    body.push_str("]}");
    body
}

/// Length of a response with all members.
const MAX_RESPONSE_BYTES: usize = 386;

/// C#: `int.TryParse` with `NumberStyles.Integer`: surrounding white space, a sign, leading zeros,
/// and trailing NULs.
fn parse_integer(text: &str) -> Option<i32> {
    let text = text.trim_end_matches('\0').trim_matches(is_white_space);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Rust and C# parse the remaining forms alike.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// White space of `int.TryParse`.
fn is_white_space(character: char) -> bool {
    matches!(character, '\t'..='\r' | ' ')
}

/// C#: `bool.TryParse`; false if it fails.
fn parse_boolean(text: &str) -> bool {
    text.trim_matches(|character: char| character.is_whitespace() || character == '\0').eq_ignore_ascii_case("true")
}

/// Returns the entry of a transport in `availableTransports`.
fn offer(transport: TransportType) -> &'static str {
    match transport {
        TransportType::WebSockets => r#"{"transport":"WebSockets","transferFormats":["Text","Binary"]}"#,
        TransportType::ServerSentEvents => r#"{"transport":"ServerSentEvents","transferFormats":["Text"]}"#,
        TransportType::LongPolling => r#"{"transport":"LongPolling","transferFormats":["Text","Binary"]}"#,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { transports: Transports::all(), minimum_version: 0, allow_stateful_reconnects: true };

    fn version(query: &str) -> Result<i32, String> {
        match negotiate(Some(query), &OFFER) {
            Negotiation::Accepted { version, .. } => Ok(version),
            Negotiation::Refused(text) => Err(text),
        }
    }

    fn unsupported(version: i32) -> String {
        format!("The client requested version '{version}', but the server does not support this version.")
    }

    #[test]
    fn missing_negotiate_version_is_version_0() {
        assert_eq!(negotiate(None, &OFFER), Negotiation::Accepted { version: 0, stateful_reconnect: false });
        assert_eq!(version(""), Ok(0));
        assert_eq!(version("id=1"), Ok(0));
    }

    /// All inputs were checked with an ASP.NET Core server.
    #[test]
    fn negotiate_versions_parse_like_csharp_integers() {
        for text in [
            "1",
            "%201",
            "1%20",
            "%091%0a",
            "%0b%0c%0d1",
            "1%00",
            "1%00%00",
            "1%20%00",
            "+1",
            "%2B1",
            "0001",
            "00000000000000000000000000001",
            "%201%20",
            "2147483647",
            "2",
        ] {
            assert_eq!(version(&format!("negotiateVersion={text}")), Ok(1), "{text}");
        }
        for text in [
            "",
            "abc",
            "%00",
            "1%00%20",
            "%001",
            "-",
            "%2B",
            "--1",
            "%2B-1",
            "-%201",
            "1e0",
            "1,0",
            "1.0",
            "1_0",
            "0x1",
            "2147483648",
            "-2147483649",
            "%C2%A01",
            "%E2%88%921",
            "%D9%A1",
            "1%C2%A0",
            "(1)",
            "%2500",
            "1%85",
            "1%C2%85",
            "%1c1",
        ] {
            assert_eq!(version(&format!("negotiateVersion={text}")), Err(NOT_AN_INTEGER.to_owned()), "{text}");
        }
        assert_eq!(version("negotiateVersion=-0"), Ok(0));
        assert_eq!(version("negotiateVersion=-1"), Err(unsupported(-1)));
        assert_eq!(version("negotiateVersion=-2147483648"), Err(unsupported(i32::MIN)));
    }

    #[test]
    fn repeated_negotiate_versions_are_rejected_as_non_integers() {
        assert_eq!(version("negotiateVersion=1&negotiateVersion=1"), Err(NOT_AN_INTEGER.to_owned()));
        assert_eq!(version("negotiateVersion=&negotiateVersion=1"), Ok(1));
        assert_eq!(version("negotiateVersion"), Err(NOT_AN_INTEGER.to_owned()));
    }

    #[test]
    fn negotiate_versions_below_the_minimum_are_rejected() {
        let offer = Offer { minimum_version: 1, ..OFFER };
        assert_eq!(negotiate(None, &offer), Negotiation::Refused(unsupported(0)));
        assert_eq!(negotiate(Some("negotiateVersion=0"), &offer), Negotiation::Refused(unsupported(0)));
        assert_eq!(negotiate(Some("negotiateVersion=x"), &offer), Negotiation::Refused(NOT_AN_INTEGER.to_owned()));
        let accepted = Negotiation::Accepted { version: 1, stateful_reconnect: false };
        assert_eq!(negotiate(Some("NEGOTIATEVERSION=1"), &offer), accepted);
        assert_eq!(negotiate(Some("negotiateVersion=2"), &offer), accepted);
    }

    /// All inputs were checked with an ASP.NET Core server.
    #[test]
    fn stateful_reconnect_is_requested_by_a_csharp_boolean() {
        let negotiated = |query: &str| negotiate(Some(query), &OFFER);
        for text in
            ["true", "TRUE", "True", "%20true", "true%00", "%00true", "%00%20true%20%00", "%C2%A0true", "true%0a"]
        {
            let accepted = Negotiation::Accepted { version: 0, stateful_reconnect: true };
            assert_eq!(negotiated(&format!("useStatefulReconnect={text}")), accepted, "{text}");
        }
        for text in ["", "false", "1", "yes", "on", "tr+ue", "%E2%80%8Btrue", "true&useStatefulReconnect=true"] {
            let accepted = Negotiation::Accepted { version: 0, stateful_reconnect: false };
            assert_eq!(negotiated(&format!("useStatefulReconnect={text}")), accepted, "{text}");
        }
    }

    #[test]
    fn stateful_reconnect_is_rejected_if_the_endpoint_disallows_it() {
        let offer = Offer { allow_stateful_reconnects: false, ..OFFER };
        let query = Some("negotiateVersion=1&useStatefulReconnect=true");
        assert_eq!(negotiate(query, &offer), Negotiation::Accepted { version: 1, stateful_reconnect: false });
    }

    fn ids() -> (ConnectionId, ConnectionToken) {
        let id = ConnectionId::parse("VVFRvt0ECUK3X4sFtAmKFQ").unwrap();
        (id, ConnectionToken::parse("qBsGMbWi8elnvICBi1l2Ug").unwrap())
    }

    #[test]
    fn negotiate_response_matches_aspnet_core_byte_for_byte() {
        let body = Negotiation::Accepted { version: 1, stateful_reconnect: true };
        let body = body.response_body(Some(ids()), Transports::all(), Some(i32::MAX));
        let expected = concat!(
            r#"{"useStatefulReconnect":true,"negotiateVersion":1,"connectionId":"VVFRvt0ECUK3X4sFtAmKFQ","#,
            r#""connectionToken":"qBsGMbWi8elnvICBi1l2Ug","tokenLifetimeSeconds":2147483647,"availableTransports":["#,
            r#"{"transport":"WebSockets","transferFormats":["Text","Binary"]},"#,
            r#"{"transport":"ServerSentEvents","transferFormats":["Text"]},"#,
            r#"{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#,
        );
        assert_eq!(body, expected);
        assert!(body.len() <= MAX_RESPONSE_BYTES, "{}", body.len());
    }

    #[test]
    fn negotiate_version_0_returns_no_connection_token() {
        let body = Negotiation::Accepted { version: 0, stateful_reconnect: false };
        let expected = concat!(
            r#"{"negotiateVersion":0,"connectionId":"VVFRvt0ECUK3X4sFtAmKFQ","availableTransports":["#,
            r#"{"transport":"LongPolling","transferFormats":["Text","Binary"]}]}"#,
        );
        assert_eq!(body.response_body(Some(ids()), Transports::LONG_POLLING, None), expected);
        let no_transports = r#"{"negotiateVersion":0,"availableTransports":[]}"#;
        assert_eq!(body.response_body(None, Transports::none(), None), no_transports);
    }

    #[test]
    fn rejected_negotiate_has_only_an_error_member() {
        let body = |query| negotiate(Some(query), &OFFER).response_body(None, Transports::all(), None);
        let expected = r#"{"error":"The client requested a non-integer protocol version."}"#;
        assert_eq!(body("negotiateVersion=\"}"), expected);
        let expected =
            r#"{"error":"The client requested version '-5', but the server does not support this version."}"#;
        assert_eq!(body("negotiateVersion=-5"), expected);
    }

    #[test]
    fn transports_combine_as_a_set() {
        let mut some = Transports::WEB_SOCKETS | TransportType::LongPolling.into();
        assert!(some.contains(TransportType::WebSockets) && some.contains(TransportType::LongPolling));
        assert!(!some.contains(TransportType::ServerSentEvents));
        assert_eq!(format!("{some:?}"), "{WebSockets, LongPolling}");
        some |= Transports::SERVER_SENT_EVENTS;
        assert_eq!(some, Transports::all());
        assert_eq!(Transports::default(), Transports::all());
        assert_eq!(format!("{:>12}|", TransportType::LongPolling), " LongPolling|");
    }
}
