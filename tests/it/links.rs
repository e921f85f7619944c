//! Relative links of documents lead to files of the package.

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
fn links_to_pages_and_items_are_no_relative_links() {
    let text =
        "[a](https://a.example/b.md) [b](#part) [`c`](crate::Hub) [d](macro@crate::hub) [e](../e.md#part) ![f](f.png)";
    assert_eq!(relative_links(text), ["../e.md", "f.png"]);
    assert_eq!(target(Path::new("a/b.md"), "../e.md"), Path::new("e.md"));
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
