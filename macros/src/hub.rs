//! `#[hub]`: an impl block, and the registration of its methods.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Error, Expr, ExprPath, ImplItem, Item, ItemImpl, Lit, Type};

use crate::attributes::{conditions, take};
use crate::authorize::{self, RuleTarget};
use crate::errors::Errors;
use crate::hooks::Hook;
use crate::method::{register, span_of};
use crate::names::MethodNames;

/// Options in the parentheses of `#[hub(..)]`.
#[derive(Default)]
struct Options {
    client: Option<Type>,
    items: Option<Type>,
    include: Vec<ExprPath>,
    attributes: Vec<Expr>,
}

pub(crate) fn expand(arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut block = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            // Another valid item is a misplaced attribute. Otherwise the impl block has a syntax
            // error.
            return match syn::parse2::<Item>(item.clone()) {
                Ok(_) => reject(Error::new(Span::call_site(), ON_IMPL), item),
                Err(_) => error.into_compile_error(),
            };
        }
    };
    if let Some((_, path, _)) = &block.trait_ {
        return reject(Error::new_spanned(path, ON_IMPL), item);
    }
    let mut errors = Errors::default();
    let options = errors.record(Options::parse(arguments)).unwrap_or_default();
    let implementation = implement(&options, &mut block, &mut errors);
    let errors = errors.into_tokens();
    quote!(#block #implementation #errors)
}

impl Options {
    fn parse(arguments: TokenStream) -> syn::Result<Self> {
        if let Ok(text) = syn::parse2::<Lit>(arguments.clone()) {
            return Err(Error::new(text.span(), EXPECTED));
        }
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("include") {
                options.include.push(meta.value()?.parse()?);
                return Ok(());
            }
            if meta.path.is_ident("attribute") {
                options.attributes.push(meta.value()?.parse()?);
                return Ok(());
            }
            let slot = if meta.path.is_ident("client") {
                &mut options.client
            } else if meta.path.is_ident("items") {
                &mut options.items
            } else if meta.path.is_ident("name") {
                return Err(meta.error("a hub has no name: clients connect to its path"));
            } else {
                return Err(meta.error(EXPECTED));
            };
            match slot.replace(meta.value()?.parse()?) {
                None => Ok(()),
                Some(_) => Err(meta.error("duplicate option")),
            }
        });
        parser.parse2(arguments)?;
        Ok(options)
    }
}

