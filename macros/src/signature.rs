//! Checks of method signatures.

use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericParam, Ident, Lifetime, Pat, Receiver, ReturnType, Signature, Type, TypeGroup,
    TypeImplTrait, TypeParamBound, TypeParen, TypePath, TypeReference, TypeTraitObject,
};

use crate::attributes::is;
use crate::errors::Errors;

/// A parameter after `&self`.
pub(crate) enum Parameter<'a> {
    /// Parameter by reference: the caller, with the type behind the reference.
    Caller(&'a Type),
    /// Parameter by value: an argument of the invocation.
    Wire(&'a Type),
}

/// Returns the parameters of a hub method after `&self`.
pub(crate) fn parameters<'a>(signature: &'a Signature, errors: &mut Errors) -> Vec<Parameter<'a>> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => check_receiver(receiver, errors),
        _ => errors.at(
            &signature.ident,
            "a hub method takes `&self`; move functions without it to an impl block without `#[hub]`",
        ),
    }
    let mut parameters = Vec::new();
    let mut from_wire = 0;
    for input in inputs {
        // The compiler rejects a second receiver.
        let FnArg::Typed(input) = input else { continue };
        reject_conditions(&input.attrs, errors);
        if !matches!(&*input.pat, Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none())
            && !matches!(*input.pat, Pat::Wild(_))
        {
            errors.at(&input.pat, "parameters of a hub method are plain names; destructure them inside the method");
        }
        if let Type::Reference(reference) = strip_groups(&input.ty) {
            reject_other_references(reference, errors);
            parameters.push(Parameter::Caller(&reference.elem));
            continue;
        }
        from_wire += 1;
        if from_wire == MAX_PARAMETERS + 1 {
            errors.at(input, format!("a hub method takes at most {MAX_PARAMETERS} arguments: group some in a struct"));
        }
        reject_borrows(&input.ty, errors);
        parameters.push(Parameter::Wire(&input.ty));
    }
    parameters
}

/// Removes the groups that `macro_rules!` adds, and parentheses.
fn strip_groups(mut ty: &Type) -> &Type {
    while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) = ty {
        ty = elem;
    }
    ty
}

/// Maximum number of arguments of an invocation.
pub(crate) const MAX_PARAMETERS: usize = 12;

/// Rejects generics, `unsafe` and `extern`.
pub(crate) fn check_qualifiers(what: &str, signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(
                parameter,
                format!("{what} cannot be generic: methods are invoked by name, without type arguments"),
            );
        }
    }
    if let Some(token) = &signature.unsafety {
        errors.at(token, format!("{what} cannot be unsafe: a remote call cannot uphold safety requirements"));
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, format!("{what} cannot be `extern`"));
    }
}

/// Accepts `&self` only.
fn check_receiver(receiver: &Receiver, errors: &mut Errors) {
    if receiver.reference.is_none() || receiver.colon_token.is_some() {
        errors.at(receiver, "a hub method takes `&self`: all connections share one hub");
    } else if receiver.mutability.is_some() {
        errors.at(
            receiver,
            "a hub method takes `&self`: all connections share one hub; keep mutable state behind a lock, or per \
             connection in `items`",
        );
    }
}

pub(crate) fn reject_conditions(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes.iter().filter(|attribute| is(attribute, "cfg") || is(attribute, "cfg_attr")) {
        errors.at(attribute, "conditional parameters are not supported: put the attribute on the method");
    }
}

/// Rejects references that cannot be the caller. The compiler checks the type of the others.
fn reject_other_references(reference: &TypeReference, errors: &mut Errors) {
    if reference.mutability.is_some() {
        errors.at(reference, "only the caller is taken by reference, as `&Caller<Self>`; take arguments by value");
        return;
    }
    let owned = match &*reference.elem {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(_) => "Vec<..>".to_owned(),
        Type::Path(path) => match path.path.get_ident() {
            Some(ident) if OWNED.iter().any(|owned| ident == owned) => ident.to_string(),
            _ => return,
        },
        _ => return,
    };
    errors.at(reference, format!("values from clients are deserialized into owned types: use `{owned}`"));
}

const OWNED: [&str; 15] =
    ["bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize", "String"];

/// Rejects types that borrow, since values from clients are deserialized into owned types.
pub(crate) fn reject_borrows(ty: &Type, errors: &mut Errors) {
    NoBorrows { errors }.visit_type(ty);
}

