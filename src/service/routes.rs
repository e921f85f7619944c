//! Paths as ASP.NET's routing compares them.

use percent_encoding::percent_decode_str;

use crate::ordinal;

/// The form in which two paths of one route are equal: ASP.NET ignores case and one trailing slash, and decodes escapes.
/// `None`: no route has such a path (an escaped slash, bytes that are no text).
pub(super) fn canonical(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    if decoded.matches('/').count() != path.matches('/').count() {
        return None;
    }
    Some(ordinal::fold(decoded.strip_suffix('/').unwrap_or(&decoded)))
}

/// Suffixes of the path of an endpoint, in the canonical form.
pub(super) const NEGOTIATE: &str = "/NEGOTIATE";
pub(super) const REFRESH: &str = "/REFRESH";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_ignore_case_one_trailing_slash_and_escapes() {
        let same = canonical("/hubs/clinical");
        assert!(same.is_some());
        for path in ["/Hubs/CLINICAL", "/hubs/clinical/", "/hubs/cl%69nical"] {
            assert_eq!(canonical(path), same, "{path}");
        }
        assert_eq!(canonical("/").as_deref(), Some(""));
        for other in ["/hubs//clinical", "/hubs/clinical//", "//hubs/clinical"] {
            assert_ne!(canonical(other), same, "{other}");
        }
        assert_eq!(canonical("/hubs%2Fclinical"), None);
        assert_eq!(canonical("/hubs/%ff"), None);
    }

    /// An ASP.NET Core server was asked about such paths.
    #[test]
    fn letters_of_other_alphabets_are_no_other_spellings() {
        for (path, other) in
            [("/wor\u{212a}", "/work"), ("/web\u{17f}ocket", "/websocket"), ("/vers\u{131}on", "/version")]
        {
            assert_ne!(canonical(path), canonical(other), "{path}");
        }
    }
}