/// Removes our attributes from the block and returns the implementation of `Hub`.
fn implement(options: &Options, block: &mut ItemImpl, errors: &mut Errors) -> TokenStream {
    let rules = authorize::rules(RuleTarget::Hub, &mut block.attrs, errors);
    let anonymous = authorize::allows_anonymous(&mut block.attrs, !rules.is_empty(), errors);
    let anonymous = anonymous.then(|| {
        quote!(
            fn allow_anonymous() -> bool {
                true
            }
        )
    });
    for attribute in take(&mut block.attrs, "hub") {
        errors.at(attribute, "duplicate `#[hub]`: an impl block is one hub");
    }
    let (mut names, mut registrations, mut hooks) = (MethodNames::default(), Vec::new(), Vec::new());
    for item in &mut block.items {
        match item {
            ImplItem::Fn(method) => match Hook::named(&method.sig.ident.unraw().to_string()) {
                Some(hook) => hooks.push(hook.forward(method, errors)),
                None => registrations.push(register(method, &mut names, errors)),
            },
            other => errors.at(
                other,
                "a `#[hub]` block contains only methods; move other items to an impl block without `#[hub]`",
            ),
        }
    }

    let span = span_of(&block.impl_token);
    let conditions = conditions(&block.attrs);
    let (generics, _, bounds) = block.generics.split_for_impl();
    let hub = &block.self_ty;
    let client = options.client.as_ref().map_or_else(|| quote!(::signalr::hub::AnyClient), |client| quote!(#client));
    let items = options.items.as_ref().map_or_else(|| quote!(()), |items| quote!(#items));
    let (include, attributes) = (&options.include, &options.attributes);
    quote_spanned! {span=>
        #(#conditions)*
        #[automatically_derived]
        impl #generics ::signalr::Hub for #hub #bounds {
            type Client = #client;
            type Items = #items;

            fn authorize() -> ::std::vec::Vec<::signalr::auth::Authorize> {
                ::std::vec![#(#rules),*]
            }

            #anonymous

            // Not every hub uses all of these, and deprecated methods are registered, too.
            #[allow(deprecated, unused_imports, unused_variables)]
            fn methods(methods: &mut ::signalr::hub::Methods<Self>) {
                use ::signalr::__private::{ResultReturn as _, ValueReturn as _};
                #(methods.attribute(#attributes);)*
                #(methods.include(#include);)*
                #(#registrations)*
            }

            #(#hooks)*
        }
    }
}

fn reject(error: Error, item: &TokenStream) -> TokenStream {
    let error = error.into_compile_error();
    quote!(#error #item)
}

const EXPECTED: &str = "expected `client = ..`, `items = ..`, `include = ..` or `attribute = ..`";

const ON_IMPL: &str = "`#[hub]` goes on an inherent impl block: `impl MyHub { .. }`";

#[cfg(test)]
mod tests {
    use syn::File;

    use super::*;

    fn expanded(arguments: TokenStream, item: &TokenStream) -> String {
        let tokens = expand(arguments, item);
        syn::parse2::<File>(tokens.clone()).expect("the expansion parses");
        tokens.to_string().replace(' ', "")
    }

    #[test]
    fn block_is_emitted_without_our_attributes() {
        let block = quote! {
            #[authorize(policy = "P")]
            impl<R: Wards> Dashboard<R> where R: Clone {
                /// Documentation.
                #[cfg(unix)]
                #[authorize]
                #[hub(name = "X")]
                #[inline]
                async fn a(&self) {}
            }
        };
        let shape = crate::method::allow_hub_lints();
        let emitted = quote! {
            impl<R: Wards> Dashboard<R> where R: Clone {
                #shape
                /// Documentation.
                #[cfg(unix)]
                #[inline]
                async fn a(&self) {}
            }
        };
        let (text, emitted) = (expanded(TokenStream::new(), &block), emitted.to_string().replace(' ', ""));
        assert!(text.starts_with(&emitted), "{text}");
    }

    #[test]
    fn implementation_has_generics_options_and_rules() {
        let text = expanded(
            quote!(client = C, items = Mutex<S>, include = one, include = two::<Self>, attribute = Ward(7)),
            &quote! {
                #[authorize(roles = "A")]
                impl<R: Wards> Dashboard<R> where R: Clone {
                    #[cfg(unix)]
                    #[authorize(policy = "P")]
                    #[hub(attribute = Danger(9))]
                    fn a_b(&self, x: u8, caller: &Caller<Self>) -> u8 {}
                }
            },
        );
        for part in [
            "impl<R:Wards>::signalr::HubforDashboard<R>whereR:Clone{typeClient=C;typeItems=Mutex<S>;",
            "::std::vec![::signalr::auth::Authorize::roles(\"A\")]",
            "methods.attribute(Ward(7));methods.include(one);methods.include(two::<Self>);",
            "#[cfg(unix)]{::signalr::__private::is_param::<u8>();methods.insert(\"AB\",|invocation,arguments|",
            "Self::a_b(hub,argument_0,",
            ".authorize(::signalr::auth::Authorize::policy(\"P\")).attribute(Danger(9));",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn methods_that_return_streams_are_registered_as_such() {
        let text = expanded(
            TokenStream::new(),
            &quote! {
                impl Chat {
                    fn plain(&self) -> impl Stream<Item = u8> {}
                    async fn later(&self, mut up: UploadStream<u8>) -> HubResult<impl Stream<Item = HubResult<u8>>> {}
                    fn none(&self) -> HubResult<Option<impl Stream<Item = u8>>> {}
                    fn boxed(&self) -> BoxStream<'_, u8> {}
                }
            },
        );
        assert_eq!(text.matches("methods.insert_stream(").count(), 3, "{text}");
        assert_eq!(text.matches("items.send(value,").count(), 3);
        assert_eq!(text.matches("__private::no_stream()").count(), 1);
        assert_eq!(text.matches("::core::compile_error!").count(), 1);
    }

    #[test]
    fn all_errors_are_reported_and_valid_methods_are_registered() {
        let text = expanded(
            quote!(rooms = 7),
            &quote! {
                impl Chat {
                    const X: u8 = 1;
                    fn sound(&self) {}
                    fn borrows(&self, text: &str, (a, b): (u8, u8)) {}
                    fn generic<T>(self) {}
                    #[authorize(roles = "")]
                    fn on_connected(&self, a: u8, b: u8) {}
                }
            },
        );
        assert_eq!(text.matches("::core::compile_error!").count(), 8, "{text}");
        assert_eq!(text.matches("methods.insert(\"Sound\"").count(), 1);
        assert_eq!(text.matches("methods.insert").count(), 1);
    }

    #[test]
    fn hooks_are_forwarded_and_never_registered() {
        let text = expanded(
            TokenStream::new(),
            &quote! {
                impl Chat {
                    fn on_connected(&self) {}
                    async fn on_disconnected(&self, c: &Caller<Self>, r: Option<&DisconnectReason>) -> HubResult {}
                }
            },
        );
        assert!(text.contains("letvalue=Self::on_connected(self,);"), "{text}");
        assert!(text.contains("letvalue=Self::on_disconnected(self,caller,reason).await;"), "{text}");
        assert!(!text.contains("methods.insert"));
    }
}
