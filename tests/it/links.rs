//! Targets of documents exist: relative links lead to files of the package, and paths and
//! functions in code spans to files and functions of the workspace.

#![expect(clippy::unwrap_used, reason = "a missing file fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

#[test]
fn relative_links_lead_to_files_of_the_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = packaged_files(root);
    let mut broken = Vec::new();
    for file in &files {
        let text = match file.extension().and_then(|extension| extension.to_str()) {
            Some("md") => fs::read_to_string(root.join(file)).unwrap(),
            Some("rs") => doc_comments(&fs::read_to_string(root.join(file)).unwrap()),
            _ => continue,
        };
        let links = relative_links(&text).into_iter();
        broken.extend(links.filter(|link| !files.contains(&target(file, link))).map(|link| (file.clone(), link)));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn named_files_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing: Vec<_> = documents(root)
        .into_iter()
        .flat_map(|(file, text)| code_spans(&text).into_iter().map(move |span| (file, span)).collect::<Vec<_>>())
        .filter(|(_, span)| FOLDERS.iter().any(|folder| span.starts_with(folder)))
        // Folders may be generated.
        .filter(|(_, span)| span.contains('.') && !span.contains(['*', ' ']) && !root.join(span).exists())
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn functions_named_in_the_architecture_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    append_sources(&root.join("src"), &mut source);
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let missing: Vec<_> = code_spans(&text)
        .into_iter()
        .filter(|span| {
            let Some((owner, function)) = span.split('(').next().unwrap().split_once("::") else { return false };
            let is_method = owner.starts_with(char::is_uppercase) && function.starts_with(char::is_lowercase);
            let declares = |keyword: &str, name: &str| source.contains(&format!("{keyword} {name}"));
            let is_type = ["struct", "enum", "trait"].iter().any(|keyword| declares(keyword, owner));
            is_method && !(is_type && declares("fn", function))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn links_to_pages_and_items_are_no_relative_links() {
    let text =
        "[a](https://a.example/b.md) [b](#part) [`c`](crate::Hub) [d](macro@crate::hub) [e](../e.md#part) ![f](f.png)";
    assert_eq!(relative_links(text), ["../e.md", "f.png"]);
    assert_eq!(target(Path::new("a/b.md"), "../e.md"), Path::new("e.md"));
}

/// Folders whose files are named in documents.
const FOLDERS: [&str; 9] =
    ["src/", "tests/", "benches/", "examples/", "macros/", "fuzz/", "js/", "js-client-tests/", "protocol-tests/"];

fn documents(root: &Path) -> [(&'static str, String); 4] {
    ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md", "protocol-tests/DEVIATIONS.md"]
        .map(|file| (file, fs::read_to_string(root.join(file)).unwrap()))
}

fn code_spans(text: &str) -> Vec<String> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

fn append_sources(folder: &Path, source: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            append_sources(&path, source);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Files that `cargo package` takes, as paths from the root of the package.
fn packaged_files(root: &Path) -> BTreeSet<PathBuf> {
    let listed = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline", "--package", "signalr"])
        .current_dir(root)
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// Text of the doc comments of a source file.
fn doc_comments(source: &str) -> String {
    let lines = source.lines().map(str::trim_start);
    lines
        .filter_map(|line| line.strip_prefix("//!").or_else(|| line.strip_prefix("///")))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Paths of links to files, without their fragments.
fn relative_links(text: &str) -> Vec<String> {
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    links
        .filter(|link| !["http:", "https:", "mailto:", "#"].iter().any(|start| link.starts_with(start)))
        .filter_map(|link| link.split('#').next())
        .filter(|path| path.contains('.') && !path.contains(['@', ':', ' ', '`', '"']))
        .map(str::to_owned)
        .collect()
}

fn target(file: &Path, link: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for component in file.parent().unwrap().join(link).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{link} leads out of the package"),
            other => path.push(other),
        }
    }
    path
}
