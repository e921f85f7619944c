//! `#[hub_client]`: turns a client contract into a struct whose methods invoke clients.

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

/// Rejects parts of a trait that a contract cannot have.
fn check(contract: &ItemTrait, errors: &mut Errors) {
    if !contract.generics.params.is_empty() {
        errors.at(&contract.generics, "a client contract cannot be generic");
    }
    if let Some(bounds) = &contract.generics.where_clause {
        errors.at(bounds, "a client contract cannot have a `where` clause");
    }
    if !contract.supertraits.is_empty() {
        errors.at(&contract.supertraits, "a client contract cannot have supertraits: declare all methods in one trait");
    }
    if let Some(token) = &contract.unsafety {
        errors.at(token, "a client contract cannot be unsafe");
    }
}

fn structure(contract: ItemTrait, errors: &mut Errors) -> TokenStream {
    let (vis, name, span) = (&contract.vis, &contract.ident, span_of(&contract.ident));
    let attributes = &contract.attrs;
    let docs = missing_docs(attributes, "Methods that the clients of a hub implement.");
    let text = name.to_string();
    let mut names = MethodNames::default();
    let methods = contract.items.into_iter().map(|item| match item {
        TraitItem::Fn(method) => Some(method),
        other => {
            errors.at(other, "a client contract contains only methods");
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
            // Only a single client can return a client result.
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

        // A contract lists all methods of the clients, also those that this program does not call.
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

/// Returns the function that invokes one client method; empty after an error.
fn call(vis: &Visibility, mut method: TraitItemFn, names: &mut MethodNames, errors: &mut Errors) -> TokenStream {
    let mut problems = Errors::default();
    let name = wire_name(&method.sig.ident, &mut method.attrs, &mut problems);
    names.add("client method", &name, &method.attrs, &mut problems);
    authorize::reject(&mut method.attrs, "has no effect on a client method: only the server calls it", &mut problems);
    check_qualifiers("a method of a client contract", &method.sig, &mut problems);
    if let Some(body) = &method.default {
        problems.at(body, "methods of a client contract have no body: clients implement them");
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
    "\n# Errors\n\nFails if an argument cannot be encoded; see [`Proxy::send`](::signalr::hub::Proxy::send).";
const INVOKE_ERRORS: &str =
    "\n# Errors\n\nFails if the client returns no result; see [`Proxy::invoke`](::signalr::hub::Proxy::invoke).";

/// Rejects types that cannot be client results.
fn check_result(output: &ReturnType, errors: &mut Errors) {
    let ReturnType::Type(_, output) = output else { return };
    match &**output {
        Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident.to_string().ends_with("Result")) =>
        {
            errors.at(output, "write the type of the client result without `Result`: the generated method adds it");
        }
        output => reject_borrows(output, errors),
    }
}

/// Documentation for items that have none.
fn missing_docs(attributes: &[Attribute], text: &str) -> Option<TokenStream> {
    (!attributes.iter().any(|attribute| is(attribute, "doc"))).then(|| quote!(#[doc = #text]))
}

const ON_TRAIT: &str = "`#[hub_client]` goes on a trait: `trait MyClient { fn toast(&self, text: &str); }`";

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(item: &TokenStream) -> String {
        let tokens = expand(&TokenStream::new(), item);
        syn::parse2::<syn::File>(tokens.clone()).expect("the expansion parses");
        tokens.to_string().replace(' ', "")
    }

    #[test]
    fn methods_have_the_visibility_of_the_contract() {
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
    fn arguments_are_sent_in_order_with_the_method_name() {
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
    fn methods_with_client_results_exist_for_single_clients_only() {
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
    fn documentation_is_kept_or_generated() {
        let text = expanded(&quote! {
            /// Contract.
            trait C {
                /// Method.
                fn a(&self);
                #[doc(hidden)]
                fn b(&self);
                fn c(&self);
            }
        });
        assert_eq!(text.matches("Methodsthattheclients").count(), 0);
        assert_eq!(
            text.matches("#[doc=r\"Method.\"]").count() + text.matches("#[doc=\"Method.\"]").count(),
            1,
            "{text}"
        );
        assert_eq!(text.matches("#[doc=\"Calls`").count(), 1);
        assert!(text.contains("#[doc=\"Calls`C`.\"]"), "{text}");
    }

    #[test]
    fn all_errors_are_reported_and_valid_methods_are_kept() {
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
