//! Every transcript, against hosts that this test starts; or against the server that the variable `SERVER` names.
//! `TRANSCRIPTS` is a pattern that picks some.

use std::env;
use std::path::Path;

use protocol_tests::{Host, Outcome, Server, Transcript, run_all};
use regex::Regex;

/// Hosts side by side. The transcripts mostly wait, so more lanes than cores pay.
const HOSTS: usize = 6;

#[tokio::test]
async fn server_does_what_the_transcripts_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut transcripts = Transcript::read_all(&root.join("../fixtures/transcripts")).unwrap();
    let pattern = Regex::new(&env::var("TRANSCRIPTS").unwrap_or_default()).unwrap();
    transcripts.retain(|transcript| pattern.is_match(&transcript.name));
    assert!(!transcripts.is_empty(), "no transcript is called so");

    let (servers, _hosts) = servers().await;
    let outcomes = run_all(&servers, transcripts).await;

    let differs = |outcome: &&Outcome| !outcome.differences.is_empty();
    let wrong: Vec<_> = outcomes.iter().filter(differs).map(describe).collect();
    println!("{} of {} transcripts hold", outcomes.len() - wrong.len(), outcomes.len());
    assert!(wrong.is_empty(), "{} transcripts:\n{}", wrong.len(), wrong.join("\n"));
}

/// What it is called, and the first of its differences.
fn describe(Outcome { name, differences, .. }: &Outcome) -> String {
    let first: Vec<_> = differences.iter().take(6).map(|difference| format!("\n    {difference}")).collect();
    format!("{name} differs:{}", first.concat())
}

async fn servers() -> (Vec<Server>, Vec<Host>) {
    if let Ok(address) = env::var("SERVER") {
        return (vec![address.parse().expect("`SERVER` is an address")], Vec::new());
    }
    let program = Host::program().expect("the conformance host builds");
    let mut hosts = Vec::new();
    for _ in 0..HOSTS {
        hosts.push(Host::start(&program).await.expect("the conformance host starts"));
    }
    (hosts.iter().map(|host| host.server().clone()).collect(), hosts)
}
