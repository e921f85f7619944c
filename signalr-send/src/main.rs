//! Sends a message to the clients of a hub over Redis, from a shell or a scheduled job.
//!
//! ```text
//! signalr-send --hub MyApp.Hubs.Chat --group "room 1" Said '"The build is green."'
//! ```

mod options;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use signalr::backplane::{Emitter, RedisBackplane};
use signalr::dotnet::Value;

use options::{Command, Options, Receivers, USAGE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let sent = match options::parse(lexopt::Parser::from_env()) {
        Ok(Command::Send(options)) => send(*options).await,
        Ok(Command::Help) => {
            return match std::io::stdout().write_all(USAGE.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Err(error) => {
            report(&*error);
            return ExitCode::from(2);
        }
    };
    match sent {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn send(options: Options) -> Result<(), Box<dyn Error>> {
    let Options { redis, prefix, naming, hub, receivers, except, method, arguments } = options;
    let mut backplane = RedisBackplane::new(redis)?;
    if let Some(prefix) = prefix {
        backplane = backplane.channel_prefix(prefix);
    }
    let emitter = Emitter::with_naming(backplane, [&*hub], naming);
    let clients = emitter.hub(&hub).ok_or("unknown hub")?.clients();
    let arguments: Vec<Value> = arguments;
    match receivers {
        Receivers::All => clients.all_except(except).send(&method, arguments).await?,
        Receivers::Group(name) => clients.group_except(name, except).send(&method, arguments).await?,
        Receivers::User(id) => clients.user(id).send(&method, arguments).await?,
        Receivers::Connection(id) => clients.client(id).send(&method, arguments).await?,
    }
    Ok(())
}

/// Prints an error and its causes.
fn report(error: &dyn Error) {
    let mut text = format!("signalr-send: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // Nothing is left to do if the error stream is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}
