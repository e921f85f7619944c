//! Method names in the hub protocol.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Attribute, Error, Expr, Lit, LitStr, Meta};

use crate::attributes::{is, take};
use crate::errors::Errors;
use crate::ordinal::upper;

/// Names of the methods so far, to find duplicates. Method names are case-insensitive.
#[derive(Debug, Default)]
pub(crate) struct MethodNames {
    taken: Vec<(String, String)>,
}

impl MethodNames {
    /// Adds the `name` of a `what`, or reports it as a duplicate.
    ///
    /// Methods with `#[cfg(..)]` are not compared, since at most one of them may be compiled.
    pub(crate) fn add(&mut self, what: &str, name: &LitStr, attributes: &[Attribute], errors: &mut Errors) {
        if attributes.iter().any(|attribute| is(attribute, "cfg")) {
            return;
        }
        let text = name.value();
        let key: String = text.chars().map(upper).collect();
        match self.taken.iter().find(|(taken, _)| *taken == key) {
            Some((_, first)) => {
                let message = format!("{what} `{text}` is already defined as `{first}` (names are case-insensitive)");
                errors.push(Error::new(name.span(), message));
            }
            None => self.taken.push((key, text)),
        }
    }
}

/// Returns the protocol name of `function`. Removes `#[hub(name = "..")]`.
pub(crate) fn wire_name(function: &Ident, attributes: &mut Vec<Attribute>, errors: &mut Errors) -> LitStr {
    options(function, attributes, None, errors)
}

/// Returns the protocol name of a hub method and the values of its `#[hub(attribute = ..)]`.
pub(crate) fn name_and_attributes(
    function: &Ident,
    attributes: &mut Vec<Attribute>,
    errors: &mut Errors,
) -> (LitStr, Vec<Expr>) {
    let mut values = Vec::new();
    let name = options(function, attributes, Some(&mut values), errors);
    (name, values)
}

/// `values` is `None` if only a name is allowed.
fn options(
    function: &Ident,
    attributes: &mut Vec<Attribute>,
    mut values: Option<&mut Vec<Expr>>,
    errors: &mut Errors,
) -> LitStr {
    let expected = if values.is_some() { EXPECTED_OF_HUB } else { EXPECTED };
    let mut given: Option<LitStr> = None;
    for attribute in take(attributes, "hub") {
        // `#[hub]` alone, or C#'s `[HubMethodName("Toast")]`.
        if !matches!(&attribute.meta, Meta::List(list) if syn::parse2::<Lit>(list.tokens.clone()).is_err()) {
            errors.at(&attribute, expected);
            continue;
        }
        let mut is_empty = true;
        let parsed = attribute.parse_nested_meta(|meta| {
            is_empty = false;
            if meta.path.is_ident("attribute")
                && let Some(values) = &mut values
            {
                values.push(meta.value()?.parse()?);
                return Ok(());
            }
            if !meta.path.is_ident("name") {
                return Err(meta.error(expected));
            }
            let name: LitStr = meta.value()?.parse()?;
            if name.value().is_empty() {
                return Err(Error::new(name.span(), "the name of a method cannot be empty"));
            }
            if given.replace(name).is_some() {
                return Err(meta.error("duplicate `name`"));
            }
            Ok(())
        });
        match parsed {
            Ok(()) if is_empty => errors.at(&attribute, expected),
            Ok(()) => {}
            Err(error) => errors.push(error),
        }
    }
    given.unwrap_or_else(|| {
        let name = pascal_case(&function.unraw().to_string());
        if name.is_empty() {
            errors
                .at(function, "cannot derive a method name from this identifier: set one with `#[hub(name = \"..\")]`");
        }
        LitStr::new(&name, function.span())
    })
}

const EXPECTED: &str = "expected `#[hub(name = \"..\")]`";

const EXPECTED_OF_HUB: &str = "expected `#[hub(name = \"..\")]` or `#[hub(attribute = ..)]`";

/// Converts `subscribe_to_ward` to `SubscribeToWard`: the first letter of each word becomes upper
/// case, underscores are removed, and nothing else changes.
fn pascal_case(snake: &str) -> String {
    let mut name = String::with_capacity(snake.len());
    for word in snake.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        name.push_str(letters.as_str());
    }
    name
}

#[cfg(test)]
mod tests {
    use quote::format_ident;
    use syn::parse_quote;

    use super::*;

    fn name_of(function: &Ident, mut attributes: Vec<Attribute>) -> Result<String, Vec<String>> {
        let mut errors = Errors::default();
        let name = wire_name(function, &mut attributes, &mut errors);
        assert!(attributes.iter().all(|attribute| !is(attribute, "hub")), "all are removed");
        if errors.is_empty() { Ok(name.value()) } else { Err(errors.messages()) }
    }

