//! Every transcript, against hosts that this test starts; or against the server that the variable `SERVER` names.
//! `TRANSCRIPTS` is a pattern that picks some.

use std::env;
use std::path::Path;

use protocol_tests::{Host, Pending, Server, Transcript, Verdict, hold};
use regex::Regex;

/// Hosts side by side. The transcripts mostly wait, so more lanes than cores pay.
const LANES: usize = 6;

#[tokio::test]
async fn server_does_what_the_transcripts_show() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pending = Pending::read(&std::fs::read_to_string(root.join("pending.txt")).unwrap()).unwrap();
    let mut transcripts = Transcript::read_all(&root.join("../fixtures/transcripts")).unwrap();
    let unknown = pending.unknown(transcripts.iter().map(|transcript| transcript.name.as_str()));
    assert!(unknown.is_empty(), "no such transcripts: {unknown:?}");
    let pattern = Regex::new(&env::var("TRANSCRIPTS").unwrap_or_default()).unwrap();
    transcripts.retain(|transcript| pattern.is_match(&transcript.name));
    assert!(!transcripts.is_empty(), "no transcript is called so");

    let (servers, _hosts) = servers().await;
    let outcomes = hold(&servers, transcripts).await;

    let (mut wrong, mut passed) = (Vec::new(), 0);
    for outcome in &outcomes {
        match pending.judge(outcome) {
            Verdict::Passed => passed += 1,
            Verdict::Failed => {
                let first: Vec<_> =
                    outcome.differences.iter().take(6).map(|difference| format!("\n    {difference}")).collect();
                wrong.push(format!("{} differs:{}", outcome.name, first.concat()));
            }
            Verdict::PassesNow => wrong.push(format!("{} passes now, take it off the list", outcome.name)),
            _ => {}
        }
    }
    println!("{passed} of {} transcripts hold, {} are pending", outcomes.len(), pending.len());
    assert!(wrong.is_empty(), "{} transcripts:\n{}", wrong.len(), wrong.join("\n"));
}

async fn servers() -> (Vec<Server>, Vec<Host>) {
    if let Ok(address) = env::var("SERVER") {
        return (vec![address.parse().expect("`SERVER` is an address")], Vec::new());
    }
    let program = Host::program().expect("the conformance host builds");
    let mut hosts = Vec::new();
    for _ in 0..LANES {
        hosts.push(Host::start(&program).await.expect("the conformance host starts"));
    }
    (hosts.iter().map(|host| host.server().clone()).collect(), hosts)
}
