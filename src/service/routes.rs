//! Paths as ASP.NET's routing compares them.

use percent_encoding::percent_decode_str;

/// The form in which two paths of one route are equal: ASP.NET ignores case and one trailing slash, and decodes escapes.
/// `None`: no route has such a path (an escaped slash, bytes that are no text).
pub(super) fn canonical(path: &str) -> Option<String> {
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    if decoded.matches('/').count() != path.matches('/').count() {
        return None;
    }
    let trimmed = decoded.strip_suffix('/').unwrap_or(&decoded);
    Some(trimmed.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn paths_ignore_case_one_trailing_slash_and_escapes() {
        for same in ["/hubs/clinical", "/Hubs/CLINICAL", "/hubs/clinical/", "/hubs/cl%69nical"] {
            assert_eq!(canonical(same).as_deref(), Some("/hubs/clinical"), "{same}");
        }
        assert_eq!(canonical("/").as_deref(), Some(""));
        for other in ["/hubs//clinical", "/hubs/clinical//", "//hubs/clinical"] {
            assert_ne!(canonical(other).as_deref(), Some("/hubs/clinical"), "{other}");
        }
        assert_eq!(canonical("/hubs%2Fclinical"), None);
        assert_eq!(canonical("/hubs/%ff"), None);
    }
}
