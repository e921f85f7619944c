//! The module dependencies that ARCHITECTURE.md allows. It has the same table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Each module with the modules that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    // Leaves.
    ("guide", &[]),
    ("options", &["protocol"]),
    ("ordinal", &[]),
    ("outbound", &["buffer_pool"]),
    ("connection_info", &["ordinal"]),
    ("auth", &["ordinal", "connection_info"]),
    ("pubsub", &["quoted"]),
    ("protocol", &["ordinal"]),
    ("quoted", &[]),
    ("buffer_pool", &[]),
    ("socket", &[]),
    ("tasks", &[]),
    // Two sides that do not use each other.
    ("connections", &["auth", "connection_info", "outbound", "socket", "tasks"]),
    ("registry", &["auth", "connection_info", "outbound", "protocol"]),
    ("cluster", &["registry", "connection_info", "outbound", "protocol", "pubsub", "quoted", "tasks"]),
    (
        "hub",
        &[
            "auth",
            "cluster",
            "pubsub",
            "registry",
            "options",
            "ordinal",
            "connection_info",
            "protocol",
            "buffer_pool",
            "tasks",
        ],
    ),
    // Modules that use both sides, and raw connections.
    (
        "session",
        &[
            "auth",
            "connections",
            "hub",
            "registry",
            "options",
            "connection_info",
            "outbound",
            "protocol",
            "quoted",
            "buffer_pool",
        ],
    ),
    ("raw", &["auth", "connections", "connection_info", "outbound", "quoted", "tasks"]),
    (
        "hosting",
        &[
            "auth",
            "cluster",
            "connections",
            "hub",
            "options",
            "ordinal",
            "connection_info",
            "protocol",
            "pubsub",
            "raw",
            "session",
            "socket",
            "tasks",
        ],
    ),
    ("testing", &["auth", "hub", "connection_info", "protocol", "pubsub", "hosting"]),
];

#[test]
fn modules_depend_downwards_only() {
    let breaches = breaches(&sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))));
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn forbidden_dependency_is_detected() {
    let planted = ("protocol/json.rs".to_owned(), "use crate::hub::Hub;".to_owned());
    assert_eq!(breaches(&[planted]), ["src/protocol/json.rs:1: `protocol` may not use `hub`"]);
    let unknown = ("helpers/mod.rs".to_owned(), "use crate::hub::Hub;".to_owned());
    assert_eq!(breaches(&[unknown]), ["src/helpers/mod.rs: `helpers` is not in the table"]);
}

#[test]
fn dependency_table_has_no_cycle() {
    let mut below: Vec<&str> = Vec::new();
    let mut left = MAY_USE.to_vec();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|(module, uses)| {
            let settled = uses.iter().all(|used| below.contains(used));
            if settled {
                below.push(module);
            }
            !settled
        });
        assert!(left.len() < before, "a cycle among {left:?}");
    }
}

#[test]
fn source_files_have_at_most_500_lines() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "macros", "protocol-tests", "examples", "tests", "benches"] {
        for (file, text) in sources(&root.join(folder)) {
            assert!(text.lines().count() <= 500, "{folder}/{file} has {} lines", text.lines().count());
        }
    }
}

/// Returns all source files below `dir` with their relative paths.
pub(crate) fn sources(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

fn breaches(sources: &[(String, String)]) -> Vec<String> {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let mut breaches = Vec::new();
    for (file, text) in sources {
        let module = file.split('/').next().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let Some(allowed) = table.get(module) else {
            breaches.push(format!("src/{file}: `{module}` is not in the table"));
            continue;
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for used in line.match_indices("crate::").map(|(at, found)| &line[at + found.len()..]) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if used != module && table.contains_key(&*used) && !allowed.contains(&&*used) {
                    breaches.push(format!("src/{file}:{}: `{module}` may not use `{used}`", number + 1));
                }
            }
        }
    }
    breaches
}
