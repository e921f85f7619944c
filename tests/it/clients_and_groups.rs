//! Receivers of messages, from within a hub and from outside; members of groups and connections of
//! users.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use signalr::hub::{AnyClient, SendError};
use signalr::{Caller, Clients, HubContext, SignalR, hub};
use signalr_test_support::{Client, ClientKind, bearer, serve, token_query, until, within};
use tokio::sync::mpsc;

struct Board {
    came: mpsc::UnboundedSender<Caller<Self>>,
}

#[hub]
impl Board {
    fn on_connected(&self, caller: &Caller<Self>) {
        self.came.send(caller.clone()).unwrap();
    }

    fn id(&self, caller: &Caller<Self>) -> String {
        caller.connection_id().to_string()
    }
}

struct Other;

#[hub]
impl Other {}

/// A server with one client of each kind, and the caller of each client.
struct Host {
    signalr: SignalR,
    addr: SocketAddr,
    board: HubContext<Board>,
    came: mpsc::UnboundedReceiver<Caller<Board>>,
    callers: Vec<Caller<Board>>,
    clients: Vec<Client>,
}

impl Host {
    /// The first three clients are Ada's, the fourth is Ben's, the last one is anonymous. Group `a`
    /// has the first two, group `b` the second and the third, the group with the empty name the
    /// fourth.
    async fn new() -> Self {
        let (tells, came) = mpsc::unbounded_channel();
        let signalr = SignalR::builder()
            .authentication(bearer())
            .hub("/board", Board { came: tells })
            .hub("/other", Other)
            .build()
            .unwrap();
        let (addr, board) = (serve(&signalr).await, signalr.context());
        let mut host = Self { signalr, addr, board, came, callers: Vec::new(), clients: Vec::new() };
        for (kind, user) in ClientKind::all().into_iter().zip(["ada", "ada", "ada", "ben", ""]) {
            let query = if user.is_empty() { String::new() } else { token_query(user) };
            host.clients.push(kind.connect_with(addr, "/board", &query, &[]).await);
            host.callers.push(within(host.came.recv()).await.unwrap());
        }
        let groups = host.board.groups();
        for (n, group) in [(0, "a"), (1, "a"), (1, "b"), (2, "b"), (3, "")] {
            groups.add(host.id(n), group).await.unwrap();
        }
        host
    }

    fn id(&self, n: usize) -> String {
        self.callers[n].connection_id().to_string()
    }

    /// Returns how often each client receives a message to `selected`.
    async fn received_by(&mut self, selected: AnyClient<impl Sized>) -> [usize; 5] {
        within(selected.send("Told", ())).await.unwrap();
        let mut counts = [0; 5];
        for (n, (client, count)) in self.clients.iter_mut().zip(&mut counts).enumerate() {
            // This message arrives after all copies of the first one.
            within(self.callers[n].client().send("Then", ())).await.unwrap();
            loop {
                match client.next().await.unwrap()["target"].as_str().unwrap() {
                    "Told" => *count += 1,
                    other => break assert_eq!(other, "Then"),
                }
            }
        }
        counts
    }
}

/// The selections are the same within the hub and outside.
#[tokio::test]
async fn clients_select_by_connection_group_and_user() {
    let mut host = Host::new().await;
    let [first, second, third, ..] = [0, 1, 2].map(|n| host.id(n));
    let nobody = "AAAAAAAAAAAAAAAAAAAAAA";
    for clients in [host.board.clients(), host.callers[4].clients()] {
        let select: &dyn Fn(usize) -> AnyClient = &|n| match n {
            0 => clients.all(),
            1 => clients.all_except([&first, &third, &first]),
            2 => clients.all_except([nobody, "no id", ""]),
            3 => clients.clients([&first, &third, &first]),
            4 => clients.clients([nobody, "no id"]),
            5 => clients.group("a"),
            6 => clients.group("A"),
            7 => clients.group(""),
            8 => clients.group_except("a", [&second, &third]),
            9 => clients.group_except("nobody's", [&second]),
            10 => clients.groups(["a", "b"]),
            11 => clients.groups(["a", "a", "nobody's"]),
            12 => clients.groups([""; 0]),
            13 => clients.user("ada"),
            14 => clients.user("Ada"),
            15 => clients.user(""),
            16 => clients.users(["ben", "ada", "ben", "nobody"]),
            _ => clients.users([""]),
        };
        for (n, expected) in [
            [1, 1, 1, 1, 1],
            [0, 1, 0, 1, 1],
            [1, 1, 1, 1, 1],
            [1, 0, 1, 0, 0],
            [0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0],
            [0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0],
            [1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0],
            [1, 2, 1, 0, 0],
            [2, 2, 0, 0, 0],
            [0, 0, 0, 0, 0],
            [1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0],
            [1, 1, 1, 1, 0],
            [0, 0, 0, 0, 0],
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(host.received_by(select(n)).await, expected, "{:?}", select(n));
        }
        assert_eq!(host.received_by(clients.client(&second)).await, [0, 1, 0, 0, 0]);
        assert_eq!(host.received_by(clients.client(nobody)).await, [0; 5]);
        let error = clients.groups(["a", ""]).send("Told", ()).await.unwrap_err();
        assert_eq!(error, SendError::EmptyGroupName);
    }
}