    #[test]
    fn words_start_with_capitals() {
        let cases = [
            ("subscribe_to_ward", "SubscribeToWard"),
            ("ping", "Ping"),
            ("upload_ecg", "UploadEcg"),
            ("count_async", "CountAsync"),
            ("_leading__double_", "LeadingDouble"),
            ("ward_7b", "Ward7b"),
            ("getECG", "GetECG"),
            ("über_größe", "ÜberGröße"),
        ];
        for (function, name) in cases {
            assert_eq!(pascal_case(function), name);
        }
    }

    #[test]
    fn raw_identifiers_lose_their_prefix() {
        assert_eq!(name_of(&format_ident!("r#type"), vec![]), Ok("Type".to_owned()));
    }

    #[test]
    fn explicit_names_take_precedence() {
        let given = vec![parse_quote!(#[doc = "x"]), parse_quote!(#[hub(name = "GetECG")])];
        assert_eq!(name_of(&format_ident!("ecg"), given), Ok("GetECG".to_owned()));
        let given = vec![parse_quote!(#[signalr::hub(name = "a b")])];
        assert_eq!(name_of(&format_ident!("ecg"), given), Ok("a b".to_owned()));
    }

    #[test]
    fn invalid_names_are_rejected() {
        let function = format_ident!("ecg");
        let cases: [(Attribute, &str); 7] = [
            (parse_quote!(#[hub]), EXPECTED),
            (parse_quote!(#[hub("A")]), EXPECTED),
            (parse_quote!(#[hub()]), EXPECTED),
            (parse_quote!(#[hub(client = X)]), EXPECTED),
            (parse_quote!(#[hub(name = 7)]), "expected string literal"),
            (parse_quote!(#[hub(name = "")]), "the name of a method cannot be empty"),
            (parse_quote!(#[hub(name = "A", name = "B")]), "duplicate `name`"),
        ];
        for (attribute, message) in cases {
            assert_eq!(name_of(&function, vec![attribute]), Err(vec![message.to_owned()]));
        }
        assert!(name_of(&format_ident!("__"), vec![]).is_err());
    }

    #[test]
    fn attribute_values_are_accepted_on_hub_methods_only() {
        let given = || {
            vec![
                parse_quote!(#[hub(name = "X", attribute = Rate { a: 5, b: [1, 2] })]),
                parse_quote!(#[hub(attribute = f(1, 2))]),
            ]
        };
        let mut errors = Errors::default();
        let (name, values) = name_and_attributes(&format_ident!("ecg"), &mut given(), &mut errors);
        assert!(errors.is_empty());
        assert_eq!(name.value(), "X");
        let expected: [Expr; 2] = [parse_quote!(Rate { a: 5, b: [1, 2] }), parse_quote!(f(1, 2))];
        assert_eq!(values, expected);
        assert_eq!(name_of(&format_ident!("ecg"), given()), Err(vec![EXPECTED.to_owned(); 2]));
        for (wrong, message) in [
            (parse_quote!(#[hub(attribute)]), "expected `=`"),
            (parse_quote!(#[hub(attribute = )]), "unexpected end of input, expected an expression"),
            (parse_quote!(#[hub(rate = 5)]), EXPECTED_OF_HUB),
            (parse_quote!(#[hub()]), EXPECTED_OF_HUB),
        ] {
            let mut errors = Errors::default();
            name_and_attributes(&format_ident!("ecg"), &mut vec![wrong], &mut errors);
            assert_eq!(errors.messages(), [message]);
        }
    }

    #[test]
    fn names_that_differ_in_case_alone_clash() {
        let mut names = MethodNames::default();
        let mut add = |name: &str, attributes: &[Attribute]| {
            let mut errors = Errors::default();
            names.add("hub method", &LitStr::new(name, proc_macro2::Span::call_site()), attributes, &mut errors);
            errors.messages()
        };
        assert!(add("SendMessage", &[]).is_empty());
        assert!(add("SendMessages", &[]).is_empty());
        let clash = "hub method `sendmessage` is already defined as `SendMessage` (names are case-insensitive)";
        assert_eq!(add("sendmessage", &[]), [clash]);
        assert!(add("SENDMESSAGE", &[parse_quote!(#[cfg(windows)])]).is_empty());
        assert!(add("GROẞ", &[]).is_empty(), "ẞ and ß are different letters");
        assert!(add("groß", &[]).is_empty());
        assert!(add("\u{17f}endMessage", &[]).is_empty(), "the server distinguishes these two, too");
    }
}
