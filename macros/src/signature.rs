//! What the signature of a method may look like.

use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericParam, Ident, Lifetime, Pat, Receiver, ReturnType, Signature, Type, TypeGroup,
    TypeImplTrait, TypeParamBound, TypeParen, TypePath, TypeReference, TypeTraitObject,
};

use crate::attributes::is;
use crate::errors::Errors;

/// A parameter after `&self`.
pub(crate) enum Parameter<'a> {
    /// By reference: the caller. The type that is referred to.
    Caller(&'a Type),
    /// By value: from the wire.
    Wire(&'a Type),
}

/// The parameters of a hub method after `&self`.
pub(crate) fn parameters<'a>(signature: &'a Signature, errors: &mut Errors) -> Vec<Parameter<'a>> {
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => check_receiver(receiver, errors),
        _ => errors.at(
            &signature.ident,
            "a hub method takes `&self`; a function without it belongs into an impl block without `#[hub]`",
        ),
    }
    let mut parameters = Vec::new();
    let mut from_wire = 0;
    for input in inputs {
        // A second receiver is for the compiler to refuse.
        let FnArg::Typed(input) = input else { continue };
        reject_conditions(&input.attrs, errors);
        if !matches!(&*input.pat, Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none())
            && !matches!(*input.pat, Pat::Wild(_))
        {
            errors.at(&input.pat, "a parameter of a hub method is a plain name; take it apart inside");
        }
        if let Type::Reference(reference) = strip_groups(&input.ty) {
            reject_other_references(reference, errors);
            parameters.push(Parameter::Caller(&reference.elem));
            continue;
        }
        from_wire += 1;
        if from_wire == MAX_PARAMETERS + 1 {
            errors.at(input, format!("a hub method takes at most {MAX_PARAMETERS} arguments: put some into a struct"));
        }
        reject_borrows(&input.ty, errors);
        parameters.push(Parameter::Wire(&input.ty));
    }
    parameters
}

/// The type inside what `macro_rules!` or somebody puts around it.
fn strip_groups(mut ty: &Type) -> &Type {
    while let Type::Group(TypeGroup { elem, .. }) | Type::Paren(TypeParen { elem, .. }) = ty {
        ty = elem;
    }
    ty
}

/// How many arguments a call can carry.
pub(crate) const MAX_PARAMETERS: usize = 12;

/// Whatever else stands before the name.
pub(crate) fn check_qualifiers(what: &str, signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            errors.at(parameter, format!("{what} cannot be generic: it is called by its name alone"));
        }
    }
    if let Some(token) = &signature.unsafety {
        errors.at(token, format!("{what} cannot be unsafe: it is called by anybody, with anything"));
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, format!("{what} is a Rust function"));
    }
}

/// `&self`, and nothing else.
fn check_receiver(receiver: &Receiver, errors: &mut Errors) {
    if receiver.reference.is_none() || receiver.colon_token.is_some() {
        errors.at(receiver, "a hub method takes `&self`: one hub is shared by all of its connections");
    } else if receiver.mutability.is_some() {
        errors.at(
            receiver,
            "a hub method takes `&self`: one hub is shared by all of its connections; what changes stands behind a lock, \
             or differs by connection in `items`",
        );
    }
}

pub(crate) fn reject_conditions(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes.iter().filter(|attribute| is(attribute, "cfg") || is(attribute, "cfg_attr")) {
        errors.at(attribute, "a parameter is always there: put the condition on the method");
    }
}

/// References that are surely not the caller. Whether another one is, the compiler finds out by its type.
fn reject_other_references(reference: &TypeReference, errors: &mut Errors) {
    if reference.mutability.is_some() {
        errors.at(reference, "by reference is the caller, `&Caller<Self>`; arguments are taken by value");
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
    errors.at(reference, format!("arguments from the wire are owned: use `{owned}`"));
}

const OWNED: [&str; 15] =
    ["bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "isize", "u8", "u16", "u32", "u64", "usize", "String"];

/// Refuses types that borrow: values from the wire are owned.
pub(crate) fn reject_borrows(ty: &Type, errors: &mut Errors) {
    NoBorrows { errors }.visit_type(ty);
}

/// Looks for what a type from the wire cannot have in it.
struct NoBorrows<'a> {
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for NoBorrows<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        match &*reference.elem {
            Type::Path(path) if path.path.is_ident("str") => {
                self.errors.at(reference, "arguments from the wire are owned: use `String`");
            }
            _ => self.errors.at(reference, "arguments from the wire are owned: nothing in them can be borrowed"),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.errors.at(lifetime, "arguments from the wire are owned: nothing in them can be borrowed");
        }
    }

    fn visit_type_impl_trait(&mut self, choice: &'ast TypeImplTrait) {
        self.errors.at(choice, "an argument from the wire has one type: name it");
    }
}

/// What a hub method answers with, by the tokens of its return type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReturnKind {
    #[default]
    Value,
    /// `impl Stream`, maybe in a result.
    Stream,
    /// `Option<impl Stream>`, maybe in a result.
    MaybeStream,
}

/// Finds out what a hub method answers with, and what it cannot.
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
    /// Inside of an `Option`.
    in_option: bool,
}

impl<'ast> Visit<'ast> for Output<'_> {
    fn visit_type_impl_trait(&mut self, output: &'ast TypeImplTrait) {
        if has_bound(output.bounds.iter(), "Stream") {
            self.kind = if self.in_option { ReturnKind::MaybeStream } else { ReturnKind::Stream };
        } else if has_bound(output.bounds.iter(), "Future") {
            self.errors.at(output, "a hub method that waits is an `async fn`");
        }
    }

    fn visit_type_trait_object(&mut self, output: &'ast TypeTraitObject) {
        if has_bound(output.bounds.iter(), "Stream") {
            self.errors.at(output, "a stream is returned as `impl Stream`; it may be a box inside");
        } else if has_bound(output.bounds.iter(), "Future") {
            self.errors.at(output, "a hub method that waits is an `async fn`");
        }
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if last_is(path, "BoxStream") || last_is(path, "LocalBoxStream") {
            self.errors.at(path, "a stream is returned as `impl Stream`; it may be a box inside");
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

/// The parameters of a client's method: names and types.
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
            errors.at(input, format!("a call carries at most {MAX_PARAMETERS} arguments: put some into a struct"));
        }
        NoImplTrait { errors }.visit_type(&input.ty);
        match &*input.pat {
            Pat::Ident(name) if name.subpat.is_none() && name.by_ref.is_none() && name.mutability.is_none() => {
                parameters.push((&name.ident, &*input.ty));
            }
            pattern => errors.at(pattern, "a parameter of a client contract is a plain name"),
        }
    }
    parameters
}

/// Refuses `impl Trait`.
struct NoImplTrait<'a> {
    errors: &'a mut Errors,
}

impl<'ast> Visit<'ast> for NoImplTrait<'_> {
    fn visit_type_impl_trait(&mut self, choice: &'ast TypeImplTrait) {
        self.errors.at(choice, "an argument of a client contract has one type: name it");
    }
}
