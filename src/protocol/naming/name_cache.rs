//! Cache of converted names.
//!
//! Serde's names of fields are `&'static str`, literals in the program. A name is therefore
//! identified by its address and length, and its conversions can be kept forever: their number is
//! bounded by the number of literals. Each thread has a map by address, which reading and writing
//! use without a lock and without allocation. Missing entries are created in one map for all
//! threads, by the text itself, so that ending threads do not leak copies.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};
use std::thread::LocalKey;

use super::{NamingRules, case};
use crate::ordinal;

/// Returns the name on the wire of the field with the serde name `name`.
pub(super) fn field(name: &'static str, rules: NamingRules) -> &'static str {
    if !rules.is_dot_net() {
        return name;
    }
    let spelling = cached(&BY_NAME, (name.as_ptr().addr(), name.len()), || spelling(name));
    if rules.is_json() { spelling.camel } else { spelling.pascal }
}

/// Returns the names on the wire of the fields of a struct.
pub(super) fn fields(names: &'static [&'static str], rules: NamingRules) -> FieldTable {
    let fields = cached(&BY_FIELDS, (names.as_ptr().addr(), names.len()), || {
        let mut all = FIELDS.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(names).or_insert_with(|| {
            names.iter().map(|name| Field { name, spelling: spelling(name) }).collect::<Vec<_>>().leak()
        })
    });
    FieldTable { fields, rules }
}

/// Fields of a struct, which are looked up by their names on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldTable {
    fields: &'static [Field],
    rules: NamingRules,
}

impl FieldTable {
    /// Returns the index of a field. `likely` is compared first, because members are usually in the
    /// order of declaration.
    ///
    /// A name with the same case takes precedence over one that differs in case.
    pub(super) fn find(self, wire: &str, likely: usize) -> Option<usize> {
        let spelled = |field: &Field| {
            if self.rules.is_json() { field.spelling.camel } else { field.spelling.pascal }
        };
        if self.fields.get(likely).is_some_and(|field| spelled(field) == wire) {
            return Some(likely);
        }
        let exact = self.fields.iter().position(|field| spelled(field) == wire);
        if exact.is_some() || !self.rules.is_json() {
            return exact;
        }
        self.fields.iter().position(|field| ordinal::eq(spelled(field), wire))
    }

    /// Returns serde's name of the field at `index`.
    pub(super) fn name(self, index: usize) -> &'static str {
        self.fields[index].name
    }

    /// Returns whether a field has the serde name `name`.
    pub(super) fn has_name(self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: &'static str,
    spelling: Spelling,
}

#[derive(Clone, Copy, Debug)]
struct Spelling {
    camel: &'static str,
    pascal: &'static str,
}

fn spelling(name: &'static str) -> Spelling {
    let mut all = SPELLINGS.lock().unwrap_or_else(PoisonError::into_inner);
    *all.entry(name).or_insert_with(|| {
        if !case::is_csharp(name) {
            return Spelling { camel: name, pascal: name };
        }
        let pascal = kept(case::pascal(name), name);
        Spelling { camel: kept(case::camel(pascal), pascal), pascal }
    })
}

/// Returns `original` if it is equal to `spelled`, and a leaked copy of `spelled` if not.
fn kept(spelled: Cow<'_, str>, original: &'static str) -> &'static str {
    if spelled == original { original } else { spelled.into_owned().leak() }
}

type ByAddress<V> = RefCell<HashMap<(usize, usize), V, BuildHasherDefault<AddressHasher>>>;

fn cached<V: Copy>(cache: &'static LocalKey<ByAddress<V>>, address: (usize, usize), make: impl Fn() -> V) -> V {
    let found = cache.try_with(|cache| {
        let found = cache.borrow().get(&address).copied();
        found.unwrap_or_else(|| {
            let made = make();
            cache.borrow_mut().insert(address, made);
            made
        })
    });
    // An ending thread has destroyed its map already.
    found.unwrap_or_else(|_| make())
}

thread_local! {
    static BY_NAME: ByAddress<Spelling> = RefCell::default();
    static BY_FIELDS: ByAddress<&'static [Field]> = RefCell::default();
}

static SPELLINGS: Mutex<BTreeMap<&'static str, Spelling>> = Mutex::new(BTreeMap::new());
static FIELDS: Mutex<BTreeMap<&'static [&'static str], &'static [Field]>> = Mutex::new(BTreeMap::new());

/// Hasher of addresses, with one multiplication for each word. It need not resist attacks, because
/// peers do not choose addresses.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, word: usize) {
        // Fibonacci hashing: 2^64 divided by the golden ratio.
        self.0 = (self.0.rotate_left(32) ^ word as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // Multiplication moves entropy to the high bits, but hash tables need it in the low bits as
        // well.
        self.0 ^ (self.0 >> 32)
    }
}
