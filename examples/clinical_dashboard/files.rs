//! Serves the page: the files in `page/`, and the browser's SignalR client from the node packages.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A file that clients can request. No other file is opened.
struct File {
    path: &'static str,
    /// Path relative to the root of the project.
    file: &'static str,
    content_type: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const CLIENT: File = script("/lib/signalr.min.js", "node_modules/@microsoft/signalr/dist/browser/signalr.min.js");

const FILES: [File; 14] = [
    CLIENT,
    script("/authentication-refresh.js", "js/authentication-refresh.js"),
    File { path: "/", file: "examples/clinical_dashboard/page/index.html", content_type: HTML },
    File { path: "/favicon.svg", file: "examples/clinical_dashboard/page/favicon.svg", content_type: "image/svg+xml" },
    style("/style.css", "examples/clinical_dashboard/page/style.css"),
    style("/ward.css", "examples/clinical_dashboard/page/ward.css"),
    style("/panels.css", "examples/clinical_dashboard/page/panels.css"),
    script("/app.js", "examples/clinical_dashboard/page/app.js"),
    script("/chart.js", "examples/clinical_dashboard/page/chart.js"),
    script("/dom.js", "examples/clinical_dashboard/page/dom.js"),
    script("/connection.js", "examples/clinical_dashboard/page/connection.js"),
    script("/panels.js", "examples/clinical_dashboard/page/panels.js"),
    script("/session.js", "examples/clinical_dashboard/page/session.js"),
    script("/ward.js", "examples/clinical_dashboard/page/ward.js"),
];

/// Reads the file at a path from the disk. Returns its content and content type, or `None` for
/// unknown paths.
pub(crate) async fn read(path: &str) -> Option<io::Result<(Bytes, &'static str)>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let content = tokio::fs::read(on_disk(file)).await;
    Some(content.map(|content| (content.into(), file.content_type)))
}

/// Returns instructions for the user if the node packages are not installed.
pub(crate) fn missing_packages() -> Option<String> {
    let client = on_disk(&CLIENT);
    let root = Path::new(ROOT).display();
    (!client.is_file()).then(|| format!("The browser's SignalR client is not installed: run `npm ci` in {root}."))
}

fn on_disk(file: &File) -> PathBuf {
    Path::new(ROOT).join(file.file)
}

const fn script(path: &'static str, file: &'static str) -> File {
    File { path, file, content_type: SCRIPT }
}

const fn style(path: &'static str, file: &'static str) -> File {
    File { path, file, content_type: CSS }
}

/// Root of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
