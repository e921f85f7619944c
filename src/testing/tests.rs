//! What the client sends for streams and results, against a peer that plays the server.

use std::future::pending;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection::TestConnection;
use super::{ConnectionClosed, InvocationError, TestClient};
use crate::connection_info::ConnectionId;
use crate::protocol::{Framer, HubMessage, HubProtocol, HubProtocolKind, Naming, handshake};

struct Peer {
    ws: WebSocketStream<DuplexStream>,
    protocol: HubProtocol,
}

impl Peer {
    async fn data(&mut self) -> Vec<u8> {
        loop {
            match self.ws.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                message => return message.into_data().to_vec(),
            }
        }
    }

    /// The next message, without its framing.
    async fn frame(&mut self) -> Vec<u8> {
        let data = self.data().await;
        let mut input = &data[..];
        let frame = Framer::new(self.protocol.kind(), None).next(&mut input).unwrap().unwrap().to_vec();
        assert!(input.is_empty());
        frame
    }

    async fn say(&mut self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(self.protocol, &mut bytes);
        self.ws.send(Message::binary(bytes)).await.unwrap();
    }

    /// The call that comes next: its id, its method, its streams and whether it wants one.
    async fn call(&mut self) -> (Option<String>, String, Vec<String>, bool) {
        let frame = self.frame().await;
        let Ok(Some(HubMessage::Invocation(call))) = self.protocol.parse(&frame, |_| true) else { panic!("no call") };
        let streams = call.stream_ids.iter().map(|id| id.to_string()).collect();
        (call.id.map(Into::into), call.target.into(), streams, call.streaming)
    }

    /// The completion that comes next: its id, its result and its error.
    async fn completion(&mut self) -> (String, Option<u32>, Option<String>) {
        let frame = self.frame().await;
        let Ok(Some(HubMessage::Completion { id, result, error })) = self.protocol.parse(&frame, |_| true) else {
            panic!("no completion");
        };
        (id.into(), result.map(|result| result.read().unwrap()), error.map(Into::into))
    }
}

/// A client that has shaken hands with a peer.
async fn pair(format: HubProtocolKind) -> (TestClient, Peer) {
    let (near, far) = tokio::io::duplex(4096);
    let protocol = HubProtocol::new(format, Naming::Serde);
    let client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let client = TestClient::new(TestConnection::start(client, protocol), ConnectionId::random());
    let mut peer = Peer { ws: WebSocketStream::from_raw_socket(far, Role::Server, None).await, protocol };
    let answer = async {
        assert_eq!(handshake::parse_request(peer.data().await.strip_suffix(b"\x1e").unwrap()).unwrap().version, 1);
        peer.say(|_, out| handshake::write_success(out)).await;
    };
    let (shaken, ()) = tokio::join!(client.handshake(), answer);
    shaken.unwrap();
    (client, peer)
}

async fn both<F: Future<Output = ()>>(test: impl Fn(HubProtocolKind) -> F) {
    for &format in HubProtocolKind::ALL {
        test(format).await;
    }
}

