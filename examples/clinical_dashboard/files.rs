//! The page: the files in `page/`, and the browser's SignalR client out of the node packages.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// A file that may be asked for. Nothing else is ever opened.
struct File {
    path: &'static str,
    /// From the root of the project.
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

/// The content of the file at a path and its type, as it is on the disk now; `None` for unknown paths.
pub(crate) async fn read(path: &str) -> Option<io::Result<(Bytes, &'static str)>> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let content = tokio::fs::read(on_disk(file)).await;
    Some(content.map(|content| (content.into(), file.content_type)))
}

/// What to do about node packages that are not there.
pub(crate) fn missing() -> Option<String> {
    let client = on_disk(&CLIENT);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).display();
    (!client.is_file()).then(|| {
        format!("The browser's SignalR client is not installed, so the page cannot work: run `npm ci` in {root} first.")
    })
}

fn on_disk(file: &File) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file.file)
}

const fn script(path: &'static str, file: &'static str) -> File {
    File { path, file, content_type: SCRIPT }
}

const fn style(path: &'static str, file: &'static str) -> File {
    File { path, file, content_type: CSS }
}
