//! One method of a hub, and its line in the list.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, ImplItemFn, ReturnType, parse_quote};

use crate::attributes::conditions;
use crate::authorize::{self, On};
use crate::errors::Errors;
use crate::names::{Names, name_and_attributes};
use crate::signature::{Answer, Parameter, output, parameters, qualifiers};

/// Takes our attributes off `method` and returns the statement that registers it; nothing if it cannot be.
pub(crate) fn register(method: &mut ImplItemFn, names: &mut Names, errors: &mut Errors) -> TokenStream {
    let mut problems = Errors::default();
    let (name, said) = name_and_attributes(&method.sig.ident, &mut method.attrs, &mut problems);
    let rules = authorize::rules(On::Method, &mut method.attrs, &mut problems);
    authorize::refuse_anonymous(&mut method.attrs, authorize::ANONYMOUS_ON_METHOD, &mut problems);
    names.add("hub method", &name, &method.attrs, &mut problems);
    qualifiers("a hub method", &method.sig, &mut problems);
    let answer = output(&method.sig, &mut problems);
    let parameters = parameters(&method.sig, &mut problems);
    let valid = problems.is_empty();
    errors.append(problems);
    if !valid {
        return TokenStream::new();
    }

    let (function, here) = (&method.sig.ident, place(&method.sig.ident));
    let (mut types, mut values, mut arguments, mut checks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // `caller` is `_` where nobody asks for it.
    let mut caller = quote_spanned!(here=> _);
    for parameter in &parameters {
        match parameter {
            Parameter::Caller(ty) => {
                caller = quote_spanned!(here=> caller);
                arguments.push(quote_spanned!(place(ty)=> ::signalr::__private::caller::<Self, #ty>(caller)));
            }
            Parameter::Wire(ty) => {
                let value = format_ident!("argument_{}", values.len(), span = here);
                checks.push(quote_spanned!(place(ty)=> ::signalr::__private::is_param::<#ty>();));
                arguments.push(quote_spanned!(here=> #value));
                values.push(value);
                types.push(ty);
            }
        }
    }
    let wait = method.sig.asyncness.map(|_| quote_spanned!(here=> .await));
    let settled = settle(&method.sig.output, here);
    let returned = returned(&method.sig.output, here);
    let call = quote_spanned! {here=>
        let (hub, #caller) = ::signalr::__private::parts::<Self>(&invocation);
        let value = Self::#function(hub, #(#arguments),*) #wait;
        let value = #settled;
    };
    let (insert, call) = match answer {
        Answer::Value => {
            let reply = quote_spanned!(returned=> ::signalr::__private::reply(&invocation, &value));
            let run = quote_spanned!(here=> |invocation, (#(#values,)*)| async move { #call #reply });
            (quote!(insert), quote_spanned!(here=> call(invocation, opened, #run)))
        }
        Answer::Stream | Answer::MaybeStream => {
            let some = (answer == Answer::MaybeStream).then(|| {
                quote_spanned!(here=> let ::core::option::Option::Some(value) = value else {
                    return ::signalr::__private::no_stream();
                };)
            });
            let item = quote_spanned!(returned=> (&mut ::signalr::__private::MethodReturn(::core::option::Option::Some(item))).take_result());
            let send = quote_spanned!(returned=> items.send(value, |item| #item).await);
            let run = quote_spanned! {here=>
                |invocation, (#(#values,)*), items| async move { #call #some #send }
            };
            (quote!(insert_stream), quote_spanned!(here=> stream(invocation, opened, #run)))
        }
    };
    let conditions = conditions(&method.attrs);
    let registration = quote_spanned! {here=>
        #(#conditions)*
        {
            #(#checks)*
            methods.#insert(#name, |invocation, arguments| {
                let opened = ::signalr::__private::bind_arguments::<(#(#types,)*)>(&arguments)?;
                ::core::result::Result::Ok(::signalr::__private::#call)
            }) #(.authorize(#rules))* #(.attribute(#said))*;
        }
    };
    method.attrs.insert(0, our_shape());
    registration
}

/// What `#[hub]` asks for is no fault of the method. To be put first, so that the method's own attributes win.
pub(crate) fn our_shape() -> Attribute {
    parse_quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_self, reason = "the shape of a hub method")]
    }
}

/// `value`, or what is in it if it is a result.
pub(crate) fn settle(output: &ReturnType, here: Span) -> TokenStream {
    let returned = returned(output, here);
    quote_spanned! {returned=>
        (&mut ::signalr::__private::MethodReturn(::core::option::Option::Some(value))).take_result()?
    }
}

/// Where a problem with what is returned is shown.
fn returned(output: &ReturnType, here: Span) -> Span {
    match output {
        ReturnType::Default => here,
        ReturnType::Type(_, ty) => place(&**ty),
    }
}

/// The place of `tokens`, for code that is ours: its variables are not those of the hub's author.
pub(crate) fn place(tokens: &(impl Spanned + ?Sized)) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}
