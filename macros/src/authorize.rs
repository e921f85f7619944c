//! `#[authorize]`: rules as data, and the attribute that stands above `#[hub]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Item, ItemImpl, LitStr, Meta, Result, parse_quote};

use crate::attributes::{is, take};
use crate::errors::Errors;

/// Takes the rules off, each as an expression of the type `Authorize`.
pub(crate) fn rules(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Vec<TokenStream> {
    let taken = take(attributes, "authorize");
    taken.iter().filter_map(|attribute| errors.keep(rule(attribute))).flatten().collect()
}

/// One rule for a policy and one for the roles, since both must hold; `#[authorize]` alone asks for any user.
fn rule(attribute: &Attribute) -> Result<Vec<TokenStream>> {
    let (mut policy, mut roles): (Option<LitStr>, Option<LitStr>) = (None, None);
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
    let here = attribute.path().span().resolved_at(Span::mixed_site());
    let mut rules = Vec::new();
    if let Some(policy) = policy {
        rules.push(quote_spanned!(here=> ::signalr::auth::Authorize::policy(#policy)));
    }
    if let Some(roles) = roles {
        rules.push(quote_spanned!(here=> ::signalr::auth::Authorize::roles(#roles)));
    }
    if rules.is_empty() {
        rules.push(quote_spanned!(here=> ::signalr::auth::Authorize::user()));
    }
    Ok(rules)
}

/// Rules where they cannot be checked.
pub(crate) fn refuse(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "authorize") {
        errors.at(attribute, message);
    }
}

/// `#[allow_anonymous]`, which nothing could take back.
pub(crate) fn refuse_anonymous(attributes: &mut Vec<Attribute>, message: &str, errors: &mut Errors) {
    for attribute in take(attributes, "allow_anonymous") {
        errors.at(attribute, message);
    }
}

/// The attribute macro. Above `#[hub]` it comes first and puts itself below; `#[hub]` reads it there.
pub(crate) fn attribute(arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(mut block) = syn::parse2::<ItemImpl>(item.clone()) else {
        return misplaced(item);
    };
    if !block.attrs.iter().any(|attribute| is(attribute, "hub")) {
        return misplaced(item);
    }
    block.attrs.push(match arguments.is_empty() {
        true => parse_quote!(#[::signalr::authorize]),
        false => parse_quote!(#[::signalr::authorize(#arguments)]),
    });
    quote!(#block)
}

fn misplaced(item: &TokenStream) -> TokenStream {
    let message = match syn::parse2(item.clone()) {
        Ok(Item::Impl(_)) => "`#[authorize]` protects nothing without `#[hub]` on the same impl block",
        Ok(Item::Struct(_) | Item::Enum(_)) => {
            "`#[authorize]` protects nothing here: it belongs to the `#[hub]` impl block, or to a method in one"
        }
        _ => "`#[authorize]` protects nothing here: it belongs to a method in a `#[hub]` impl block",
    };
    let error = Error::new(Span::call_site(), message).into_compile_error();
    quote!(#error #item)
}

const EXPECTED: &str = "expected `#[authorize]`, `#[authorize(policy = \"..\")]` or `#[authorize(roles = \"A, B\")]`";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attribute: Attribute) -> std::result::Result<Vec<String>, Vec<String>> {
        let mut errors = Errors::default();
        let rules = rules(&mut vec![attribute], &mut errors);
        let text = |rule: &TokenStream| rule.to_string().replace(' ', "").replace("::signalr::auth::Authorize::", "");
        if errors.is_empty() { Ok(rules.iter().map(text).collect()) } else { Err(errors.messages()) }
    }

    #[test]
    fn each_part_is_a_rule_of_its_own() {
        let cases: [(Attribute, &[&str]); 5] = [
            (parse_quote!(#[authorize]), &["user()"]),
            (parse_quote!(#[authorize()]), &["user()"]),
            (parse_quote!(#[signalr::authorize(policy = "Staff")]), &[r#"policy("Staff")"#]),
            (parse_quote!(#[authorize(roles = "A,B")]), &[r#"roles("A,B")"#]),
            (parse_quote!(#[authorize(roles = "A", policy = "P")]), &[r#"policy("P")"#, r#"roles("A")"#]),
        ];
        for (attribute, rules) in cases {
            assert_eq!(read(attribute), Ok(rules.iter().map(ToString::to_string).collect()));
        }
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        let cases: [(Attribute, &str); 7] = [
            (parse_quote!(#[authorize(roles = "")]), "there is no role in this list: nobody could ever pass"),
            (parse_quote!(#[authorize(roles = " , ")]), "there is no role in this list: nobody could ever pass"),
            (parse_quote!(#[authorize(policy = " ")]), "the policy has no name"),
            (parse_quote!(#[authorize("Staff")]), "which policy is named: `#[authorize(policy = \"Staff\")]`"),
            (parse_quote!(#[authorize(role = "A")]), EXPECTED),
            (parse_quote!(#[authorize = "A"]), EXPECTED),
            (
                parse_quote!(#[authorize(policy = "A", policy = "B")]),
                "given twice: to ask for both, write two `#[authorize(..)]`",
            ),
        ];
        for (attribute, message) in cases {
            assert_eq!(read(attribute), Err(vec![message.to_owned()]));
        }
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
        let moved = attribute(&quote!(policy = "P"), &item);
        let expected = quote! {
            #[authorize]
            #[signalr::hub(client = C)]
            #[doc = "x"]
            #[::signalr::authorize(policy = "P")]
            impl H { fn a(&self) {} }
        };
        assert_eq!(moved.to_string(), expected.to_string());
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
            let refused = attribute(&TokenStream::new(), &item).to_string();
            assert!(refused.contains("protects nothing"), "{refused}");
            assert!(refused.ends_with(&item.to_string()), "the item is kept: {refused}");
        }
    }
}
