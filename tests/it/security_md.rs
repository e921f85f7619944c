//! The tests that SECURITY.md names exist.

use std::fs;
use std::path::Path;

/// Whether a file or folder of this name exists. One `*` in the last component matches anything.
fn exists(path: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap());
    match name.split_once('*') {
        None => path.exists(),
        Some((start, end)) => fs::read_dir(folder).is_ok_and(|entries| {
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.into_iter().any(|name| name.starts_with(start) && name.ends_with(end))
        }),
    }
}

#[test]
fn security_md_names_existing_tests() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md")).unwrap();
    let mut named = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let Some(held_by) = line.trim_end_matches([' ', '|']).rsplit(" | ").next() else { continue };
        for name in held_by.split('`').skip(1).step_by(2) {
            let is_file = ["src/", "tests/", "fuzz/", "benches/", "js-client-tests/", "examples/"]
                .iter()
                .any(|folder| name.starts_with(folder));
            let path = if is_file { name.to_owned() } else { format!("fixtures/transcripts/{name}.json") };
            assert!(exists(&path), "`{name}` in SECURITY.md: {line}");
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}

#[test]
fn missing_file_is_detected() {
    assert!(exists("src/auth/tests") && exists("fixtures/transcripts/auth/alg-*.json"));
    assert!(!exists("tests/nowhere.rs") && !exists("fixtures/transcripts/auth/nowhere-*.json"));
}
