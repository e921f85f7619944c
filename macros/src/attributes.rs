//! Lookup of attributes by name.

use syn::Attribute;

/// Whether the last segment of the path of `attribute` is `name`.
pub(crate) fn is(attribute: &Attribute, name: &str) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == name)
}

/// Removes and returns the attributes of that name.
pub(crate) fn take(attributes: &mut Vec<Attribute>, name: &str) -> Vec<Attribute> {
    attributes.extract_if(.., |attribute| is(attribute, name)).collect()
}

/// The `#[cfg(..)]` attributes of an item.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| is(attribute, "cfg")).cloned().collect()
}