/// These selections need a caller.
#[tokio::test]
async fn caller_selects_itself_and_others() {
    let mut host = Host::new().await;
    let caller = host.callers[1].clone();
    assert_eq!(host.received_by(caller.client()).await, [0, 1, 0, 0, 0]);
    assert_eq!(host.received_by(caller.others()).await, [1, 0, 1, 1, 1]);
    assert_eq!(host.received_by(caller.others_in_group("a")).await, [1, 0, 0, 0, 0]);
    assert_eq!(host.received_by(caller.others_in_group("b")).await, [0, 0, 1, 0, 0]);
    assert_eq!(host.received_by(caller.others_in_group("")).await, [0, 0, 0, 1, 0]);
}

#[tokio::test]
async fn large_id_lists_are_processed_in_linear_time() {
    let mut host = Host::new().await;
    let mut ids: Vec<_> = (0..100_000).map(|n| format!("{n:022}")).collect();
    ids.extend([host.id(0), host.id(3)]);
    ids.extend_from_within(..);
    let users: Vec<_> = (0..100_000).map(|n| n.to_string()).chain(["ada".to_owned()]).collect();
    let began = Instant::now();
    let clients: Clients<AnyClient> = host.board.clients();
    assert_eq!(host.received_by(clients.clients(&ids)).await, [1, 0, 0, 1, 0]);
    assert_eq!(host.received_by(clients.all_except(&ids)).await, [0, 1, 1, 0, 1]);
    assert_eq!(host.received_by(clients.group_except("a", &ids)).await, [0, 1, 0, 0, 0]);
    assert_eq!(host.received_by(clients.users(users.iter().chain(&users))).await, [1, 1, 1, 0, 0]);
    // A quadratic comparison would take minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn groups_are_changed_by_the_context_and_by_other_connections() {
    let mut host = Host::new().await;
    let (last, fourth) = (host.id(4), host.id(3));
    let by = host.callers[0].groups();
    by.add(&last, "c").await.unwrap();
    // Joining again has no effect.
    host.board.groups().add(&last, "c").await.unwrap();
    host.callers[3].join("c").await.unwrap();
    assert_eq!(host.received_by(host.board.clients().group("c")).await, [0, 0, 0, 1, 1]);
    by.remove(&last, "c").await.unwrap();
    by.remove(&last, "c").await.unwrap();
    by.remove(&last, "never there").await.unwrap();
    assert_eq!(host.received_by(host.board.clients().group("c")).await, [0, 0, 0, 1, 0]);
    host.board.groups().remove(&fourth, "c").await.unwrap();
    assert_eq!(host.received_by(host.board.clients().group("c")).await, [0; 5]);
    for unknown in ["AAAAAAAAAAAAAAAAAAAAAA", "no id", ""] {
        host.board.groups().add(unknown, "c").await.unwrap();
        host.board.groups().remove(unknown, "c").await.unwrap();
    }
    assert!(host.board.groups().members("c").is_empty());
}

#[tokio::test]
async fn disconnected_connections_leave_groups_and_cannot_join() {
    let mut host = Host::new().await;
    let (id, caller) = (host.id(0), host.callers[0].clone());
    host.clients.remove(0).send_close_message().await;
    host.callers.remove(0);
    until(|| host.board.connection_count() == 4).await;
    for group in ["a", "late"] {
        host.board.groups().add(&id, group).await.unwrap();
        caller.join(group).await.unwrap();
        assert!(!host.board.groups().is_member(&id, group));
        host.board.groups().remove(&id, group).await.unwrap();
        caller.leave(group).await.unwrap();
    }
    assert_eq!(host.board.groups().groups_of(&id), Vec::<String>::new());
    assert_eq!(host.board.groups().members("a"), [host.callers[0].connection_id()]);
    assert_eq!(host.board.groups().member_count("late"), 0);
    // Messages to a disconnected client are dropped without an error.
    let clients = host.board.clients();
    within(clients.client(&id).send("Told", ())).await.unwrap();
    within(caller.client().send("Told", ())).await.unwrap();
    within(clients.group("late").send("Told", ())).await.unwrap();
}

