//! One hub method, and the statement that registers it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, ImplItemFn, ReturnType, parse_quote};

use crate::attributes::conditions;
use crate::authorize::{self, RuleTarget};
use crate::errors::Errors;
use crate::names::{MethodNames, name_and_attributes};
use crate::signature::{Parameter, ReturnKind, check_qualifiers, output, parameters};

/// Removes our attributes from `method` and returns the statement that registers it; empty after an
/// error.
pub(crate) fn register(method: &mut ImplItemFn, names: &mut MethodNames, errors: &mut Errors) -> TokenStream {
    let mut problems = Errors::default();
    let (name, attributes) = name_and_attributes(&method.sig.ident, &mut method.attrs, &mut problems);
    let rules = authorize::rules(RuleTarget::Method, &mut method.attrs, &mut problems);
    authorize::reject_anonymous(&mut method.attrs, authorize::ANONYMOUS_ON_METHOD, &mut problems);
    names.add("hub method", &name, &method.attrs, &mut problems);
    check_qualifiers("a hub method", &method.sig, &mut problems);
    let kind = output(&method.sig, &mut problems);
    let parameters = parameters(&method.sig, &mut problems);
    let valid = problems.is_empty();
    errors.append(problems);
    if !valid {
        return TokenStream::new();
    }

    let (function, span) = (&method.sig.ident, span_of(&method.sig.ident));
    let (mut types, mut values, mut arguments, mut checks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // `_` if no parameter is the caller.
    let mut caller = quote_spanned!(span=> _);
    for parameter in &parameters {
        match parameter {
            Parameter::Caller(ty) => {
                caller = quote_spanned!(span=> caller);
                arguments.push(quote_spanned!(span_of(ty)=> ::signalr::__private::caller::<Self, #ty>(caller)));
            }
            Parameter::Wire(ty) => {
                let value = format_ident!("argument_{}", values.len(), span = span);
                checks.push(quote_spanned!(span_of(ty)=> ::signalr::__private::is_param::<#ty>();));
                arguments.push(quote_spanned!(span=> #value));
                values.push(value);
                types.push(ty);
            }
        }
    }
    let dot_await = method.sig.asyncness.map(|_| quote_spanned!(span=> .await));
    let result = take_result(&method.sig.output, span);
    let output_span = output_span(&method.sig.output, span);
    let call = quote_spanned! {span=>
        let (hub, #caller) = ::signalr::__private::parts::<Self>(&invocation);
        let value = Self::#function(hub, #(#arguments),*) #dot_await;
        let value = #result;
    };
    let (insert, call) = match kind {
        ReturnKind::Value => {
            let reply = quote_spanned!(output_span=> ::signalr::__private::reply(&invocation, &value));
            let run = quote_spanned!(span=> |invocation, (#(#values,)*)| async move { #call #reply });
            (quote!(insert), quote_spanned!(span=> call(invocation, parsed, #run)))
        }
        ReturnKind::Stream | ReturnKind::MaybeStream => {
            let some = (kind == ReturnKind::MaybeStream).then(|| {
                quote_spanned!(span=> let ::core::option::Option::Some(value) = value else {
                    return ::signalr::__private::no_stream();
                };)
            });
            let item = quote_spanned! {output_span=>
                (&mut ::signalr::__private::MethodReturn(::core::option::Option::Some(item))).take_result()
            };
            let send = quote_spanned!(output_span=> items.send(value, |item| #item).await);
            let run = quote_spanned! {span=>
                |invocation, (#(#values,)*), items| async move { #call #some #send }
            };
            (quote!(insert_stream), quote_spanned!(span=> stream(invocation, parsed, #run)))
        }
    };
    let conditions = conditions(&method.attrs);
    let registration = quote_spanned! {span=>
        #(#conditions)*
        {
            #(#checks)*
            methods.#insert(#name, |invocation, arguments| {
                let parsed = ::signalr::__private::bind_arguments::<(#(#types,)*)>(&arguments)?;
                ::core::result::Result::Ok(::signalr::__private::#call)
            }) #(.authorize(#rules))* #(.attribute(#attributes))*;
        }
    };
    method.attrs.insert(0, allow_hub_lints());
    registration
}

/// Allows lints against what `#[hub]` demands. To be inserted first, so that the method's own
/// attributes override it.
pub(crate) fn allow_hub_lints() -> Attribute {
    parse_quote! {
        #[allow(clippy::needless_pass_by_value, clippy::unused_self, reason = "`#[hub]` demands this signature")]
    }
}

/// Expression for `value`, or for its content if it is a `Result`.
pub(crate) fn take_result(output: &ReturnType, span: Span) -> TokenStream {
    let output_span = output_span(output, span);
    quote_spanned! {output_span=>
        (&mut ::signalr::__private::MethodReturn(::core::option::Option::Some(value))).take_result()?
    }
}

/// Span for errors about the return type.
fn output_span(output: &ReturnType, span: Span) -> Span {
    match output {
        ReturnType::Default => span,
        ReturnType::Type(_, ty) => span_of(&**ty),
    }
}

/// Span of `tokens` for generated code, whose variables must not mix with those of the hub's
/// author.
pub(crate) fn span_of(tokens: &(impl Spanned + ?Sized)) -> Span {
    tokens.span().resolved_at(Span::mixed_site())
}
