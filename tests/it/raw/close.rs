//! How raw connections end, and how their handlers are notified.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use futures_util::StreamExt;
use signalr::SignalR;
use signalr::hosting::ResponseBody;
use signalr::raw::{RawConnection, RawEnd, RawWriteError};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt;

use super::{Outcome, echo, server};
use signalr_test_support::{Client, ClientKind, End, serve, until, within};

const LONG: Duration = Duration::from_secs(60);

on_every_transport! {
    written_bytes_arrive_before_the_end
    handler_that_does_not_read_is_notified_of_the_end
    dropped_connection_and_writers_end_the_connection
}

async fn written_bytes_arrive_before_the_end(kind: ClientKind) {
    let text = "x".repeat(5000);
    let sent = text.clone();
    let (signalr, addr) = server(move |connection| {
        let sent = sent.clone();
        async move {
            for _ in 0..50 {
                connection.write(&sent).await?;
            }
            Ok(())
        }
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    assert_eq!(client.receive(50 * text.len()).await.len(), 50 * text.len());
    assert_eq!(client.next_bytes().await, None);
    drop(client);
    until(|| signalr.connection_count() == 0).await;
}

async fn handler_that_does_not_read_is_notified_of_the_end(kind: ClientKind) {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (_signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            connection.aborted().await;
            // Bytes from before the end can still be read.
            tx.send((connection.end(), connection.read().await, connection.read().await))?;
            Ok(())
        }
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    client.send("last message").await;
    client.close_with(CloseCode::Away).await;
    let received = within(rx.recv()).await.unwrap();
    assert_eq!(received, (Some(closed_by_client(kind)), Some("last message".into()), None));
}

/// How the server sees the end of a client that closes its connection.
fn closed_by_client(kind: ClientKind) -> RawEnd {
    // The end of an event stream looks like a lost socket.
    if kind == ClientKind::SERVER_SENT_EVENTS { RawEnd::Lost } else { RawEnd::Closed }
}

/// Long polling is left out: a poll would have to be pending at that moment.
#[tokio::test]
async fn handler_can_write_during_shutdown() {
    assert_written_during_shutdown(ClientKind::WEB_SOCKETS).await;
    assert_written_during_shutdown(ClientKind::SERVER_SENT_EVENTS).await;
}

async fn assert_written_during_shutdown(kind: ClientKind) {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            connection.write("hello").await?;
            while connection.read().await.is_some() {}
            connection.aborted().await;
            connection.write("goodbye").await?;
            tx.send(connection.end())?;
            Ok(())
        }
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"hello");
    let shutdown = tokio::spawn(async move { signalr.shutdown(LONG).await });
    assert_eq!(client.next_bytes().await.unwrap(), b"goodbye");
    assert_eq!(client.next_bytes().await, None);
    drop(client);
    within(shutdown).await.unwrap();
    assert_eq!(within(rx.recv()).await, Some(Some(RawEnd::Requested)));
}

async fn dropped_connection_and_writers_end_the_connection(kind: ClientKind) {
    let gate = Arc::new(Semaphore::new(0));
    let (tx, mut rx) = mpsc::unbounded_channel();
    let held = Arc::clone(&gate);
    let (signalr, addr) = server(move |connection| {
        let (gate, tx) = (Arc::clone(&held), tx.clone());
        async move {
            let writer = connection.writer();
            drop(connection);
            writer.write("last").await?;
            drop(writer);
            gate.acquire().await?.forget();
            tx.send("went on")?;
            Ok(())
        }
    })
    .await;
    let mut client = kind.negotiate_and_open(addr, "/raw").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"last");
    assert_eq!(client.next_bytes().await, None);
    drop(client);
    until(|| signalr.connection_count() == 0).await;

    // The shutdown still waits for the handler.
    let shutdown = tokio::spawn(async move { signalr.shutdown(LONG).await });
    gate.add_permits(1);
    within(shutdown).await.unwrap();
    assert_eq!(rx.try_recv(), Ok("went on"));
}

/// Ends as the client instructs.
async fn follow_instruction(mut connection: RawConnection) -> Outcome {
    let instruction = connection.read().await.unwrap_or_default();
    connection.write("so be it").await?;
    match &*instruction {
        b"return" => Ok(()),
        b"panic" => panic!("on purpose"),
        error => Err(String::from_utf8_lossy(error).into()),
    }
}

#[tokio::test]
async fn failing_handler_closes_its_connection_with_1011() {
    let (signalr, addr) = server(follow_instruction).await;
    let mut bystander = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    for (instruction, code) in [("return", 1000), ("an error", 1011), ("panic", 1011)] {
        let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
        client.send(instruction).await;
        assert_eq!(client.next_bytes().await.unwrap(), b"so be it");
        assert_eq!(client.end().await, End::Closed(code), "{instruction}");
    }
    bystander.send("return").await;
    assert_eq!(bystander.next_bytes().await.unwrap(), b"so be it");
    assert_eq!(bystander.end().await, End::Closed(1000));
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn poll_after_a_failed_handler_is_answered_with_500() {
    let (_signalr, addr) = server(follow_instruction).await;
    let mut client = ClientKind::LONG_POLLING.negotiate_and_open(addr, "/raw").await;
    client.send("an error").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"so be it");
    assert_eq!(client.poll().await, (500, String::new()));
}

