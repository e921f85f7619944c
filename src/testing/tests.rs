//! Streams and results of the test client, against a scripted server.

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

    /// Receives the next message, without its framing.
    async fn frame(&mut self) -> Vec<u8> {
        let data = self.data().await;
        let mut input = &data[..];
        let frame = Framer::new(self.protocol.kind(), None).next(&mut input).unwrap().unwrap().to_vec();
        assert!(input.is_empty());
        frame
    }

    async fn send(&mut self, write: impl FnOnce(HubProtocol, &mut Vec<u8>)) {
        let mut bytes = Vec::new();
        write(self.protocol, &mut bytes);
        self.ws.send(Message::binary(bytes)).await.unwrap();
    }

    /// Receives an invocation: its id, its method, its upload ids and whether it starts a server
    /// stream.
    async fn call(&mut self) -> (Option<String>, String, Vec<String>, bool) {
        let frame = self.frame().await;
        let Ok(Some(HubMessage::Invocation(call))) = self.protocol.parse(&frame, |_| true) else {
            panic!("not an invocation")
        };
        let streams = call.stream_ids.iter().map(|id| id.to_string()).collect();
        (call.id.map(Into::into), call.target.into(), streams, call.streaming)
    }

    /// Receives a completion: its id, its result and its error.
    async fn completion(&mut self) -> (String, Option<u32>, Option<String>) {
        let frame = self.frame().await;
        let Ok(Some(HubMessage::Completion { id, result, error })) = self.protocol.parse(&frame, |_| true) else {
            panic!("not a completion");
        };
        (id.into(), result.map(|result| result.read().unwrap()), error.map(Into::into))
    }
}

/// A client and a server after the handshake.
async fn connect(kind: HubProtocolKind) -> (TestClient, Peer) {
    let (client_io, server_io) = tokio::io::duplex(4096);
    let protocol = HubProtocol::new(kind, Naming::Serde);
    let client = WebSocketStream::from_raw_socket(client_io, Role::Client, None).await;
    let client = TestClient::new(TestConnection::start(client, protocol), ConnectionId::random());
    let mut peer = Peer { ws: WebSocketStream::from_raw_socket(server_io, Role::Server, None).await, protocol };
    let respond = async {
        assert_eq!(handshake::parse_request(peer.data().await.strip_suffix(b"\x1e").unwrap()).unwrap().version, 1);
        peer.send(|_, out| handshake::write_success(out)).await;
    };
    let (accepted, ()) = tokio::join!(client.handshake(), respond);
    accepted.unwrap();
    (client, peer)
}

async fn for_each_protocol<F: Future<Output = ()>>(test: impl Fn(HubProtocolKind) -> F) {
    for &kind in HubProtocolKind::ALL {
        test(kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn streams_yield_items_until_the_completion() {
    for_each_protocol(async |kind| {
        let (client, mut peer) = connect(kind).await;
        let mut items = client.stream::<u32>("Count", (2,));
        assert_eq!(peer.call().await, (Some("0".to_owned()), "Count".to_owned(), vec![], true));
        for item in [1, 2] {
            peer.send(|protocol, out| protocol.write_stream_item(out, "0", &item).unwrap()).await;
            assert_eq!(items.next().await, Some(Ok(item)));
        }
        peer.send(|protocol, out| protocol.write_completion(out, "0")).await;
        assert_eq!(items.next().await, None);
        drop(items);
        // No cancellation is sent for a stream that has ended.
        let result = client.invoke::<()>("Next", ());
        assert_eq!(peer.call().await.1, "Next");
        peer.send(|protocol, out| protocol.write_completion(out, "1")).await;
        assert_eq!(result.await, Ok(()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_end_after_an_error() {
    for_each_protocol(async |kind| {
        let (client, mut peer) = connect(kind).await;
        let mut items = client.stream::<u32>("Count", ());
        peer.call().await;
        peer.send(|protocol, out| protocol.write_error(out, "0", "no more")).await;
        assert_eq!(items.next().await, Some(Err(InvocationError::Server("no more".to_owned()))));
        assert_eq!(items.next().await, None);
        let mut items = client.stream::<u32>("Count", ());
        peer.call().await;
        drop(peer);
        let aborted = ConnectionClosed { error: None, allow_reconnect: false, code: None };
        assert_eq!(items.next().await, Some(Err(InvocationError::Closed(aborted))));
        assert_eq!(items.next().await, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropped_streams_are_cancelled() {
    for_each_protocol(async |kind| {
        let (client, mut peer) = connect(kind).await;
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
async fn uploads_send_items_and_completions_under_their_own_ids() {
    for_each_protocol(async |kind| {
        let (client, mut peer) = connect(kind).await;
        let ([first, second, third], result) = client.upload::<u32, 3>("Add", ("a",));
        let ids = ["1", "2", "3"].map(str::to_owned);
        assert_eq!(peer.call().await, (Some("0".to_owned()), "Add".to_owned(), ids.to_vec(), false));
        first.send(&7);
        let frame = peer.frame().await;
        let Ok(Some(HubMessage::StreamItem { id, item, .. })) = peer.protocol.parse(&frame, |_| true) else {
            panic!("not a stream item");
        };
        assert_eq!((&*id, item.read()), ("1", Ok(7)));
        first.finish();
        assert_eq!(peer.completion().await, ("1".to_owned(), None, None));
        second.fail("broken");
        assert_eq!(peer.completion().await, ("2".to_owned(), None, Some("broken".to_owned())));
        drop(third);
        assert_eq!(peer.completion().await, ("3".to_owned(), None, None));
        peer.send(|protocol, out| protocol.write_result(out, "0", &7).unwrap()).await;
        assert_eq!(result.await, Ok(7));

        let ([_upload], _items) = client.upload_stream::<u32, 1>("Double", ());
        assert_eq!(peer.call().await, (Some("4".to_owned()), "Double".to_owned(), vec!["5".to_owned()], true));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn registered_handlers_return_client_results() {
    for_each_protocol(async |kind| {
        let (client, mut peer) = connect(kind).await;
        client.on("Double", |(number,): (u32,)| async move { number * 2 });
        client.refuse("Refuse", "not today");
        client.on("Never", |(): ()| pending::<u32>());
        let mut invoke_client = async |method: &str, id: &str| {
            peer.send(|protocol, out| protocol.write_invocation(out, Some(id), method, &(21,)).unwrap()).await;
            peer.completion().await
        };
        assert_eq!(invoke_client("double", "s1").await, ("s1".to_owned(), Some(42), None));
        assert_eq!(invoke_client("Refuse", "s2").await, ("s2".to_owned(), None, Some("not today".to_owned())));
        let unknown = Some("Client didn't provide a result.".to_owned());
        assert_eq!(invoke_client("Unknown", "s3").await, ("s3".to_owned(), None, unknown));
        assert_eq!(client.receive::<(u32,)>("Unknown").await, (21,));
        let (id, result, error) = invoke_client("Never", "s4").await;
        assert_eq!((&*id, result), ("s4", None));
        assert!(error.unwrap().contains("1 argument(s)"));

        peer.send(|protocol, out| protocol.write_invocation(out, Some("s5"), "Never", &()).unwrap()).await;
        let answered = tokio::time::timeout(Duration::from_secs(60), peer.frame()).await;
        assert!(answered.is_err());
    })
    .await;
}
