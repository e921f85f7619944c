//! Replays the transcripts against a server with the conformance hubs:
//! `protocol-tests BASE [PATTERN]`.

#![expect(clippy::print_stdout, reason = "the program prints its result")]

use std::env;
use std::path::Path;
use std::process::ExitCode;

use protocol_tests::{Server, Transcript, run_all};
use regex::Regex;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let base = arguments.next().ok_or("usage: protocol-tests http://HOST:PORT [PATTERN]")?;
    let server: Server = base.parse()?;
    let pattern = Regex::new(&arguments.next().unwrap_or_default())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/transcripts");
    let mut transcripts = Transcript::read_all(&folder)?;
    transcripts.retain(|transcript| pattern.is_match(&transcript.name));
    let outcomes = run_all(&[server], transcripts).await;
    let mut failed = 0;
    for outcome in outcomes.iter().filter(|outcome| !outcome.differences.is_empty()) {
        failed += 1;
        println!("DIFFERS {}", outcome.name);
        for difference in outcome.differences.iter().take(6) {
            println!("    {difference}");
        }
    }
    println!("{} passed, {failed} failed", outcomes.len() - failed);
    Ok(if failed > 0 || outcomes.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
