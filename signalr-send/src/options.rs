//! Command-line options.

use std::error::Error;

use lexopt::{Arg, Parser, ValueExt};
use signalr::dotnet::{Naming, Value};

pub(crate) const USAGE: &str = "\
usage: signalr-send --hub NAME RECEIVERS METHOD [ARGUMENT]..

Calls METHOD of the clients of a hub, on all servers that share a Redis. Each ARGUMENT is JSON, or a
text if it is not valid JSON.

  --hub NAME          .NET name of the hub, such as MyApp.Hubs.ChatHub
  --all               receivers: all clients
  --group NAME        receivers: the members of a group
  --user ID           receivers: the connections of a user
  --connection ID     receiver: one connection
  --except ID         with --all or --group: a connection that does not receive it; may be repeated
  --redis URL         default: the variable REDIS_URL, or redis://127.0.0.1:6379
  --prefix TEXT       channel prefix of the servers
  --help              prints this text
";

/// A parsed command line.
pub(crate) enum Command {
    Send(Box<Options>),
    Help,
}

pub(crate) struct Options {
    pub(crate) redis: String,
    pub(crate) prefix: Option<String>,
    pub(crate) naming: Naming,
    pub(crate) hub: String,
    pub(crate) receivers: Receivers,
    pub(crate) except: Vec<String>,
    pub(crate) method: String,
    pub(crate) arguments: Vec<Value>,
}

/// Receivers of the message.
#[derive(Debug, PartialEq)]
pub(crate) enum Receivers {
    All,
    Group(String),
    User(String),
    Connection(String),
}

pub(crate) fn parse(mut arguments: Parser) -> Result<Command, Box<dyn Error>> {
    let (mut redis, mut prefix, mut hub, mut receivers, mut except) = (None, None, None, None, Vec::new());
    let mut words = Vec::new();
    while let Some(argument) = arguments.next()? {
        let selected = match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Command::Help),
            Arg::Long("redis") => {
                redis = Some(arguments.value()?.string()?);
                continue;
            }
            Arg::Long("prefix") => {
                prefix = Some(arguments.value()?.string()?);
                continue;
            }
            Arg::Long("hub") => {
                hub = Some(arguments.value()?.string()?);
                continue;
            }
            Arg::Long("except") => {
                except.push(arguments.value()?.string()?);
                continue;
            }
            Arg::Value(word) => {
                words.push(word.string()?);
                continue;
            }
            Arg::Long("all") => Receivers::All,
            Arg::Long("group") => Receivers::Group(arguments.value()?.string()?),
            Arg::Long("user") => Receivers::User(arguments.value()?.string()?),
            Arg::Long("connection") => Receivers::Connection(arguments.value()?.string()?),
            other => return Err(other.unexpected().into()),
        };
        if receivers.replace(selected).is_some() {
            return Err("more than one of --all, --group, --user and --connection".into());
        }
    }
    let receivers = receivers.ok_or("missing receivers: --all, --group, --user or --connection")?;
    if !except.is_empty() && !matches!(receivers, Receivers::All | Receivers::Group(_)) {
        return Err("--except needs --all or --group".into());
    }
    let mut words = words.into_iter();
    Ok(Command::Send(Box::new(Options {
        redis: redis.or_else(|| std::env::var("REDIS_URL").ok()).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned()),
        prefix,
        naming: Naming::DotNet,
        hub: hub.ok_or("missing --hub")?,
        receivers,
        except,
        method: words.next().ok_or("missing METHOD")?,
        arguments: words.map(|word| argument(&word)).collect(),
    })))
}

/// Reads JSON; other words are texts, so that a shell needs no second pair of quotes.
fn argument(word: &str) -> Value {
    serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options, String> {
        match parse(Parser::from_args(words)).map_err(|error| error.to_string())? {
            Command::Send(options) => Ok(*options),
            Command::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn receivers_method_and_arguments_are_read() {
        let options =
            options(&["--hub", "A.B", "--group", "g 1", "--except", "x", "Said", "text", "7", "[1,\"a\"]"]).unwrap();
        assert_eq!((&*options.hub, options.receivers), ("A.B", Receivers::Group("g 1".to_owned())));
        assert_eq!((options.except, &*options.method), (vec!["x".to_owned()], "Said"));
        let arguments = serde_json::to_string(&options.arguments).unwrap();
        assert_eq!(arguments, r#"["text",7,[1,"a"]]"#);
    }

    #[test]
    fn incomplete_and_contradictory_options_are_errors() {
        for (words, error) in [
            (&["--all", "M"][..], "missing --hub"),
            (&["--hub", "H", "M"], "missing receivers: --all, --group, --user or --connection"),
            (&["--hub", "H", "--all"], "missing METHOD"),
            (&["--hub", "H", "--all", "--user", "u", "M"], "more than one of --all, --group, --user and --connection"),
            (&["--hub", "H", "--user", "u", "--except", "x", "M"], "--except needs --all or --group"),
            (&["--what"], "invalid option '--what'"),
            (&["--help"], "help"),
        ] {
            assert_eq!(options(words).err().as_deref(), Some(error), "{words:?}");
        }
    }
}
