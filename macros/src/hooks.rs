//! `on_connected`, `on_authentication_refreshed` and `on_disconnected`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{FnArg, ImplItemFn};

use crate::attributes::{conditions, take};
use crate::authorize;
use crate::errors::Errors;
use crate::method::{allow_hub_lints, span_of, take_result};
use crate::signature::{check_qualifiers, reject_conditions};

/// Methods that the server calls about a connection. Their names are reserved: clients cannot call
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Connected,
    Refreshed,
    Disconnected,
}

impl Hook {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "on_connected" => Some(Self::Connected),
            "on_authentication_refreshed" => Some(Self::Refreshed),
            "on_disconnected" => Some(Self::Disconnected),
            _ => None,
        }
    }

    /// Removes our attributes from `method` and returns the trait function that calls it; empty
    /// after an error.
    pub(crate) fn forward(self, method: &mut ImplItemFn, errors: &mut Errors) -> TokenStream {
        let mut problems = Errors::default();
        let name = &method.sig.ident;
        let not_callable = format!("has no effect on `{name}`: only the server calls it");
        for attribute in take(&mut method.attrs, "hub") {
            problems.at(attribute, &not_callable);
        }
        authorize::reject(&mut method.attrs, &not_callable, &mut problems);
        authorize::reject_anonymous(&mut method.attrs, &not_callable, &mut problems);
        check_qualifiers(&format!("`{name}`"), &method.sig, &mut problems);
        self.parameters(method, &mut problems);
        let valid = problems.is_empty();
        errors.append(problems);
        if !valid {
            return TokenStream::new();
        }
        let function = self.function(method);
        method.attrs.insert(0, allow_hub_lints());
        function
    }

    /// Checks the parameters: `&self`, and any number of the others from the left.
    fn parameters(self, method: &ImplItemFn, errors: &mut Errors) {
        let mut inputs = method.sig.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(receiver))
                if receiver.reference.is_some() && receiver.mutability.is_none() && receiver.colon_token.is_none() => {}
            Some(FnArg::Receiver(receiver)) => errors.at(receiver, self.expected()),
            _ => errors.at(&method.sig.ident, self.expected()),
        }
        for (at, input) in inputs.enumerate() {
            if at >= self.names().len() {
                errors.at(input, self.expected());
            } else if let FnArg::Typed(input) = input {
                reject_conditions(&input.attrs, errors);
            }
        }
    }

    fn function(self, method: &ImplItemFn) -> TokenStream {
        let (name, span) = (&method.sig.ident, span_of(&method.sig.ident));
        let names = self.names().iter().map(|name| format_ident!("{name}", span = span)).collect::<Vec<_>>();
        let types = match self {
            Self::Connected | Self::Refreshed => vec![quote!(&::signalr::Caller<Self>)],
            Self::Disconnected => {
                vec![quote!(&::signalr::Caller<Self>), quote!(::core::option::Option<&::signalr::DisconnectReason>)]
            }
        };
        // Errors about the type of a parameter point to it.
        let given = method.sig.inputs.iter().skip(1).zip(self.names()).map(|(input, name)| match input {
            FnArg::Typed(input) => format_ident!("{name}", span = span_of(&*input.ty)),
            FnArg::Receiver(_) => format_ident!("{name}", span = span),
        });
        let ignored = names.iter().skip(method.sig.inputs.len() - 1);
        let dot_await = method.sig.asyncness.map(|_| quote_spanned!(span=> .await));
        let result = take_result(&method.sig.output, span);
        let conditions = conditions(&method.attrs);
        quote_spanned! {span=>
            #(#conditions)*
            async fn #name(&self, #(#names: #types),*) -> ::signalr::HubResult {
                // The compiler selects one of the two by the return type.
                #[allow(unused_imports)]
                use ::signalr::__private::{ResultReturn as _, ValueReturn as _};
                #(let _ = #ignored;)*
                let value = Self::#name(self, #(#given),*) #dot_await;
                let _: () = #result;
                ::core::result::Result::Ok(())
            }
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Connected | Self::Refreshed => &["caller"],
            Self::Disconnected => &["caller", "reason"],
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Connected => "expected `async fn on_connected(&self, caller: &Caller<Self>) -> HubResult`",
            Self::Refreshed => {
                "expected `async fn on_authentication_refreshed(&self, caller: &Caller<Self>) -> HubResult`"
            }
            Self::Disconnected => {
                "expected `async fn on_disconnected(&self, caller: &Caller<Self>, reason: Option<&DisconnectReason>) -> \
                 HubResult`"
            }
        }
    }
}
