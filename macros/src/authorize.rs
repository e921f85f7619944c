//! `#[authorize]`: rules as data, and the attribute that stands above `#[hub]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, Item, ItemImpl, LitStr, Meta, Result, parse_quote};

use crate::attributes::{is, take};
use crate::errors::Errors;

/// Where rules stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Hub,
    Method,
}

/// Takes the rules off, each as an expression of the type `Authorize`.
pub(crate) fn rules(target: Target, attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Vec<TokenStream> {
    let taken = take(attributes, "authorize");
    taken.iter().filter_map(|attribute| errors.record(rule(target, attribute))).flatten().collect()
}

/// One rule for a policy and one for the roles, since both must hold; `#[authorize]` alone asks for any user. Schemes go with
/// either.
fn rule(target: Target, attribute: &Attribute) -> Result<Vec<TokenStream>> {
    let (mut policy, mut roles, mut schemes): (Option<LitStr>, Option<LitStr>, Option<LitStr>) = (None, None, None);
    match &attribute.meta {
        Meta::Path(_) => {}
        Meta::NameValue(meta) => return Err(Error::new_spanned(meta, EXPECTED)),
        // C#: `[Authorize("DoctorsOnly")]`.
        Meta::List(list) if syn::parse2::<LitStr>(list.tokens.clone()).is_ok() => {
            let message = format!("which policy is named: `#[authorize(policy = {})]`", list.tokens);
            return Err(Error::new_spanned(&list.tokens, message));
        }
        Meta::List(list) => list.parse_nested_meta(|meta| {
            let (slot, blank) = if meta.path.is_ident("policy") {
                (&mut policy, "the policy has no name")
            } else if meta.path.is_ident("roles") {
                (&mut roles, "there is no role in this list: nobody could ever pass")
            } else if meta.path.is_ident("schemes") && target == Target::Method {
                return Err(meta.error(SCHEMES_ON_METHOD));
            } else if meta.path.is_ident("schemes") {
                (&mut schemes, "there is no scheme in this list")
            } else {
                return Err(meta.error(EXPECTED));
            };
            let text: LitStr = meta.value()?.parse()?;
            if text.value().split(',').all(|part| part.trim().is_empty()) {
                return Err(Error::new(text.span(), blank));
            }
            match slot.replace(text) {
                None => Ok(()),
                Some(_) => Err(meta.error("given twice: to ask for both, write two `#[authorize(..)]`")),
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

/// Rules where they cannot be checked.
pub(crate) fn reject(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "authorize") {
        errors.at(attribute, message);
    }
}

/// Takes `#[allow_anonymous]` off the block and says whether it was there. Beside rules it would take them back.
pub(crate) fn allows_anonymous(attributes: &mut Vec<Attribute>, has_rules: bool, errors: &mut Errors) -> bool {
    let taken = take(attributes, "allow_anonymous");
    for attribute in &taken {
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(attribute, "expected `#[allow_anonymous]`");
        } else if has_rules {
            errors.at(attribute, "takes back what `#[authorize]` beside it asks for: keep one of them");
        }
    }
    !taken.is_empty()
}

/// `#[allow_anonymous]` where it has no effect.
pub(crate) fn reject_anonymous(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "allow_anonymous") {
        errors.at(attribute, message);
    }
}

/// The attribute macros of this `name`. Above `#[hub]` one comes first and puts itself below; `#[hub]` reads it there.
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
    let nothing = if name == "authorize" { "protects nothing" } else { "opens nothing" };
    let place = match (name, syn::parse2(item.clone())) {
        (_, Ok(Item::Impl(_))) => "without `#[hub]` on the same impl block",
        ("authorize", Ok(Item::Struct(_) | Item::Enum(_))) => {
            "here: it belongs to the `#[hub]` impl block, or to a method in one"
        }
        ("authorize", _) => "here: it belongs to a method in a `#[hub]` impl block",
        _ => "here: it belongs to the `#[hub]` impl block",
    };
    let message = format!("`#[{name}]` {nothing} {place}");
    let error = Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

const EXPECTED: &str =
    "expected `#[authorize]`, or in its parentheses `policy = \"..\"`, `roles = \"A, B\"`, `schemes = \"A, B\"`";

const SCHEMES_ON_METHOD: &str = "has no effect on a hub method: who calls was found out when the connection was made; \
                                 name schemes on the `#[hub]` block";

/// Why `#[allow_anonymous]` is nothing for a method.
pub(crate) const ANONYMOUS_ON_METHOD: &str = "has no effect on a hub method: who may connect is decided before any call, \
                                              and a method without `#[authorize]` is open to all who are connected";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: Target, attribute: Attribute) -> std::result::Result<Vec<String>, Vec<String>> {
        let mut errors = Errors::default();
        let rules = rules(target, &mut vec![attribute], &mut errors);
        let text = |rule: &TokenStream| rule.to_string().replace(' ', "").replace("::signalr::auth::Authorize::", "");
        if errors.is_empty() { Ok(rules.iter().map(text).collect()) } else { Err(errors.messages()) }
    }

    #[test]
    fn each_part_is_a_rule_of_its_own() {
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
            assert_eq!(read(Target::Hub, attribute), Ok(rules.iter().map(ToString::to_string).collect()));
        }
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        let cases: [(Attribute, &str); 9] = [
            (parse_quote!(#[authorize(roles = "")]), "there is no role in this list: nobody could ever pass"),
            (parse_quote!(#[authorize(roles = " , ")]), "there is no role in this list: nobody could ever pass"),
            (parse_quote!(#[authorize(policy = " ")]), "the policy has no name"),
            (parse_quote!(#[authorize(schemes = "S")]), SCHEMES_ON_METHOD),
            (parse_quote!(#[authorize(policy = "P", schemes = "")]), SCHEMES_ON_METHOD),
            (parse_quote!(#[authorize("Staff")]), "which policy is named: `#[authorize(policy = \"Staff\")]`"),
            (parse_quote!(#[authorize(role = "A")]), EXPECTED),
            (parse_quote!(#[authorize = "A"]), EXPECTED),
            (
                parse_quote!(#[authorize(policy = "A", policy = "B")]),
                "given twice: to ask for both, write two `#[authorize(..)]`",
            ),
        ];
        for (attribute, message) in cases {
            assert_eq!(read(Target::Method, attribute), Err(vec![message.to_owned()]));
        }
        let no_scheme = read(Target::Hub, parse_quote!(#[authorize(schemes = " ")]));
        assert_eq!(no_scheme, Err(vec!["there is no scheme in this list".to_owned()]));
    }

    #[test]
    fn above_hub_it_moves_below() {
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
    fn without_hub_it_is_refused() {
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
            for (name, words) in [("authorize", "protects nothing"), ("allow_anonymous", "opens nothing")] {
                let refused = attribute(name, &TokenStream::new(), &item).to_string();
                assert!(refused.contains(words), "{refused}");
                assert!(refused.ends_with(&item.to_string()), "the item is kept: {refused}");
            }
        }
    }
}