#[tokio::test]
async fn blocked_write_fails_when_the_client_stops_polling() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let signalr = SignalR::builder()
        .disconnect_timeout(Duration::from_millis(100))
        .connection_handler("/raw", move |mut connection| {
            let tx = tx.clone();
            async move {
                let error = loop {
                    if let Err(error) = connection.write("more and more").await {
                        break error;
                    }
                };
                tx.send((error, connection.read().await, connection.end()))?;
                Ok(())
            }
        })
        .build()
        .unwrap();
    let addr = serve(&signalr).await;
    ClientKind::LONG_POLLING.negotiate_and_open(addr, "/raw").await;
    let received = within(rx.recv()).await.unwrap();
    assert_eq!(received, (RawWriteError::Ended, None, Some(RawEnd::Lost)));
    until(|| signalr.connection_count() == 0).await;
}

/// Reads up to the end and returns its reason.
async fn end_of(end: impl AsyncFnOnce(Client)) -> Option<RawEnd> {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            while let Some(bytes) = connection.read().await {
                connection.write(bytes).await?;
            }
            tx.send(connection.end())?;
            Ok(())
        }
    })
    .await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    client.send("hello").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"hello");
    end(client).await;
    let end = within(rx.recv()).await.unwrap();
    until(|| signalr.connection_count() == 0).await;
    end
}

#[tokio::test]
async fn end_reason_tells_close_loss_and_protocol_error_apart() {
    assert_eq!(end_of(async |client| client.close_with(CloseCode::Away).await).await, Some(RawEnd::Closed));
    assert_eq!(end_of(async |client| drop(client)).await, Some(RawEnd::Lost));
    let broken = end_of(async |mut client| {
        within(client.websocket().get_mut().write_all(&[0xff; 20])).await.unwrap();
        assert_eq!(client.end().await, End::Closed(1002));
    });
    assert_eq!(broken.await, Some(RawEnd::Broken));
}

#[tokio::test]
async fn abort_ends_the_websocket_without_a_close_frame() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            assert!(connection.read().await.is_some());
            connection.abort();
            connection.aborted().await;
            tx.send((connection.read().await, connection.end(), connection.write("too late").await))?;
            Ok(())
        }
    })
    .await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    client.send("abort").await;
    assert_eq!(client.end().await, End::Cut);
    let received = within(rx.recv()).await.unwrap();
    assert_eq!(received, (None, Some(RawEnd::Aborted), Err(RawWriteError::Ended)));
    until(|| signalr.connection_count() == 0).await;
}

#[tokio::test]
async fn connection_ends_when_its_handler_returns() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let (_signalr, addr) = server(move |mut connection| {
        let tx = tx.clone();
        async move {
            let (writer, hello) = (connection.writer(), connection.read().await);
            tokio::spawn(async move {
                let rest = connection.read().await;
                tx.send((hello, rest, connection.end(), writer.write("too late").await))
            });
            Ok(())
        }
    })
    .await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    client.send("hello").await;
    assert_eq!(client.end().await, End::Closed(1000));
    let received = within(rx.recv()).await.unwrap();
    assert_eq!(received, (Some("hello".into()), None, Some(RawEnd::Aborted), Err(RawWriteError::Ended)));
}

#[tokio::test]
async fn shutdown_aborts_a_handler_that_does_not_return() {
    const GRACE: Duration = Duration::from_millis(300);
    struct Count(Arc<AtomicUsize>);

    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&dropped);
    let (signalr, addr) = server(move |connection| {
        let count = Count(Arc::clone(&counted));
        async move {
            connection.write("here").await?;
            std::future::pending::<()>().await;
            drop((count, connection));
            Ok(())
        }
    })
    .await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    assert_eq!(client.next_bytes().await.unwrap(), b"here");
    let began = Instant::now();
    within(signalr.shutdown(GRACE)).await;
    let took = began.elapsed();
    assert!((GRACE..GRACE * 5).contains(&took), "{took:?}");
    assert_eq!(client.end().await, End::Cut);
    assert_eq!((dropped.load(Ordering::SeqCst), signalr.connection_count()), (1, 0));
}

#[tokio::test]
async fn shutdown_rejects_new_raw_connections() {
    let (signalr, addr) = server(echo).await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    let (_, end) = within(async { tokio::join!(signalr.shutdown(LONG), client.end()) }).await;
    assert_eq!(end, End::Closed(1000));
    let request = http::Request::post("/raw/negotiate").body(ResponseBody::default()).unwrap();
    assert_eq!(signalr.service().oneshot(request).await.unwrap().status(), 503);
}

#[tokio::test]
async fn pings_are_answered_while_the_handler_does_not_read() {
    let (_signalr, addr) = server(|connection| async move {
        connection.aborted().await;
        Ok(())
    })
    .await;
    let mut client = ClientKind::WEB_SOCKETS.negotiate_and_open(addr, "/raw").await;
    client.send_message(Message::Ping("there?".into())).await;
    let answer = within(client.websocket().next()).await.unwrap().unwrap();
    assert_eq!(answer, Message::Pong("there?".into()));
    client.close_with(CloseCode::Away).await;
}
