//! Each type of the crate has a name of its own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::module_layers::sources;

#[test]
fn no_two_types_share_a_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = shared_names(&[sources(&root.join("src")), sources(&root.join("macros/src"))].concat());
    assert!(shared.is_empty(), "{shared:#?}");
}

#[test]
fn shared_names_are_found_outside_tests_and_functions() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let one = file(
        "a.rs",
        "pub struct State;\nfn run() {\n    struct Local;\n}\n#[cfg(test)]\nmod tests {\n    struct World;\n}\n",
    );
    let other = file("b/mod.rs", "enum State {}\nstruct Local;\nstruct World;\n");
    let tests = file("b/tests.rs", "struct State;\n");
    assert_eq!(shared_names(&[one, other, tests]), ["`State`: a.rs, b/mod.rs"]);
}

/// Names of two or more types at the top level of a module, and their files.
fn shared_names(sources: &[(String, String)]) -> Vec<String> {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (file, text) in sources {
        if file.contains("/tests/") || file.ends_with("tests.rs") {
            continue;
        }
        // Items at the top level are not indented; a module of tests is.
        for name in text.lines().filter_map(type_name) {
            files.entry(name).or_default().push(file);
        }
    }
    let shared = files.into_iter().filter(|(_, files)| files.len() > 1);
    shared.map(|(name, files)| format!("`{name}`: {}", files.join(", "))).collect()
}

/// Name of the type that a line at the top level defines.
fn type_name(line: &str) -> Option<&str> {
    let item = match line.strip_prefix("pub") {
        Some(rest) => rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest),
        None => line,
    };
    let item = item.strip_prefix(' ').unwrap_or(item);
    let rest =
        ["struct ", "enum ", "trait ", "union ", "type "].iter().find_map(|keyword| item.strip_prefix(keyword))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}
