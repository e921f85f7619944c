//! Raw connections whose reader is slow: the writer waits, and nothing grows meanwhile.
//!
//! All ends are in memory and on one thread, so that the bytes in each buffer can be counted.

use signalr::HubProtocolKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use signalr::SignalR;
use signalr::raw::{RawEnd, RawWriteError};
use tokio::io::DuplexStream;
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Message;

use signalr_test_support::{Client, within};

const MESSAGE: usize = 1024;
const MESSAGES: usize = 500;

/// Capacity of the pipe in each direction, in bytes.
const ROOM: usize = 4096;

/// Returns the client's end of a pipe to the server.
pub(crate) fn pipe(signalr: &SignalR, room: usize) -> DuplexStream {
    let (client, server) = tokio::io::duplex(room);
    let service = signalr.service();
    tokio::spawn(async move {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(server), service).with_upgrades().await;
    });
    client
}

/// Waits until no task makes progress: all of them ran many times, and the count did not change.
async fn settled(count: &AtomicUsize) -> usize {
    loop {
        let before = count.load(Ordering::SeqCst);
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        if count.load(Ordering::SeqCst) == before {
            return before;
        }
    }
}

fn numbered(n: usize) -> String {
    format!("{n:MESSAGE$}")
}

#[tokio::test]
async fn handler_waits_for_a_client_that_does_not_read() {
    const LIMIT: usize = 16 * 1024;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let signalr = SignalR::builder()
        .connection_handler("/raw", move |connection| {
            let count = Arc::clone(&count);
            async move {
                for n in 0..MESSAGES {
                    connection.write(numbered(n)).await?;
                    count.fetch_add(MESSAGE, Ordering::SeqCst);
                }
                Ok(())
            }
        })
        .transport_max_buffer_size(LIMIT)
        .build()
        .unwrap();
    let mut client = Client::over(pipe(&signalr, ROOM), "/raw", HubProtocolKind::Json).await;
    let waits = settled(&written).await;
    // The queue with the message that crosses its limit, the pipe, and what the client read along
    // with the upgrade response.
    assert!((LIMIT..=LIMIT + MESSAGE + 2 * ROOM).contains(&waits), "{waits}");
    let queued = signalr.stats().queued_bytes;
    assert!((LIMIT / 2..=LIMIT + MESSAGE + 4).contains(&queued), "{queued}");
    for n in 0..MESSAGES {
        assert_eq!(client.next_message().await, Some(Message::text(numbered(n))));
    }
    assert_eq!(client.next_message().await, None);
}

#[tokio::test]
async fn handler_with_an_unlimited_queue_yields_to_other_tasks() {
    const MANY: usize = 10_000;
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let signalr = SignalR::builder()
        .transport_max_buffer_size(0)
        .connection_handler("/raw", move |connection| {
            let count = Arc::clone(&count);
            async move {
                for _ in 0..MANY {
                    connection.write("x").await?;
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            }
        })
        .build()
        .unwrap();
    // The client runs in a task, which takes turns with the connection task.
    let client = tokio::spawn(async move {
        let mut client = Client::over(pipe(&signalr, ROOM), "/raw", HubProtocolKind::Json).await;
        assert_eq!(client.next_message().await, Some(Message::text("x")));
        let ahead = written.load(Ordering::SeqCst);
        assert!(ahead < MANY / 2, "{ahead}");
        for _ in 1..MANY {
            assert_eq!(client.next_message().await, Some(Message::text("x")));
        }
        assert_eq!(client.next_message().await, None);
    });
    within(client).await.unwrap();
}

#[tokio::test]
async fn client_waits_for_a_handler_that_does_not_read() {
    /// Bytes that are read ahead of a handler.
    const AHEAD: usize = 64 * 1024;
    let gate = Arc::new(Semaphore::new(0));
    let (tx, mut rx) = mpsc::unbounded_channel();
    let held = Arc::clone(&gate);
    let signalr = SignalR::builder()
        .connection_handler("/raw", move |mut connection| {
            let (gate, tx) = (Arc::clone(&held), tx.clone());
            async move {
                gate.acquire().await?.forget();
                let mut read = Vec::new();
                while let Some(bytes) = connection.read().await {
                    read.extend(bytes);
                }
                tx.send(read)?;
                Ok(())
            }
        })
        .build()
        .unwrap();
    let mut client = Client::over(pipe(&signalr, ROOM), "/raw", HubProtocolKind::Json).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for n in 0..MESSAGES {
            client.send_message(Message::text(numbered(n))).await;
            count.fetch_add(MESSAGE, Ordering::SeqCst);
        }
        client
    });
    let waits = settled(&sent).await;
    assert!((AHEAD..=AHEAD + 2 * ROOM + MESSAGE).contains(&waits), "{waits}");

    gate.add_permits(1);
    drop(within(sending).await.unwrap());
    let expected: String = (0..MESSAGES).map(numbered).collect();
    assert_eq!(within(rx.recv()).await.unwrap(), expected.into_bytes());
}

#[tokio::test]
async fn input_after_reader_drop_is_discarded() {
    let signalr = SignalR::builder()
        .connection_handler("/raw", |connection| async move {
            let writer = connection.writer();
            drop(connection);
            writer.aborted().await;
            Ok(())
        })
        .build()
        .unwrap();
    let mut client = Client::over(pipe(&signalr, ROOM), "/raw", HubProtocolKind::Json).await;
    for n in 0..MESSAGES {
        client.send_message(Message::text(numbered(n))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn unread_connection_is_aborted_after_the_send_timeout() {
    let (tx, mut rx) = mpsc::unbounded_channel();
    let signalr = SignalR::builder()
        .connection_handler("/raw", move |mut connection| {
            let tx = tx.clone();
            async move {
                let error = loop {
                    if let Err(error) = connection.write(numbered(0)).await {
                        break error;
                    }
                };
                tx.send((error, connection.read().await, connection.end()))?;
                Ok(())
            }
        })
        .transport_send_timeout(Duration::from_secs(3))
        .build()
        .unwrap();
    let client = Client::over(pipe(&signalr, ROOM), "/raw", HubProtocolKind::Json).await;
    let received = within(rx.recv()).await.unwrap();
    assert_eq!(received, (RawWriteError::Ended, None, Some(RawEnd::Lost)));
    drop(client);
}
