//! `#[hub_client]`: from a contract to the struct that calls.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Error, Item, ItemTrait, ReturnType, TraitItem, TraitItemFn, Type, Visibility};

use crate::attributes::is;
use crate::authorize;
use crate::errors::Errors;
use crate::method::span_of;
use crate::names::{MethodNames, wire_name};
use crate::signature::{check_qualifiers, contract_parameters, reject_borrows};

pub(crate) fn expand(arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    let contract = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(contract) => contract,
        Err(error) => {
            return match syn::parse2::<Item>(item.clone()) {
                Ok(_) => {
                    let error = Error::new(Span::call_site(), ON_TRAIT).into_compile_error();
                    quote!(#error #item)
                }
                Err(_) => error.into_compile_error(),
            };
        }
    };
    let mut errors = Errors::default();
    if !arguments.is_empty() {
        errors.at(arguments, "`#[hub_client]` takes no arguments");
    }
    check(&contract, &mut errors);
    let tokens = structure(contract, &mut errors);
    let errors = errors.into_tokens();
    quote!(#tokens #errors)
}

/// What a trait may have and a contract may not.
fn check(contract: &ItemTrait, errors: &mut Errors) {
    if !contract.generics.params.is_empty() {
        errors.at(&contract.generics, "a client contract cannot be generic: a hub has one");
    }
    if let Some(bounds) = &contract.generics.where_clause {
        errors.at(bounds, "a client contract has no bounds");
    }
    if !contract.supertraits.is_empty() {
        errors.at(&contract.supertraits, "a client contract stands alone: list all methods in one");
    }
    if let Some(token) = &contract.unsafety {
        errors.at(token, "a client contract is never unsafe");
    }
}

fn structure(contract: ItemTrait, errors: &mut Errors) -> TokenStream {
    let (vis, name, span) = (&contract.vis, &contract.ident, span_of(&contract.ident));
    let attributes = &contract.attrs;
    let docs = missing_docs(attributes, "What the clients of a hub offer to the server.");
    let text = name.to_string();
    let mut names = MethodNames::default();
    let methods = contract.items.into_iter().map(|item| match item {
        TraitItem::Fn(method) => Some(method),
        other => {
            errors.at(other, "a client contract holds methods only");
            None
        }
    });
    let methods = methods.collect::<Vec<_>>();
    let (sends, invokes): (Vec<_>, Vec<_>) =
        methods.into_iter().flatten().partition(|method| matches!(method.sig.output, ReturnType::Default));
    let sends: Vec<_> = sends.into_iter().map(|method| call(vis, method, &mut names, errors)).collect();
    let invokes: Vec<_> = invokes.into_iter().map(|method| call(vis, method, &mut names, errors)).collect();
    let invokes = (!invokes.is_empty()).then(|| {
        quote_spanned! {span=>
            // Many clients would have many answers.
            #[allow(dead_code)]
            impl #name<::signalr::hub::Single> {
                #(#invokes)*
            }
        }
    });
    quote_spanned! {span=>
        #(#attributes)*
        #docs
        #vis struct #name<T = ::signalr::hub::Many>(::signalr::hub::Proxy<T>);

        // A contract says what clients offer, not what this program asks of them.
        #[allow(dead_code)]
        impl<T> #name<T> {
            #(#sends)*
        }

        #invokes

        #[automatically_derived]
        impl ::signalr::HubClient for #name {
            type Proxy<T> = #name<T>;
        }

        #[automatically_derived]
        impl<T> ::core::convert::From<::signalr::hub::Proxy<T>> for #name<T> {
            fn from(proxy: ::signalr::hub::Proxy<T>) -> Self {
                Self(proxy)
            }
        }

        #[automatically_derived]
        impl<T> ::core::ops::Deref for #name<T> {
            type Target = ::signalr::hub::Proxy<T>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        #[automatically_derived]
        impl<T> ::core::fmt::Debug for #name<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_tuple(#text).field(&self.0).finish()
            }
        }
    }
}

/// The function that calls one method; nothing if it cannot be.
fn call(vis: &Visibility, mut method: TraitItemFn, names: &mut MethodNames, errors: &mut Errors) -> TokenStream {
    let mut problems = Errors::default();
    let name = wire_name(&method.sig.ident, &mut method.attrs, &mut problems);
    names.add("client method", &name, &method.attrs, &mut problems);
    authorize::reject(&mut method.attrs, "has no effect: the server calls this", &mut problems);
    check_qualifiers("a method of a client contract", &method.sig, &mut problems);
    if let Some(body) = &method.default {
        problems.at(body, "a client contract has no bodies: they are in the client");
    }
    check_result(&method.sig.output, &mut problems);
    let (parameters, types): (Vec<_>, Vec<_>) = contract_parameters(&method.sig, &mut problems).into_iter().unzip();
    let valid = problems.is_empty();
    errors.append(problems);
    if !valid {
        return TokenStream::new();
    }
    let (function, span) = (&method.sig.ident, span_of(&method.sig.ident));
    let (generics, _, bounds) = method.sig.generics.split_for_impl();
    let attributes = &method.attrs;
    let docs = missing_docs(attributes, &format!("Calls `{}`.", name.value()));
    let (output, error, call, errors) = match &method.sig.output {
        ReturnType::Default => (quote!(()), quote!(hub::SendError), quote!(send), SEND_ERRORS),
        ReturnType::Type(_, output) => (quote!(#output), quote!(hub::InvokeError), quote!(invoke), INVOKE_ERRORS),
    };
    quote_spanned! {span=>
        #(#attributes)*
        #docs
        #[doc = #errors]
        #vis async fn #function #generics(
            &self,
            #(#parameters: #types),*
        ) -> ::core::result::Result<#output, ::signalr::#error> #bounds {
            self.0.#call(#name, (#(#parameters,)*)).await
        }
    }
}

