//! Groups across servers.

use super::*;
use signalr::backplane::BackplaneError;
use signalr::hub::Disconnect;

#[tokio::test]
async fn groups_have_members_of_all_servers() {
    let fleet = Fleet::new().await;
    let (hub, ids) = (fleet.context(), fleet.ids());
    for index in [0, 3] {
        fleet.clients[index].invoke::<()>("Join", ("a",)).await.unwrap();
    }
    fleet.clients[3].invoke::<()>("Join", ("b",)).await.unwrap();

    hub.clients().group("a").send("Told", ("a",)).await.unwrap();
    fleet.assert_received_by(&[0, 3], "a").await;
    hub.clients().group_except("a", [ids[3]]).send("Told", ("but",)).await.unwrap();
    fleet.assert_received_by(&[0], "but").await;
    hub.clients().group("A").send("Told", ("another group",)).await.unwrap();
    fleet.assert_received_by(&[], "").await;

    // A member of two groups receives both messages, and an empty name is skipped by ASP.NET Core
    // with a backplane.
    hub.clients().groups(["a", "b", ""]).send("Told", ("twice",)).await.unwrap();
    for _ in 0..2 {
        assert_eq!(fleet.clients[3].receive::<(String,)>("Told").await, ("twice".to_owned(),));
    }
    fleet.assert_received_by(&[0], "twice").await;

    fleet.clients[3].invoke::<()>("Leave", ("a",)).await.unwrap();
    hub.clients().group("a").send("Told", ("left",)).await.unwrap();
    fleet.assert_received_by(&[0], "left").await;
}

#[tokio::test]
async fn groups_that_differ_in_case_are_two_groups() {
    let fleet = Fleet::new().await;
    for group in ["Foo", "foo"] {
        fleet.clients[2].invoke::<()>("Join", (group,)).await.unwrap();
    }
    fleet.clients[2].invoke::<()>("Leave", ("Foo",)).await.unwrap();
    fleet.context().clients().group("foo").send("Told", ("foo",)).await.unwrap();
    fleet.assert_received_by(&[2], "foo").await;
    fleet.context().clients().group("Foo").send("Told", ("Foo",)).await.unwrap();
    fleet.assert_received_by(&[], "").await;
}

#[tokio::test]
async fn connections_of_other_servers_join_and_leave_groups() {
    let fleet = Fleet::new().await;
    let (groups, ids) = (fleet.context().groups(), fleet.ids());
    for id in [ids[0], ids[2], ids[3]] {
        groups.add(id, "g").await.unwrap();
    }
    fleet.context().clients().group("g").send("Told", ("joined",)).await.unwrap();
    fleet.assert_received_by(&[0, 2, 3], "joined").await;
    groups.remove(ids[2], "g").await.unwrap();
    fleet.context().clients().group("g").send("Told", ("left",)).await.unwrap();
    fleet.assert_received_by(&[0, 3], "left").await;

    // Changes of one server keep their order.
    for _ in 0..50 {
        let (add, remove) = (groups.add(ids[3], "h"), groups.remove(ids[3], "h"));
        let (added, removed) = tokio::join!(add, remove);
        added.and(removed).unwrap();
        assert!(!fleet.south.context().groups().is_member(ids[3], "h"));
    }
    signalr_test_support::until(|| !fleet.channels().iter().any(|name| name.ends_with(":h"))).await;
}

#[tokio::test(start_paused = true)]
async fn groups_of_connections_that_no_server_has_fail_after_30_seconds() {
    let bus = MemoryBus::new();
    let host = server(&bus);
    let client = host.connect(JSON, User::anonymous()).await;
    let unknown = client.connection_id().as_str().replace(|_: char| true, "A");
    let began = tokio::time::Instant::now();
    let result = host.context().groups().add(&unknown, "g").await;
    assert_eq!(result, Err(SendError::Backplane(BackplaneError::Unacknowledged)));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn lists_and_counts_of_all_servers_are_collected() {
    let fleet = Fleet::new().await;
    let (hub, ids) = (fleet.context(), fleet.ids());
    for index in [1, 2] {
        fleet.clients[index].invoke::<()>("Join", ("g",)).await.unwrap();
    }
    let sorted = |mut ids: Vec<ConnectionId>| {
        ids.sort_unstable();
        ids
    };
    let cluster = hub.cluster();
    let users = cluster.user_connections("ben").await.unwrap();
    assert_eq!((sorted(users.value), users.servers), (sorted(vec![ids[2], ids[3]]), 2));
    let members = cluster.members("g").await.unwrap();
    assert_eq!((sorted(members.value), members.servers), (sorted(vec![ids[1], ids[2]]), 2));
    assert_eq!(cluster.member_count("g").await.unwrap().value, 2);
    assert_eq!(cluster.connection_count().await.unwrap().value, 4);
    assert_eq!(cluster.user_connections("nobody").await.unwrap().value, []);
    assert_eq!(hub.connection_count(), 2, "the synchronous count is that of this server");

    let gone = Disconnect::new().reason("You were signed out.");
    let closed = hub.clients().group("g").disconnect_in_cluster(gone).await.unwrap();
    assert_eq!((closed.value, closed.servers), (2, 2));
    for index in [1, 2] {
        assert_eq!(fleet.clients[index].closed().await.error.as_deref(), Some("You were signed out."));
    }
    let others = hub.clients().all_except([ids[0]]).disconnect_in_cluster(Disconnect::new()).await.unwrap();
    assert!(others.value >= 1, "{others:?}");
    fleet.clients[3].closed().await;
    fleet.clients[0].ping().await;
}

#[tokio::test]
async fn one_server_without_a_backplane_answers_for_itself() {
    let host = TestHost::builder(Ward).build();
    let client = host.connect(JSON, user("ada")).await;
    client.invoke::<()>("Join", ("g",)).await.unwrap();
    let cluster = host.context().cluster();
    let members = cluster.members("g").await.unwrap();
    assert_eq!((members.value, members.servers), (vec![client.connection_id()], 1));
    assert_eq!(cluster.connection_count().await.unwrap().value, 1);
    let closed = host.context().clients().user("ada").disconnect_in_cluster(Disconnect::new()).await;
    assert_eq!(closed.unwrap().value, 1);
    client.closed().await;
}
