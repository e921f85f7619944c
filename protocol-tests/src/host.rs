//! A server started for the tests, and ended with them.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::wire::{BadAddress, Server};

/// A conformance host in a process of its own, on a free port. Dropping it kills it.
#[derive(Debug)]
pub struct Host {
    server: Server,
    process: Child,
}

/// A host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The program cannot be run.
    #[error("{program} cannot be started")]
    Start {
        /// Which one.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It ended, or said nothing in time, before it said where it listens.
    #[error("{program} does not say where it listens")]
    NotListening {
        /// Which one.
        program: PathBuf,
    },
    /// It listens on something that is no address.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// It cannot be built.
    #[error("cargo does not build the conformance host")]
    Build,
}

/// How long a host may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// What a host prints for each of its URLs.
const LISTENING: &str = "Now listening on: ";

impl Host {
    /// Starts `program` and waits until it listens.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub async fn start(program: &Path) -> Result<Self, HostError> {
        let mut process = Command::new(program)
            .args(["--urls", "http://127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| HostError::Start { program: program.to_owned(), source })?;
        let silent = || HostError::NotListening { program: program.to_owned() };
        let mut lines = BufReader::new(process.stdout.take().ok_or_else(silent)?).lines();
        let address = tokio::time::timeout(START_TIMEOUT, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix(LISTENING) {
                    return Some(address.to_owned());
                }
            }
            None
        });
        let address = address.await.ok().flatten().ok_or_else(silent)?;
        Ok(Self { server: address.parse()?, process })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Where it listens.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The conformance host of this workspace, built from the sources as they are; the variable `CONFORMANCE` names
    /// another program.
    ///
    /// # Errors
    ///
    /// It does not build.
    pub fn program() -> Result<PathBuf, HostError> {
        if let Some(program) = env::var_os("CONFORMANCE") {
            return Ok(program.into());
        }
        // target/PROFILE/program, or target/PROFILE/deps/test
        let this = env::current_exe().map_err(|_| HostError::Build)?;
        let profile = this.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).ok_or(HostError::Build)?;
        let target = profile.parent().ok_or(HostError::Build)?;
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = std::process::Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--example", "conformance", "--target-dir"]).arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        match build.status() {
            Ok(status) if status.success() => Ok(profile.join("examples/conformance")),
            _ => Err(HostError::Build),
        }
    }
}
