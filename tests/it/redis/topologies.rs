//! Unix sockets, TLS, Sentinel and Cluster.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

#[tokio::test]
async fn unix_socket_is_connected_to() {
    let Some(redis) = RedisServer::start(&["--unixsocket", "redis.sock"]) else { return };
    let url = format!("unix://{}", redis.folder().join("redis.sock").display());
    let mut node = Node::start(RedisBackplane::new(url).unwrap());
    node.subscribe("all").await.unwrap();
    node.round_trip("all").await;
}

#[tokio::test]
async fn tls_requires_a_trusted_certificate() {
    let mut issuer = CertificateParams::new([]).unwrap();
    issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issuer.distinguished_name.push(DnType::CommonName, "issuer");
    let issuer = CertifiedIssuer::self_signed(issuer, KeyPair::generate().unwrap()).unwrap();
    let root = pem("CERTIFICATE", issuer.der());
    let issue = || {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", key.serialized_der()))
    };
    let Some(mut redis) = RedisServer::reserve(&["--tls-port", "0"]) else { return };
    let Some(tls) = RedisServer::reserve(&[]) else { return };
    let (certificate, key) = issue();
    for (name, pem) in [("ca.pem", &root), ("server.pem", &certificate), ("key.pem", &key)] {
        fs::write(redis.folder().join(name), pem).unwrap();
    }
    redis.launch();
    for (name, value) in [
        ("tls-cert-file", "server.pem"),
        ("tls-key-file", "key.pem"),
        ("tls-ca-cert-file", "ca.pem"),
        ("tls-port", &tls.port().to_string()),
    ] {
        let reply = redis.run(&["CONFIG", "SET", name, value]);
        if reply != "OK" && !reply.contains("Unable to update TLS") {
            eprintln!("skipped: redis-server has no TLS: {reply}");
            return;
        }
    }
    let backplane =
        || RedisBackplane::new(format!("rediss://localhost:{}", tls.port())).unwrap().request_timeout(SHORT);
    let untrusted = Node::start(backplane());
    let Err(BackplaneError::Disconnected(reason)) = untrusted.publish("all", "text").await else { panic!("connected") };
    assert!(reason.contains("certificate"), "{reason}");
    let anonymous = Node::start(backplane().root_certificates(&root).unwrap());
    assert!(matches!(anonymous.publish("all", "text").await, Err(BackplaneError::Disconnected(_))));

    let (certificate, key) = issue();
    let trusted = backplane().root_certificates(&root).unwrap().client_certificate(certificate, key).unwrap();
    let mut node = Node::start(trusted);
    node.ready().await;
    node.subscribe("all").await.unwrap();
    node.round_trip("all").await;
}

#[tokio::test]
async fn sentinel_failover_moves_the_backplane() {
    let Some(mut master) = RedisServer::start(&["--repl-diskless-sync-delay", "0"]) else { return };
    let Some(replica) = RedisServer::start(&["--replicaof", "127.0.0.1", &master.port().to_string()]) else { return };
    let Some(mut sentinel) = RedisServer::reserve(&["sentinel.conf", "--sentinel"]) else { return };
    let port = master.port();
    let config = format!(
        "sentinel monitor mymaster 127.0.0.1 {port} 1\nsentinel down-after-milliseconds mymaster 500\n\
         sentinel failover-timeout mymaster 2000\n"
    );
    fs::write(sentinel.folder().join("sentinel.conf"), config).unwrap();
    sentinel.launch();
    eventually(|| sentinel.run(&["SENTINEL", "REPLICAS", "mymaster"]).contains(&replica.port().to_string())).await;
    eventually(|| master.run(&["INFO", "replication"]).contains("state=online")).await;

    let absent = RedisServer::reserve(&[]).unwrap();
    let urls = [absent.url(), sentinel.url()];
    let start = |name| Node::start(RedisBackplane::sentinel(&urls, name).unwrap().request_timeout(SHORT));
    let mut node = start("mymaster");
    node.ready().await;
    node.subscribe("all").await.unwrap();
    node.round_trip("all").await;
    let unknown = start("other");
    assert!(matches!(unknown.publish("all", "text").await, Err(BackplaneError::Disconnected(_))));

    master.kill();
    eventually(|| replica.run(&["ROLE"]).starts_with("master")).await;
    // Sentinel has a subscription, too.
    eventually(|| replica.run(&["PUBSUB", "NUMSUB", "all"]) == "all\n1").await;
    node.round_trip("all").await;
}

#[tokio::test]
async fn any_node_of_a_cluster_is_enough() {
    let Some(redis) = RedisServer::start(&["--cluster-enabled", "yes"]) else { return };
    assert_eq!(redis.run(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]), "OK");
    let absent = RedisServer::reserve(&[]).unwrap();
    for urls in [[redis.url(), absent.url()], [absent.url(), redis.url()]] {
        let mut node = Node::start(RedisBackplane::cluster(urls).unwrap());
        node.subscribe("all").await.unwrap();
        assert_eq!(node.publish("all", "text").await, Ok(None));
        assert_eq!(node.next().await, ("all".to_owned(), "text".into()));
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}
