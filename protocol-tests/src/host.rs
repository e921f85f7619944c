//! Starts a conformance host for the tests.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::wire::{BadAddress, Server};

/// A conformance host in a separate process, on a free port. Dropping it kills the process.
#[derive(Debug)]
pub struct Host {
    server: Server,
    process: Child,
}

/// Error of starting a host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The program cannot be run.
    #[error("cannot start {program}")]
    Start {
        /// Path of the program.
        program: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The program ended or timed out before it printed its address.
    #[error("{program} did not print its address")]
    NotListening {
        /// Path of the program.
        program: PathBuf,
    },
    /// The program printed an invalid address.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The program cannot be built.
    #[error("cargo failed to build the conformance host")]
    Build,
}

/// Maximum time until a host listens.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// Prefix of the line that a host prints for each of its URLs.
const LISTENING: &str = "Now listening on: ";

impl Host {
    /// Starts `program` and waits until it listens.
    ///
    /// # Errors
    ///
    /// Returns an error if the program cannot be started or does not print its address.
    pub async fn start(program: &Path) -> Result<Self, HostError> {
        let mut process = Command::new(program)
            .args(["--urls", "http://127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| HostError::Start { program: program.to_owned(), source })?;
        let no_address = || HostError::NotListening { program: program.to_owned() };
        let mut lines = BufReader::new(process.stdout.take().ok_or_else(no_address)?).lines();
        let address = tokio::time::timeout(START_TIMEOUT, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(address) = line.strip_prefix(LISTENING) {
                    return Some(address.to_owned());
                }
            }
            None
        });
        let address = address.await.ok().flatten().ok_or_else(no_address)?;
        Ok(Self { server: address.parse()?, process })
    }

    /// Process id of the host.
    pub fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Address of the host.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Builds the conformance host of this workspace and returns its path, or that of the program
    /// in the environment variable `CONFORMANCE`.
    ///
    /// # Errors
    ///
    /// Returns [`HostError::Build`] if the build fails.
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
