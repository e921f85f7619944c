//! Runs all transcripts against conformance hosts that this test starts, or against the server in
//! the environment variable `SERVER`. `TRANSCRIPTS` is a pattern that selects transcripts by name.

use std::env;
use std::path::Path;

use protocol_tests::{Host, Outcome, Server, Transcript, run_all};
use regex::Regex;

/// Number of hosts. Transcripts mostly wait, so more hosts than cores save time.
const HOSTS: usize = 6;

#[tokio::test]
async fn server_conforms_to_the_transcripts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut transcripts = Transcript::read_all(&root.join("../fixtures/transcripts")).unwrap();
    let pattern = Regex::new(&env::var("TRANSCRIPTS").unwrap_or_default()).unwrap();
    transcripts.retain(|transcript| pattern.is_match(&transcript.name));
    assert!(!transcripts.is_empty(), "no transcript matches the pattern");

    let (servers, _hosts) = servers().await;
    let outcomes = run_all(&servers, transcripts).await;

    let differs = |outcome: &&Outcome| !outcome.differences.is_empty();
    let failed: Vec<_> = outcomes.iter().filter(differs).map(describe).collect();
    println!("{} of {} transcripts pass", outcomes.len() - failed.len(), outcomes.len());
    assert!(failed.is_empty(), "{} transcripts:\n{}", failed.len(), failed.join("\n"));
}

/// Name of a transcript and its first differences.
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
