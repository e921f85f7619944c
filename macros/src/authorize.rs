//! `#[authorize]` and `#[allow_anonymous]`: rules as data, and the attribute macros themselves.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, Item, ItemImpl, LitStr, Meta, Result, parse_quote};

use crate::attributes::{is, take};
use crate::errors::Errors;

/// Item with rules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleTarget {
    Hub,
    Method,
}

/// Removes the rules and returns each as an expression of type `Authorize`.
pub(crate) fn rules(target: RuleTarget, attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Vec<TokenStream> {
    let taken = take(attributes, "authorize");
    taken.iter().filter_map(|attribute| errors.record(rule(target, attribute))).flatten().collect()
}

/// Returns one rule for a policy and one for roles, since both must be met; `#[authorize]` alone
/// requires an authenticated user. Schemes belong to the first of them.
fn rule(target: RuleTarget, attribute: &Attribute) -> Result<Vec<TokenStream>> {
    let (mut policy, mut roles, mut schemes): (Option<LitStr>, Option<LitStr>, Option<LitStr>) = (None, None, None);
    match &attribute.meta {
        Meta::Path(_) => {}
        Meta::NameValue(meta) => return Err(Error::new_spanned(meta, EXPECTED)),
        // C#: `[Authorize("DoctorsOnly")]`.
        Meta::List(list) if syn::parse2::<LitStr>(list.tokens.clone()).is_ok() => {
            let message = format!("expected `#[authorize(policy = {})]`", list.tokens);
            return Err(Error::new_spanned(&list.tokens, message));
        }
        Meta::List(list) => list.parse_nested_meta(|meta| {
            let (slot, blank) = if meta.path.is_ident("policy") {
                (&mut policy, "empty policy name")
            } else if meta.path.is_ident("roles") {
                (&mut roles, "empty list of roles: access would always be denied")
            } else if meta.path.is_ident("schemes") && target == RuleTarget::Method {
                return Err(meta.error(SCHEMES_ON_METHOD));
            } else if meta.path.is_ident("schemes") {
                (&mut schemes, "empty list of schemes")
            } else {
                return Err(meta.error(EXPECTED));
            };
            let text: LitStr = meta.value()?.parse()?;
            if text.value().split(',').all(|part| part.trim().is_empty()) {
                return Err(Error::new(text.span(), blank));
            }
            match slot.replace(text) {
                None => Ok(()),
                Some(_) => Err(meta.error("duplicate option: to require both, write two `#[authorize(..)]`")),
            }
        })?,
    }
    let span = attribute.path().span().resolved_at(Span::mixed_site());
    let mut rules = Vec::new();
    if let Some(policy) = policy {
        rules.push(quote_spanned!(span=> ::signalr::auth::Authorize::policy(#policy)));
    }
    if let Some(roles) = roles {
        rules.push(quote_spanned!(span=> ::signalr::auth::Authorize::roles(#roles)));
    }
    if rules.is_empty() {
        rules.push(quote_spanned!(span=> ::signalr::auth::Authorize::user()));
    }
    if let (Some(schemes), Some(rule)) = (schemes, rules.first_mut()) {
        *rule = quote_spanned!(span=> #rule.schemes(#schemes));
    }
    Ok(rules)
}

/// Rejects rules on an item that cannot have them.
pub(crate) fn reject(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "authorize") {
        errors.at(attribute, message);
    }
}

/// Removes `#[allow_anonymous]` from the block and returns whether it was present. Together with
/// rules it is an error.
pub(crate) fn allows_anonymous(attributes: &mut Vec<Attribute>, has_rules: bool, errors: &mut Errors) -> bool {
    let taken = take(attributes, "allow_anonymous");
    for attribute in &taken {
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(attribute, "expected `#[allow_anonymous]`");
        } else if has_rules {
            errors.at(attribute, "contradicts `#[authorize]` on the same block: remove one of them");
        }
    }
    !taken.is_empty()
}

/// Rejects `#[allow_anonymous]` on an item where it has no effect.
pub(crate) fn reject_anonymous(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "allow_anonymous") {
        errors.at(attribute, message);
    }
}

/// Expands the attribute macro `name`. Above `#[hub]` it is expanded first and moves itself below,
/// where `#[hub]` reads it.
pub(crate) fn attribute(name: &str, arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) else {
        return misplaced(name, item);
    };
    if !block.attrs.iter().any(|attribute| is(attribute, "hub")) {
        return misplaced(name, item);
    }
    let ident = Ident::new(name, Span::call_site());
    block.attrs.push(match arguments.is_empty() {
        true => parse_quote!(#[::signalr::#ident]),
        false => parse_quote!(#[::signalr::#ident(#arguments)]),
    });
    quote!(#block)
}

fn misplaced(name: &str, item: &TokenStream) -> TokenStream {
    let place = match (name, syn::parse2(item.clone())) {
        (_, Ok(Item::Impl(_))) => "without `#[hub]` on the same impl block",
        ("authorize", Ok(Item::Struct(_) | Item::Enum(_))) => {
            "here: put it on the `#[hub]` impl block, or on a method in one"
        }
        ("authorize", _) => "here: put it on a method in a `#[hub]` impl block",
        _ => "here: put it on the `#[hub]` impl block",
    };
    let message = format!("`#[{name}]` has no effect {place}");
    let error = Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

const EXPECTED: &str =
    "expected `#[authorize]`, or in its parentheses `policy = \"..\"`, `roles = \"A, B\"`, `schemes = \"A, B\"`";

const SCHEMES_ON_METHOD: &str = "has no effect on a hub method: the user is authenticated when the client connects; \
                                 put `schemes` on the `#[hub]` block";

/// Error for `#[allow_anonymous]` on a hub method.
pub(crate) const ANONYMOUS_ON_METHOD: &str = "has no effect on a hub method: access is decided when a client connects, \
                                              and a method without `#[authorize]` is open to all connected clients";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: RuleTarget, attribute: Attribute) -> std::result::Result<Vec<String>, Vec<String>> {
        let mut errors = Errors::default();
        let rules = rules(target, &mut vec![attribute], &mut errors);
        let text = |rule: &TokenStream| rule.to_string().replace(' ', "").replace("::signalr::auth::Authorize::", "");
        if errors.is_empty() { Ok(rules.iter().map(text).collect()) } else { Err(errors.messages()) }
    }

    #[test]
    fn policy_and_roles_become_separate_rules() {
        let cases: [(Attribute, &[&str]); 7] = [
            (parse_quote!(#[authorize]), &["user()"]),
            (parse_quote!(#[authorize()]), &["user()"]),
            (parse_quote!(#[signalr::authorize(policy = "Staff")]), &[r#"policy("Staff")"#]),
            (parse_quote!(#[authorize(roles = "A,B")]), &[r#"roles("A,B")"#]),
            (parse_quote!(#[authorize(roles = "A", policy = "P")]), &[r#"policy("P")"#, r#"roles("A")"#]),
            (parse_quote!(#[authorize(schemes = "S,T")]), &[r#"user().schemes("S,T")"#]),
            (
                parse_quote!(#[authorize(roles = "A", schemes = "S", policy = "P")]),
                &[r#"policy("P").schemes("S")"#, r#"roles("A")"#],
            ),
        ];
        for (attribute, rules) in cases {
            assert_eq!(read(RuleTarget::Hub, attribute), Ok(rules.iter().map(ToString::to_string).collect()));
        }
    }

    #[test]
    fn empty_and_malformed_rules_are_rejected() {
        let cases: [(Attribute, &str); 9] = [
            (parse_quote!(#[authorize(roles = "")]), "empty list of roles: access would always be denied"),
            (parse_quote!(#[authorize(roles = " , ")]), "empty list of roles: access would always be denied"),
            (parse_quote!(#[authorize(policy = " ")]), "empty policy name"),
            (parse_quote!(#[authorize(schemes = "S")]), SCHEMES_ON_METHOD),
            (parse_quote!(#[authorize(policy = "P", schemes = "")]), SCHEMES_ON_METHOD),
            (parse_quote!(#[authorize("Staff")]), "expected `#[authorize(policy = \"Staff\")]`"),
            (parse_quote!(#[authorize(role = "A")]), EXPECTED),
            (parse_quote!(#[authorize = "A"]), EXPECTED),
            (
                parse_quote!(#[authorize(policy = "A", policy = "B")]),
                "duplicate option: to require both, write two `#[authorize(..)]`",
            ),
        ];
        for (attribute, message) in cases {
            assert_eq!(read(RuleTarget::Method, attribute), Err(vec![message.to_owned()]));
        }
        let no_scheme = read(RuleTarget::Hub, parse_quote!(#[authorize(schemes = " ")]));
        assert_eq!(no_scheme, Err(vec!["empty list of schemes".to_owned()]));
    }

    #[test]
    fn attributes_above_hub_move_below_it() {
        let item = quote!(
            #[authorize]
            #[signalr::hub(client = C)]
            #[doc = "x"]
            impl H {
                fn a(&self) {}
            }
        );
        let moved = attribute("authorize", &quote!(policy = "P"), &item);
        let expected = quote! {
            #[authorize]
            #[signalr::hub(client = C)]
            #[doc = "x"]
            #[::signalr::authorize(policy = "P")]
            impl H { fn a(&self) {} }
        };
        assert_eq!(moved.to_string(), expected.to_string());
        let moved = attribute(
            "allow_anonymous",
            &TokenStream::new(),
            &quote!(
                #[hub]
                impl H {}
            ),
        );
        assert_eq!(
            moved.to_string(),
            quote!(
                #[hub]
                #[::signalr::allow_anonymous]
                impl H {}
            )
            .to_string()
        );
    }

    #[test]
    fn attributes_without_hub_are_rejected() {
        for item in [
            quote!(impl H {}),
            quote!(
                struct H;
            ),
            quote!(
                fn f() {}
            ),
            quote!(
                fn f(&self);
            ),
        ] {
            for name in ["authorize", "allow_anonymous"] {
                let expanded = attribute(name, &TokenStream::new(), &item).to_string();
                assert!(expanded.contains(&format!("`#[{name}]` has no effect")), "{expanded}");
                assert!(expanded.ends_with(&item.to_string()), "the item is kept: {expanded}");
            }
        }
    }
}
