//! Client texts in logs cannot begin a line.

use std::sync::LazyLock;

use serde_json::{Value, json};
use signalr::raw::RawConnection;
use signalr::{Caller, HubError, HubProtocolKind, HubResult, SignalR, UploadStream, hub};

use super::LOG;
use signalr_test_support::{Client, serve, until};

struct EchoingHub;

#[hub]
impl EchoingHub {
    async fn sample(&self, mut samples: UploadStream<String>) -> HubResult<Option<String>> {
        samples.next().await.transpose()
    }

    async fn ask(&self, caller: &Caller<Self>) -> HubResult<String> {
        Ok(caller.client().invoke("Ask", ()).await?)
    }

    fn repeat(&self, text: String) -> HubResult {
        Err(HubError::internal(text))
    }
}

/// Line ends of several programs, and an escape sequence that clears a terminal.
const FORGED: &str = "x\r\nFORGED line\u{1b}[2J\u{85}FORGED next\u{2028}FORGED paragraph";

async fn say(client: &mut Client, message: &Value) {
    client.send(format!("{message}\u{1e}").as_bytes()).await;
}

#[tokio::test]
async fn client_texts_cannot_forge_log_lines() {
    LazyLock::force(&LOG);
    let signalr = SignalR::builder()
        .hub("/echoing", EchoingHub)
        .connection_handler("/echoing-raw", async |mut connection: RawConnection| {
            let bytes = connection.read().await.unwrap_or_default();
            Err(String::from_utf8_lossy(&bytes).into())
        })
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    let mut client = Client::connect(addr, "/echoing", HubProtocolKind::Json).await;
    say(&mut client, &json!({ "type": 1, "invocationId": "1", "target": FORGED, "arguments": [] })).await;
    say(&mut client, &json!({ "type": 1, "invocationId": "1", "target": "Repeat", "arguments": [FORGED] })).await;
    say(
        &mut client,
        &json!({ "type": 1, "invocationId": "1", "target": "Sample", "arguments": [], "streamIds": ["s"] }),
    )
    .await;
    say(&mut client, &json!({ "type": 3, "invocationId": "s", "error": FORGED })).await;
    for _ in 0..3 {
        assert!(client.next().await.unwrap()["error"].is_string());
    }
    say(&mut client, &json!({ "type": 1, "invocationId": "1", "target": "Ask", "arguments": [] })).await;
    let asked = client.next().await.unwrap();
    say(&mut client, &json!({ "type": 3, "invocationId": asked["invocationId"], "error": FORGED })).await;
    assert!(client.next().await.unwrap()["error"].is_string());

    let forged = json!(FORGED);
    for message in [
        format!(r#"{{"type":7,"error":{forged}}}"#),
        format!(r#"{{"type":1,"target":"Repeat","arguments":[],"headers":{{{forged}:1}}}}"#),
        format!(r#"{{"type":2,"item":1,"invocationId":{forged}}}"#),
    ] {
        let mut client = Client::connect(addr, "/echoing", HubProtocolKind::Json).await;
        client.send(format!("{message}\u{1e}").as_bytes()).await;
        client.next().await;
        client.end().await;
    }
    let mut raw = Client::open(addr, "/echoing-raw", HubProtocolKind::Json).await;
    raw.send(FORGED.as_bytes()).await;
    raw.end().await;

    until(|| LOG.text().matches("FORGED line").count() >= 8).await;
    let text = LOG.text();
    let line = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).find(|line| line.starts_with("FORGED"));
    assert_eq!(line, None);
    assert!(!text.contains('\u{1b}'));
}
