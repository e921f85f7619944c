//! The smallest hub: a chat that sends each message to all clients.
//!
//! Run `cargo run --example chat`, and connect with any SignalR client:
//!
//! ```js
//! const chat = new signalR.HubConnectionBuilder().withUrl('http://127.0.0.1:5000/chat').build();
//! chat.on('ReceiveMessage', (user, text) => console.log(`${user}: ${text}`));
//! await chat.start();
//! await chat.invoke('SendMessage', 'Ada', 'Hello!');
//! ```

use std::error::Error;
use std::time::Duration;

use signalr::{Caller, HubError, HubResult, SignalR, hub, hub_client};
use tokio::net::TcpListener;

/// Methods of a chat client that the server can invoke.
#[hub_client]
trait ChatClient {
    fn receive_message(&self, user: &str, text: &str);
}

struct Chat;

#[hub(client = ChatClient)]
impl Chat {
    /// Clients invoke this method as `SendMessage`.
    async fn send_message(&self, caller: &Caller<Self>, user: String, text: String) -> HubResult {
        if text.trim().is_empty() {
            // The client receives the text of `HubError::new`. Other errors are logged and hidden
            // from clients.
            return Err(HubError::new("The message is empty."));
        }
        caller.clients().all().receive_message(&user, &text).await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let signalr = SignalR::builder().hub("/chat", Chat).build()?;

    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    tokio::spawn(signalr.clone().serve(listener));

    tokio::signal::ctrl_c().await?;
    signalr.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use signalr::HubProtocolKind;
    use signalr::auth::User;
    use signalr::testing::TestHost;

    use super::Chat;

    #[tokio::test]
    async fn a_message_reaches_all_clients() {
        for &format in HubProtocolKind::ALL {
            let host = TestHost::builder(Chat).build();
            let ada = host.connect(format, User::anonymous()).await;
            let bob = host.connect(format, User::anonymous()).await;
            ada.invoke::<()>("SendMessage", ("Ada", "Hello!")).await.unwrap();
            for client in [ada, bob] {
                let (user, text): (String, String) = client.receive("ReceiveMessage").await;
                assert_eq!((&*user, &*text), ("Ada", "Hello!"));
            }
        }
    }

    #[tokio::test]
    async fn an_empty_message_is_rejected() {
        let host = TestHost::builder(Chat).build();
        let ada = host.connect(HubProtocolKind::Json, User::anonymous()).await;
        let error = ada.invoke::<()>("SendMessage", ("Ada", " ")).await.unwrap_err();
        assert!(error.to_string().ends_with("HubException: The message is empty."), "{error}");
        assert_eq!(ada.try_receive::<(String, String)>("ReceiveMessage").await, None);
    }
}
