//! Paths as ASP.NET's routing compares them.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use crate::ordinal;

/// Values by the canonical paths of their routes.
pub(super) struct Routes<T> {
    by_path: HashMap<String, T>,
    /// Bytes of the longest path.
    longest: usize,
}

impl<T: Copy> Routes<T> {
    pub(super) fn new() -> Self {
        Self { by_path: HashMap::new(), longest: 0 }
    }

    /// Returns what stood under this path before.
    pub(super) fn insert(&mut self, canonical: String, value: T) -> Option<T> {
        self.longest = self.longest.max(canonical.len());
        self.by_path.insert(canonical, value)
    }

    pub(super) fn find(&self, path: &str) -> Option<T> {
        let path = canonical(path).filter(|path| path.len() <= self.longest)?;
        self.by_path.get(&path).copied()
    }

    /// Whether a path ends in that of a route, or in that of a refresh: clients also ask where nothing is refreshed.
    #[cfg(feature = "tower")]
    pub(super) fn is_below(&self, path: &str) -> bool {
        let Some(path) = canonical(path) else { return false };
        let ends = |path: &str| self.ends(path).any(|end| self.by_path.contains_key(end));
        ends(&path) || path.strip_suffix(REFRESH).is_some_and(ends)
    }

    /// The ends of a path that may be a route: the client chooses how many segments it has, and the server how long its
    /// routes are.
    #[cfg(feature = "tower")]
    fn ends<'p>(&self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let whole = path.is_empty().then_some(path);
        let starts = path.rmatch_indices('/').map(|(at, _)| at);
        whole.into_iter().chain(starts.map(|at| &path[at..]).take_while(|end| end.len() <= self.longest))
    }
}

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

    #[cfg(feature = "tower")]
    #[test]
    fn paths_that_end_in_a_route_are_below() {
        let mut routes = Routes::new();
        for path in ["/hubs/chat", "/hubs/chat/negotiate"] {
            routes.insert(canonical(path).unwrap(), ());
        }
        for below in ["/hubs/chat", "/app/Hubs/Chat/", "/a/b/hubs/chat/negotiate", "/app/hubs/chat/refresh"] {
            assert!(routes.is_below(below), "{below}");
        }
        for other in ["/", "/chat", "/myhubs/chat", "/hubs/chat/x", "/hubs/chat//", "/refresh"] {
            assert!(!routes.is_below(other), "{other}");
        }
        routes.insert(canonical("/").unwrap(), ());
        for below in ["/", "/refresh"] {
            assert!(routes.is_below(below), "{below}");
        }
        assert!(!routes.is_below("/app/"));
    }

    #[cfg(feature = "tower")]
    #[test]
    fn no_more_of_a_path_is_looked_up_than_routes_are_long() {
        let mut routes = Routes::new();
        routes.insert(canonical("/hubs/chat").unwrap(), ());
        for path in ["/a".repeat(32_000), "/".repeat(65_000), format!("/{}", "a".repeat(65_000))] {
            let looked_up: usize = routes.ends(&path).map(str::len).sum();
            assert!(looked_up <= 10 * 10, "{looked_up}");
        }
    }
}