/// Finds references, lifetimes and `impl Trait` in the type of a value from clients.
struct NoBorrows<'a> {
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for NoBorrows<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => {
                self.errors.at(reference, "values from clients are deserialized into owned types: use `String`");
            }
            _ => self.errors.at(reference, "values from clients are deserialized into owned types: they cannot borrow"),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.errors.at(lifetime, "values from clients are deserialized into owned types: they cannot borrow");
        }
    }

    fn visit_type_impl_trait(&mut self, choice: &'ast TypeImplTrait) {
        self.errors.at(choice, "`impl Trait` is not supported for values from clients: name a type");
    }
}

/// Kind of the return type of a hub method, by its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReturnKind {
    #[default]
    Value,
    /// `impl Stream`, possibly in a `Result`.
    Stream,
    /// `Option<impl Stream>`, possibly in a `Result`.
    MaybeStream,
}

/// Returns the kind of the return type of a hub method, and rejects boxed streams and futures.
pub(crate) fn output(signature: &Signature, errors: &mut Errors) -> ReturnKind {
    let mut output = Output { errors, kind: ReturnKind::Value, in_option: false };
    if let ReturnType::Type(_, ty) = &signature.output {
        output.visit_type(ty);
    }
    output.kind
}

struct Output<'a> {
    errors: &'a mut Errors,
    kind: ReturnKind,
    /// Whether the visitor is inside an `Option`.
    in_option: bool,
}

impl<'ast> Visit<'ast> for Output<'_> {
    fn visit_type_impl_trait(&mut self, output: &'ast TypeImplTrait) {
        if has_bound(output.bounds.iter(), "Stream") {
            self.kind = if self.in_option { ReturnKind::MaybeStream } else { ReturnKind::Stream };
        } else if has_bound(output.bounds.iter(), "Future") {
            self.errors.at(output, "write an `async fn` instead of returning a future");
        }
    }

    fn visit_type_trait_object(&mut self, output: &'ast TypeTraitObject) {
        if has_bound(output.bounds.iter(), "Stream") {
            self.errors.at(output, "return a stream as `impl Stream`, also if the value is a boxed stream");
        } else if has_bound(output.bounds.iter(), "Future") {
            self.errors.at(output, "write an `async fn` instead of returning a future");
        }
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if last_is(path, "BoxStream") || last_is(path, "LocalBoxStream") {
            self.errors.at(path, "return a stream as `impl Stream`, also if the value is a boxed stream");
        }
        let outside = self.in_option;
        self.in_option |= last_is(path, "Option");
        visit::visit_type_path(self, path);
        self.in_option = outside;
    }
}

fn has_bound<'a>(mut bounds: impl Iterator<Item = &'a TypeParamBound>, name: &str) -> bool {
    bounds.any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == name),
        _ => false,
    })
}

fn last_is(path: &TypePath, name: &str) -> bool {
    path.path.segments.last().is_some_and(|last| last.ident == name)
}

/// Returns names and types of the parameters of a client method.
pub(crate) fn contract_parameters<'a>(signature: &'a Signature, errors: &mut Errors) -> Vec<(&'a Ident, &'a Type)> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver))
            if receiver.reference.is_some() && receiver.mutability.is_none() && receiver.colon_token.is_none() => {}
        Some(FnArg::Receiver(receiver)) => errors.at(receiver, "a method of a client contract takes `&self`"),
        _ => errors.at(&signature.ident, "a method of a client contract takes `&self`"),
    }
    let mut parameters = Vec::new();
    for input in inputs {
        let FnArg::Typed(input) = input else { continue };
        reject_conditions(&input.attrs, errors);
        if parameters.len() == MAX_PARAMETERS {
            errors
                .at(input, format!("a client method takes at most {MAX_PARAMETERS} arguments: group some in a struct"));
        }
        NoImplTrait { errors }.visit_type(&input.ty);
        match &*input.pat {
            Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() && name.mutability.is_none() => {
                parameters.push((&name.ident, &*input.ty));
            }
            pattern => errors.at(pattern, "parameters of a client contract are plain names"),
        }
    }
    parameters
}

/// Rejects `impl Trait`.
struct NoImplTrait<'a> {
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for NoImplTrait<'_> {
    fn visit_type_impl_trait(&mut self, choice: &'ast TypeImplTrait) {
        self.errors.at(choice, "`impl Trait` is not supported in a client contract: name a type");
    }
}
