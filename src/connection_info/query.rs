//! Parsing of query strings and cookies as in ASP.NET Core.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::ordinal;

/// Returns the decoded value of a query parameter (C#: `Request.Query[key].ToString()`). Keys are
/// compared without case, and `+` is a space. Several values of one key are joined with `,`; empty
/// values are left out.
///
/// Returns `None` if the parameter is missing. A parameter without `=` has an empty value.
pub(crate) fn value<'q>(query: Option<&'q str>, key: &str) -> Option<Cow<'q, str>> {
    let pairs = query?.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    join(pairs.filter(|(name, _)| ordinal::eq(&decode(name), key)).map(|(_, value)| decode(value)))
}

/// Whether a query parameter (`name=value`) has one of these names.
pub(crate) fn is_any_of(pair: &str, names: &[&str]) -> bool {
    let name = decode(pair.split_once('=').map_or(pair, |(name, _)| name));
    names.iter().any(|other| ordinal::eq(&name, other))
}

/// Returns the decoded value of a cookie from the `Cookie` header lines of a request (C#:
/// `Request.Cookies[name]`). Names are compared without case; of several cookies, the last one
/// counts.
pub(crate) fn cookie<'l>(lines: impl Iterator<Item = Cow<'l, str>>, name: &str) -> Option<Cow<'l, str>> {
    lines.filter_map(|line| cookie_in(line, name)).last()
}

/// Returns the last cookie with this name in one header line.
fn cookie_in<'l>(line: Cow<'l, str>, name: &str) -> Option<Cow<'l, str>> {
    match line {
        Cow::Borrowed(line) => cookie_value(line, name).map(unescape),
        Cow::Owned(line) => cookie_value(&line, name).map(|value| Cow::Owned(unescape(value).into_owned())),
    }
}

fn cookie_value<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let pairs = line.split(';').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(other, _)| ordinal::eq(other.trim(), name)).map(|(_, value)| value.trim()).next_back()
}

/// Joins the values of one name (`aspnet: StringValues.ToString`).
pub(super) fn join<'v>(values: impl IntoIterator<Item = Cow<'v, str>>) -> Option<Cow<'v, str>> {
    values.into_iter().reduce(|joined, value| match (joined.is_empty(), value.is_empty()) {
        (true, _) => value,
        (false, true) => joined,
        (false, false) => joined + "," + value,
    })
}

/// Decodes percent-encoding (C#: `Uri.UnescapeDataString`). Incomplete escapes, and escapes that do
/// not decode to UTF-8, stay unchanged.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    percent_decode_str(text).decode_utf8().unwrap_or_else(|_| Cow::Owned(unescape_valid(text)))
}

/// Decodes each run of escapes separately, because escaped bytes never form a character with
/// unescaped ones.
fn unescape_valid(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut remaining = text;
    while !remaining.is_empty() {
        let (run, after) = remaining.split_at(ESCAPE_LENGTH * leading_escapes(remaining));
        let bytes: Vec<u8> = percent_decode_str(run).collect();
        let mut at = 0;
        for chunk in bytes.utf8_chunks() {
            let invalid = at + chunk.valid().len();
            at = invalid + chunk.invalid().len();
            unescaped.push_str(chunk.valid());
            unescaped.push_str(&run[ESCAPE_LENGTH * invalid..ESCAPE_LENGTH * at]);
        }
        // The next byte begins no escape, so at least one byte is copied, even if it is `%`.
        let next = after.bytes().skip(1).position(|byte| byte == b'%').map_or(after.len(), |at| at + 1);
        unescaped.push_str(&after[..next]);
        remaining = &after[next..];
    }
    unescaped
}

/// Length of an escape such as `%41`.
const ESCAPE_LENGTH: usize = 3;