const SEND_ERRORS: &str =
    "\n# Errors\n\nWhen an argument cannot be encoded; see [`Proxy::send`](::signalr::hub::Proxy::send).";
const INVOKE_ERRORS: &str =
    "\n# Errors\n\nWhen the client gives no answer; see [`Proxy::invoke`](::signalr::hub::Proxy::invoke).";

/// What a client cannot answer.
fn check_result(output: &ReturnType, errors: &mut Errors) {
    let ReturnType::Type(_, output) = output else { return };
    match &**output {
        Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")) =>
        {
            errors.at(output, "what a client answers is written alone: who calls it gets a `Result` of it");
        }
        output => reject_borrows(output, errors),
    }
}

/// Something to read where the contract's author wrote nothing.
fn missing_docs(attributes: &[Attribute], text: &str) -> Option<TokenStream> {
    (!attributes.iter().any(|attribute| is(attribute, "doc"))).then(|| quote!(#[doc = #text]))
}

const ON_TRAIT: &str = "`#[hub_client]` goes on a trait: `trait MyClient { fn toast(&self, text: &str); }`";

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(item: &TokenStream) -> String {
        let tokens = expand(&TokenStream::new(), item);
        syn::parse2::<syn::File>(tokens.clone()).expect("what is written parses");
        tokens.to_string().replace(' ', "")
    }

    #[test]
    fn methods_are_as_visible_as_the_contract() {
        for (contract, function) in [
            (
                quote!(
                    pub trait C {
                        fn a(&self);
                    }
                ),
                "pubasyncfna(&self,)",
            ),
            (
                quote!(
                    pub(crate) trait C {
                        fn a(&self);
                    }
                ),
                "pub(crate)asyncfna(&self,)",
            ),
            (
                quote!(
                    trait C {
                        async fn a(&self);
                    }
                ),
                "]asyncfna(&self,)",
            ),
        ] {
            let text = expanded(&contract);
            assert!(text.contains(function), "{text}");
        }
    }

    #[test]
    fn arguments_go_out_in_order_under_the_name() {
        let text = expanded(&quote!(
            trait C {
                #[hub(name = "zZ")]
                fn a_b(&self, x: &str, y: Vec<u8>);
            }
        ));
        assert!(text.contains("(&self,x:&str,y:Vec<u8>)->"), "{text}");
        assert!(text.contains("self.0.send(\"zZ\",(x,y,)).await"), "{text}");
    }

    #[test]
    fn methods_that_return_ask_one_client_alone() {
        let text = expanded(&quote!(
            trait C {
                fn tells(&self);
                fn asks(&self, x: &str) -> Vec<u8>;
            }
        ));
        let (many, one) = text.split_once("implC<::signalr::hub::Single>{").expect("has both kinds");
        assert!(many.contains("fntells(") && one.contains("fnasks(&self,x:&str)"), "{text}");
        assert!(one.contains(
            "->::core::result::Result<Vec<u8>,::signalr::hub::InvokeError>{self.0.invoke(\"Asks\",(x,)).await}"
        ));
    }

    #[test]
    fn documentation_is_kept_or_supplied() {
        let text = expanded(&quote! {
            /// Offered.
            trait C {
                /// Said.
                fn a(&self);
                #[doc(hidden)]
                fn b(&self);
                fn c(&self);
            }
        });
        assert_eq!(text.matches("Whattheclients").count(), 0);
        assert_eq!(text.matches("#[doc=r\"Said.\"]").count() + text.matches("#[doc=\"Said.\"]").count(), 1, "{text}");
        assert_eq!(text.matches("#[doc=\"Calls`").count(), 1);
        assert!(text.contains("#[doc=\"Calls`C`.\"]"), "{text}");
    }

    #[test]
    fn every_problem_is_told_and_sound_methods_are_kept() {
        let text = expanded(&quote! {
            trait C<T>: Send where T: Copy {
                const X: u8;
                fn sound(&self);
                fn generic<V>(self, _: u8, v: impl Send) -> Result<bool, ()> {}
            }
        });
        assert_eq!(text.matches("::core::compile_error!").count(), 10, "{text}");
        assert_eq!(text.matches("self.0.send").count(), 1);
    }
}
