//! A Redis server of the machine, for one test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// A process of `redis-server` on a free port of the loopback interface, without persistence.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts a server with these arguments. Returns `None`, and says why, if Redis is not installed.
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let mut server = Self::reserve(arguments)?;
        server.launch();
        Some(server)
    }

    /// Reserves a port for a server that is started later.
    pub fn reserve(arguments: &[&str]) -> Option<Self> {
        if !is_installed("redis-server") || !is_installed("redis-cli") {
            eprintln!("skipped: redis-server or redis-cli is not installed");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = std::env::temp_dir().join(format!("signalr-redis-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Some(Self { port, folder, arguments, process: None })
    }

    /// Starts the process, and waits until it answers.
    pub fn launch(&mut self) {
        let mut command = Command::new("redis-server");
        // The first argument may be the name of a file with options.
        command.current_dir(&self.folder).args(&self.arguments);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""]).stdin(Stdio::null());
        let log = fs::File::create(self.folder.join("log")).unwrap();
        self.process = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        let begin = Instant::now();
        while self.run(&["PING"]).is_empty() {
            assert!(begin.elapsed() < DEADLINE, "{}", fs::read_to_string(self.folder.join("log")).unwrap());
            sleep(Duration::from_millis(10));
        }
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the folder of the server, which is deleted with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command, and returns what `redis-cli` prints; nothing if there is no connection.
    pub fn run(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Ends the process without notice (`SIGKILL`).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Stops the process (`SIGSTOP`): its sockets stay open, and it does nothing.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Continues the process (`SIGCONT`).
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("the server runs").id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.folder.join("log")).unwrap_or_default());
        }
        // Nothing depends on it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}