/// Returns the number of escapes at the beginning of `text`.
fn leading_escapes(text: &str) -> usize {
    let triples = text.as_bytes().as_chunks::<ESCAPE_LENGTH>().0;
    triples.iter().take_while(|[percent, high, low]| *percent == b'%' && is_hex(*high) && is_hex(*low)).count()
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('+') {
        return unescape(text);
    }
    Cow::Owned(unescape(&text.replace('+', " ")).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn x(query: &str) -> Option<String> {
        value(Some(query), "x").map(Cow::into_owned)
    }

    /// The expected values were recorded from an ASP.NET Core server.
    #[test]
    fn query_values_match_aspnet() {
        for (query, expected) in [
            ("x=1", "1"),
            ("x=1&x=2", "1,2"),
            ("x=&x=2", "2"),
            ("x=1&x=", "1"),
            ("x=&x=", ""),
            ("x=1&x=&x=3", "1,3"),
            ("x", ""),
            ("x&x=2", "2"),
            ("X=1", "1"),
            ("x=a=b", "a=b"),
            ("&&x=1&", "1"),
            ("x=+a+b+", " a b "),
            ("x=%2B", "+"),
            ("x=%41%4", "A%4"),
            ("x=%zz", "%zz"),
            ("x=%", "%"),
            ("x=%ff", "%ff"),
            ("x=a%ffb%41", "a%ffbA"),
            ("x=%e2%82%ac", "€"),
            ("x=%e2%82", "%e2%82"),
            ("x=%e2%82%41", "%e2%82A"),
            ("x=%41%ff", "A%ff"),
            ("x=%C3%A9%ff%C3", "é%ff%C3"),
            ("x=%F0%9F%98%80%F0", "😀%F0"),
            ("%78=1", "1"),
            ("x=%00", "\0"),
            ("x=%25%34%31", "%41"),
            ("x=%ed%a0%80", "%ed%a0%80"),
            ("x=%c0%af", "%c0%af"),
            ("x=%ff%e2%82%ac", "%ff€"),
            ("x=%e2%e2%82%ac", "%e2€"),
            ("x=%e2%82%ac%2", "€%2"),
            ("x=%ff%2", "%ff%2"),
            ("x=%ff%%41", "%ff%A"),
            ("x=1;y=2", "1;y=2"),
            ("x=%26%3d", "&="),
        ] {
            assert_eq!(x(query).as_deref(), Some(expected), "{query}");
        }
    }

    #[test]
    fn missing_parameters_are_none() {
        for query in ["", "&", "x%20=1", "?x=1", "y=x", "=1", "xx=1"] {
            assert_eq!(x(query), None, "{query}");
        }
        assert_eq!(value(None, "x"), None);
        assert_eq!(value(Some("&=1"), "").as_deref(), Some("1"));
        assert_eq!(value(Some("&"), ""), None);
    }

    #[test]
    fn names_ignore_case_character_by_character() {
        for (query, key) in [("x+y=1", "X y"), ("%C3%89=1", "é"), ("x+=1", "x "), ("%CF%83=1", "Σ")] {
            assert_eq!(value(Some(query), key).as_deref(), Some("1"), "{query}");
        }
        for (query, key) in [("%C5%BF=1", "s"), ("%E2%84%AA=1", "k"), ("%C3%9F=1", "SS"), ("%C3%89=1", "e")] {
            assert_eq!(value(Some(query), key), None, "{query}");
        }
    }

    #[test]
    fn values_without_escapes_are_borrowed() {
        assert!(matches!(value(Some("a=b&id=abc"), "id"), Some(Cow::Borrowed("abc"))));
    }

    proptest! {
        #[test]
        fn escaped_text_decodes_to_the_original(text in ".{0,20}") {
            let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(x(&format!("x={escaped}")), Some(text));
        }

        #[test]
        fn text_without_valid_escapes_is_preserved(text in "[%a-f0-9é€😀]{0,20}") {
            let valid = unescape_valid(&text);
            if let Ok(decoded) = percent_decode_str(&text).decode_utf8() {
                prop_assert_eq!(valid, decoded);
            } else {
                prop_assert!(valid.contains('%'));
            }
        }
    }
}