#[tokio::test]
async fn connections_of_groups_and_users_are_listed() {
    let mut host = Host::new().await;
    let (board, groups) = (host.board.clone(), host.board.groups());
    let ids = |these: &[usize]| {
        let mut ids: Vec<_> = these.iter().map(|n| host.callers[*n].connection_id()).collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<signalr::ConnectionId>| {
        ids.sort();
        ids
    };
    assert_eq!((board.connection_count(), board.user_count(), groups.count()), (5, 2, 3));
    assert_eq!(sorted(board.user_connections("ada")), ids(&[0, 1, 2]));
    assert_eq!(board.user_connections("ben"), ids(&[3]));
    assert!(board.user_connections("Ada").is_empty() && board.user_connections("").is_empty());
    assert_eq!(sorted(groups.members("a")), ids(&[0, 1]));
    assert_eq!(groups.members(""), ids(&[3]));
    assert!(groups.members("A").is_empty());
    assert_eq!(["a", "b", "", "c"].map(|group| groups.member_count(group)), [2, 2, 1, 0]);
    let mut of_second = groups.groups_of(host.id(1));
    of_second.sort();
    assert_eq!(of_second, ["a", "b"]);
    assert!(groups.groups_of(host.id(4)).is_empty() && groups.groups_of("no id").is_empty());
    assert_eq!(["a", "b", ""].map(|group| groups.is_member(host.id(2), group)), [false, true, false]);
    assert!(!groups.is_member("no id", "a"));

    // Hubs have separate groups and users.
    let other: HubContext<Other> = host.signalr.context();
    assert_eq!((other.connection_count(), other.user_count(), other.groups().count()), (0, 0, 0));
    other.groups().add(host.id(0), "a").await.unwrap();
    assert_eq!((other.groups().count(), groups.member_count("a")), (0, 2));
    let mut other_client = ClientKind::WEB_SOCKETS.connect_with(host.addr, "/other", &token_query("ada"), &[]).await;
    until(|| other.user_count() == 1).await;
    assert_eq!(host.received_by(host.board.clients().user("ada")).await, [1, 1, 1, 0, 0]);
    within(other.clients().all().send("Here", ())).await.unwrap();
    assert_eq!(other_client.next().await.unwrap()["target"], "Here");

    for mut client in host.clients {
        client.send_close_message().await;
    }
    until(|| board.connection_count() == 0).await;
    assert_eq!((board.user_count(), groups.count(), board.user_connections("ada").len()), (0, 0, 0));
}

/// One hub protocol can encode the value and the other cannot. Unlike in ASP.NET Core, the
/// connections that cannot receive it stay open.
#[tokio::test]
async fn encoding_error_keeps_connections_open() {
    let mut host = Host::new().await;
    let (text, binary) = (host.id(0), host.id(1));
    let clients = host.board.clients();
    let told = json!({ "type": 1, "target": "Told", "arguments": ["then"] });
    let selections =
        [clients.clients([&text]), clients.clients([&text, &binary]), clients.group("a"), clients.user("ada")];
    for (n, selected) in selections.iter().enumerate() {
        let error = within(selected.send("Told", (f64::NAN,))).await.unwrap_err();
        assert!(matches!(error, SendError::Encode(_)), "{error}");
        within(clients.client(&text).send("Told", ("then",))).await.unwrap();
        assert_eq!(host.clients[0].next().await.unwrap(), told);
        if n > 0 {
            assert!(host.clients[1].next().await.unwrap()["arguments"][0].is_null());
        }
    }
    // Without a receiver that needs it, the message is not encoded, and the send succeeds.
    within(clients.client(&binary).send("Told", (f64::NAN,))).await.unwrap();
    within(clients.group("nobody's").send("Told", (f64::NAN,))).await.unwrap();
    assert!(host.clients[1].next().await.unwrap()["arguments"][0].is_null());
    assert_eq!(host.clients[0].invoke("Id", &[]).await, Value::from(text));
    assert_eq!(host.clients[1].invoke("Id", &[]).await, Value::from(binary));
}
