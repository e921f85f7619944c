//! One client: connects, calls methods and disconnects.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// Maximum time of one session.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Address of the server.
#[derive(Clone)]
pub(crate) struct Server(String);

/// Random numbers without quality requirements (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(number: u64) -> Self {
        Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    pub(crate) fn delay_up_to(&mut self, milliseconds: u64) -> Duration {
        Duration::from_millis(self.below(milliseconds))
    }
}

impl Server {
    pub(crate) fn new(authority: String) -> Self {
        Self(authority)
    }

    pub(crate) async fn stats(&self) -> io::Result<String> {
        let socket = self.request("GET", "/outside/stats", "").await?;
        Ok(read_response(socket).await?.1)
    }

    /// Sends a request on a new socket.
    async fn request(&self, method: &str, target: &str, body: &str) -> io::Result<TcpStream> {
        self.request_with(method, target, "connection: close\r\n", body).await
    }

    async fn request_with(&self, method: &str, target: &str, headers: &str, body: &str) -> io::Result<TcpStream> {
        let mut socket = TcpStream::connect(&self.0).await?;
        let length = body.len();
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: soak\r\n{headers}content-length: {length}\r\n\r\n{body}");
        socket.write_all(request.as_bytes()).await?;
        Ok(socket)
    }

    async fn negotiate(&self) -> io::Result<String> {
        let socket = self.request("POST", "/conformance/negotiate?negotiateVersion=1", "").await?;
        let (_, body) = read_response(socket).await?;
        let token = body.split("\"connectionToken\":\"").nth(1).and_then(|rest| rest.split('"').next());
        token.map(str::to_owned).ok_or_else(|| unexpected(&body))
    }

    async fn post(&self, target: &str, body: &str) -> io::Result<()> {
        match read_response(self.request("POST", target, body).await?).await? {
            (200, _) => Ok(()),
            (status, body) => Err(unexpected(&format!("{status} {body}"))),
        }
    }
}

/// Runs one session, from connecting to disconnecting, over a random transport.
pub(crate) async fn run(server: &Server, random: &mut Random) -> io::Result<()> {
    let session = async {
        match random.below(10) {
            // Negotiates and never connects.
            0 => server.negotiate().await.map(drop),
            1..=3 => websocket(server, random).await,
            4..=6 => events(server, random).await,
            _ => polls(server, random).await,
        }
    };
    timeout(TIMEOUT, session).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn websocket(server: &Server, random: &mut Random) -> io::Result<()> {
    let mut target = "/conformance".to_owned();
    if random.below(2) == 0 {
        target = format!("{target}?id={}", server.negotiate().await?);
    }
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut socket = server.request_with("GET", &target, upgrade, "").await?;
    frame(&mut socket, 0x81, HANDSHAKE.as_bytes()).await?;
    await_text(&mut socket, "{}\u{1e}").await?;
    for call in calls(random) {
        frame(&mut socket, 0x81, call.as_bytes()).await?;
        await_text(&mut socket, "\"type\":3").await?;
        sleep(random.delay_up_to(300)).await;
    }
    match random.below(4) {
        0 => frame(&mut socket, 0x88, &[3, 0xe8]).await?,
        1 => frame(&mut socket, 0x81, b"{\"type\":7}\x1e").await?,
        2 => frame(&mut socket, 0x81, b"{\"type\":1,\"target\":\"Ec").await?,
        _ => socket.set_zero_linger()?,
    }
    Ok(())
}

async fn events(server: &Server, random: &mut Random) -> io::Result<()> {
    let target = format!("/conformance?id={}", server.negotiate().await?);
    let mut stream = server.request_with("GET", &target, "accept: text/event-stream\r\n", "").await?;
    await_text(&mut stream, ":\r\n").await?;
    server.post(&target, HANDSHAKE).await?;
    await_text(&mut stream, "{}\u{1e}").await?;
    for call in calls(random) {
        server.post(&target, &call).await?;
        await_text(&mut stream, "\"type\":3").await?;
        sleep(random.delay_up_to(300)).await;
    }
    match random.below(3) {
        0 => server.post(&target, "{\"type\":7}\u{1e}").await?,
        1 => server.post(&target, "{\"type\":1,\"target\":\"Ec").await?,
        _ => stream.set_zero_linger()?,
    }
    Ok(())
}

async fn polls(server: &Server, random: &mut Random) -> io::Result<()> {
    let target = format!("/conformance?id={}", server.negotiate().await?);
    read_response(server.request("GET", &target, "").await?).await?;
    server.post(&target, HANDSHAKE).await?;
    for call in calls(random) {
        server.post(&target, &call).await?;
        while !read_response(server.request("GET", &target, "").await?).await?.1.contains("\"type\":3") {}
        sleep(random.delay_up_to(300)).await;
    }
    match random.below(6) {
        0 => drop(read_response(server.request("DELETE", &target, "").await?).await?),
        1 => {
            let poll = server.request("GET", &target, "").await?;
            read_response(server.request("DELETE", &target, "").await?).await?;
            read_response(poll).await?;
        }
        2 => server.post(&target, "{\"type\":7}\u{1e}").await?,
        3 => server.request("GET", &target, "").await?.set_zero_linger()?,
        // More results than the outbound queue takes, without a poll that fetches them.
        4 => drop(server.request("POST", &target, &long_calls()).await?),
        _ => {}
    }
    Ok(())
}

/// Some calls with completions; the first joins one of a hundred groups.
fn calls(random: &mut Random) -> Vec<String> {
    let group = random.below(100);
    let join = format!("{{\"type\":1,\"invocationId\":\"j\",\"target\":\"Join\",\"arguments\":[\"g{group}\"]}}\u{1e}");
    let echo = |n| format!("{{\"type\":1,\"invocationId\":\"{n}\",\"target\":\"Echo\",\"arguments\":[\"{n}\"]}}\u{1e}");
    [join].into_iter().chain((0..random.below(8)).map(echo)).collect()
}

fn long_calls() -> String {
    let text = "x".repeat(20_000);
    let call =
        |n| format!("{{\"type\":1,\"invocationId\":\"{n}\",\"target\":\"Echo\",\"arguments\":[\"{text}\"]}}\u{1e}");
    (0..6).map(call).collect()
}

/// Sends one frame. A mask of zeros leaves the payload unchanged.
async fn frame(socket: &mut TcpStream, first: u8, payload: &[u8]) -> io::Result<()> {
    let length = u8::try_from(payload.len()).ok().filter(|length| *length < 126).ok_or(io::ErrorKind::InvalidInput)?;
    socket.write_all(&[&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()).await
}

/// Reads until `text` has arrived.
async fn await_text(socket: &mut TcpStream, text: &str) -> io::Result<()> {
    let mut arrived = Vec::new();
    while !arrived.windows(text.len()).any(|window| window == text.as_bytes()) {
        if socket.read_buf(&mut arrived).await? == 0 {
            return Err(unexpected(&String::from_utf8_lossy(&arrived)));
        }
    }
    Ok(())
}

/// Reads a response until the end of the socket. Returns its status and body.
async fn read_response(mut socket: TcpStream) -> io::Result<(u16, String)> {
    let mut response = Vec::new();
    socket.read_to_end(&mut response).await?;
    let response = String::from_utf8_lossy(&response);
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(|| unexpected(&response))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| unexpected(head))?, body.to_owned()))
}

fn unexpected(text: &str) -> io::Error {
    io::Error::other(format!("unexpected: {text:?}"))
}
