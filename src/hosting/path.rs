//! Lookup of endpoints by path, with the comparison rules of ASP.NET Core's routing.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::ordinal;

/// Values by canonical path.
pub(super) struct Routes<T> {
    by_path: HashMap<String, T>,
    /// Length of the longest path in bytes.
    max_path_len: usize,
}

impl<T: Copy> Routes<T> {
    pub(super) fn new() -> Self {
        Self { by_path: HashMap::new(), max_path_len: 0 }
    }

    /// Returns the previous value of the path.
    pub(super) fn insert(&mut self, canonical: String, value: T) -> Option<T> {
        self.max_path_len = self.max_path_len.max(canonical.len());
        self.by_path.insert(canonical, value)
    }

    pub(super) fn find(&self, path: &str) -> Option<T> {
        let path = canonical(path).filter(|path| path.len() <= self.max_path_len)?;
        self.by_path.get(&path).copied()
    }

    /// Whether a path ends in the path of a route, or of a route followed by `/refresh`: clients
    /// send refresh requests even to endpoints without authentication refresh.
    #[cfg(feature = "tower")]
    pub(super) fn ends_in_route(&self, path: &str) -> bool {
        let Some(path) = canonical(path) else { return false };
        let has_route = |path: &str| self.candidate_suffixes(path).any(|suffix| self.by_path.contains_key(suffix));
        has_route(&path) || path.strip_suffix(REFRESH).is_some_and(has_route)
    }

    /// Suffixes of a path that could be a route. Their length is limited to that of the longest
    /// route, since the client chooses the number of segments.
    #[cfg(feature = "tower")]
    fn candidate_suffixes<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let whole = path.is_empty().then_some(path);
        let starts = path.rmatch_indices('/').map(|(at, _)| at);
        whole.into_iter().chain(starts.map(|at| &path[at..]).take_while(|suffix| suffix.len() <= self.max_path_len))
    }
}

/// Returns the canonical form of a path, in which all spellings of one route are equal: ASP.NET
/// Core ignores case and one trailing slash, and decodes percent-encoding. `None` if no route can
/// have such a path (an encoded slash, invalid UTF-8).
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
    fn canonical_paths_ignore_case_trailing_slash_and_percent_encoding() {
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

    /// Checked against an ASP.NET Core server.
    #[test]
    fn paths_with_lookalike_letters_differ() {
        for (path, other) in
            [("/wor\u{212a}", "/work"), ("/web\u{17f}ocket", "/websocket"), ("/vers\u{131}on", "/version")]
        {
            assert_ne!(canonical(path), canonical(other), "{path}");
        }
    }

    #[cfg(feature = "tower")]
    #[test]
    fn paths_behind_a_host_prefix_end_in_a_route() {
        let mut routes = Routes::new();
        for path in ["/hubs/chat", "/hubs/chat/negotiate"] {
            routes.insert(canonical(path).unwrap(), ());
        }
        for path in ["/hubs/chat", "/app/Hubs/Chat/", "/a/b/hubs/chat/negotiate", "/app/hubs/chat/refresh"] {
            assert!(routes.ends_in_route(path), "{path}");
        }
        for other in ["/", "/chat", "/myhubs/chat", "/hubs/chat/x", "/hubs/chat//", "/refresh"] {
            assert!(!routes.ends_in_route(other), "{other}");
        }
        routes.insert(canonical("/").unwrap(), ());
        for path in ["/", "/refresh"] {
            assert!(routes.ends_in_route(path), "{path}");
        }
        assert!(!routes.ends_in_route("/app/"));
    }

    #[cfg(feature = "tower")]
    #[test]
    fn suffix_lookup_is_bounded_by_the_longest_route() {
        let mut routes = Routes::new();
        routes.insert(canonical("/hubs/chat").unwrap(), ());
        for path in ["/a".repeat(32_000), "/".repeat(65_000), format!("/{}", "a".repeat(65_000))] {
            let looked_up: usize = routes.candidate_suffixes(&path).map(str::len).sum();
            assert!(looked_up <= 10 * 10, "{looked_up}");
        }
    }
}