#[tokio::test(start_paused = true)]
async fn items_come_until_the_end() {
    both(async |format| {
        let (client, mut peer) = pair(format).await;
        let mut items = client.stream::<u32>("Count", (2,));
        assert_eq!(peer.call().await, (Some("0".to_owned()), "Count".to_owned(), vec![], true));
        for item in [1, 2] {
            peer.say(|protocol, out| protocol.write_stream_item(out, "0", &item).unwrap()).await;
            assert_eq!(items.next().await, Some(Ok(item)));
        }
        peer.say(|protocol, out| protocol.write_completion(out, "0")).await;
        assert_eq!(items.next().await, None);
        drop(items);
        // Nothing is cancelled that has ended.
        let answer = client.invoke::<()>("Next", ());
        assert_eq!(peer.call().await.1, "Next");
        peer.say(|protocol, out| protocol.write_completion(out, "1")).await;
        assert_eq!(answer.await, Ok(()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_a_stream() {
    both(async |format| {
        let (client, mut peer) = pair(format).await;
        let mut items = client.stream::<u32>("Count", ());
        peer.call().await;
        peer.say(|protocol, out| protocol.write_error(out, "0", "no more")).await;
        assert_eq!(items.next().await, Some(Err(InvocationError::Server("no more".to_owned()))));
        assert_eq!(items.next().await, None);
        let mut items = client.stream::<u32>("Count", ());
        peer.call().await;
        drop(peer);
        let cut = ConnectionClosed { error: None, allow_reconnect: false, code: None };
        assert_eq!(items.next().await, Some(Err(InvocationError::Closed(cut))));
        assert_eq!(items.next().await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_is_cancelled() {
    both(async |format| {
        let (client, mut peer) = pair(format).await;
        let items = client.stream::<u32>("Count", ());
        peer.call().await;
        drop(items);
        let frame = peer.frame().await;
        let cancel = HubMessage::CancelInvocation { id: "0".into() };
        assert_eq!(peer.protocol.parse(&frame, |_| true), Ok(Some(cancel)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn uploads_go_with_their_call() {
    both(async |format| {
        let (client, mut peer) = pair(format).await;
        let ([first, second, third], answer) = client.upload::<u32, 3>("Add", ("a",));
        let ids = ["1", "2", "3"].map(str::to_owned);
        assert_eq!(peer.call().await, (Some("0".to_owned()), "Add".to_owned(), ids.to_vec(), false));
        first.send(&7);
        let frame = peer.frame().await;
        let Ok(Some(HubMessage::StreamItem { id, item, .. })) = peer.protocol.parse(&frame, |_| true) else {
            panic!("no item");
        };
        assert_eq!((&*id, item.read()), ("1", Ok(7)));
        first.finish();
        assert_eq!(peer.completion().await, ("1".to_owned(), None, None));
        second.fail("broken");
        assert_eq!(peer.completion().await, ("2".to_owned(), None, Some("broken".to_owned())));
        drop(third);
        assert_eq!(peer.completion().await, ("3".to_owned(), None, None));
        peer.say(|protocol, out| protocol.write_result(out, "0", &7).unwrap()).await;
        assert_eq!(answer.await, Ok(7));

        let ([_upload], _items) = client.upload_stream::<u32, 1>("Double", ());
        assert_eq!(peer.call().await, (Some("4".to_owned()), "Double".to_owned(), vec!["5".to_owned()], true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn results_are_given_as_told() {
    both(async |format| {
        let (client, mut peer) = pair(format).await;
        client.on("Double", |(number,): (u32,)| async move { number * 2 });
        client.refuse("Refuse", "not today");
        client.on("Never", |(): ()| pending::<u32>());
        let mut ask = async |method: &str, id: &str| {
            peer.say(|protocol, out| protocol.write_invocation(out, Some(id), method, &(21,)).unwrap()).await;
            peer.completion().await
        };
        assert_eq!(ask("double", "s1").await, ("s1".to_owned(), Some(42), None));
        assert_eq!(ask("Refuse", "s2").await, ("s2".to_owned(), None, Some("not today".to_owned())));
        let unknown = Some("Client didn't provide a result.".to_owned());
        assert_eq!(ask("Unknown", "s3").await, ("s3".to_owned(), None, unknown));
        assert_eq!(client.receive::<(u32,)>("Unknown").await, (21,));
        let (id, result, error) = ask("Never", "s4").await;
        assert_eq!((&*id, result), ("s4", None));
        assert!(error.unwrap().contains("1 argument(s)"));

        peer.say(|protocol, out| protocol.write_invocation(out, Some("s5"), "Never", &()).unwrap()).await;
        let answered = tokio::time::timeout(Duration::from_secs(60), peer.frame()).await;
        assert!(answered.is_err());
    })
    .await;
}
